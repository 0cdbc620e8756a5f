"""Puts the dispatcher together."""

from __future__ import annotations

from common import backlog
from common.service import Runtime, Service
from common.worker import Worker
from services.dispatcher.configuration import load_configuration
from services.dispatcher.deadlines import Deadlines
from services.dispatcher.handlers import DispatcherHandler
from services.dispatcher.reports import Reporting
from services.dispatcher.sealing import Sealing


def build(runtime: Runtime) -> Service:
    """Return the dispatcher: one worker, with all that happens by itself as its periodic work."""
    settings = runtime.settings
    config = load_configuration(
        settings.config_dir, second_factor=settings.auth != "none", reporting_channel=settings.reporting_channel
    )
    measuring = backlog.measuring(
        backlog.ALERTS, backlog.OVERDUE, backlog.TEAM, backlog.REPORTS, backlog.SEALS, backlog.OUTBOX
    )
    parts = (Deadlines(config), Reporting(config.wording), Sealing(settings.history_keys()))
    ticks = (*(tick for part in parts for tick in part.ticks()), measuring)
    worker = Worker(DispatcherHandler(config), runtime.bus, runtime.transactions("dispatcher"), ticks)
    return Service("dispatcher", [worker])
