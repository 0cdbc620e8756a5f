"""Puts the chat gateway together."""

from __future__ import annotations

from common import backlog, metrics
from common.plugins import load_plugin
from common.service import Runtime, Service
from common.worker import Worker
from services.chat_gateway.calls import Calls
from services.chat_gateway.deliverer import Deliverer
from services.chat_gateway.deliveries import Deliveries
from services.chat_gateway.directory import Directory
from services.chat_gateway.handlers import ChatGatewayHandler
from services.chat_gateway.intake import BusIntake
from services.chat_gateway.port import Chat
from services.chat_gateway.schedule import Schedule

NAME = "chat-gateway"


def build(runtime: Runtime) -> Service:
    """Return the service for the chat system that the settings name."""
    chat: Chat = load_plugin("securitybot.chat", runtime.settings.chat, "SECURITYBOT_CHAT")(runtime.settings)
    return build_with(runtime, chat)


def build_with(runtime: Runtime, chat: Chat) -> Service:
    """Return the service for `chat`."""
    transactions = runtime.transactions(NAME)
    directory = Directory(chat, transactions, runtime.clock)
    deliveries = Deliveries(runtime.instance)
    schedule = Schedule()
    calls = Calls(chat, directory, deliveries, transactions, runtime.clock)
    deliverer = Deliverer(calls, schedule, deliveries, transactions, runtime.clock)
    handler = ChatGatewayHandler(deliveries, schedule, deliverer)
    ticks = (*handler.ticks(), backlog.measuring(backlog.DELIVERIES))
    worker = Worker(handler, runtime.bus, transactions, ticks)
    for kind in ("send", "update", "look_up"):
        metrics.CHAT_CALLS.labels(kind, "failed")  # from 0 on: the first failure is an increase too
    intake = BusIntake(transactions, directory)
    return Service(
        NAME,
        runnables=[worker, deliverer, directory, *chat.listen(intake)],
        routes=chat.routes(intake),
        checks={"chat": lambda: directory.check() or chat.check()},
    )
