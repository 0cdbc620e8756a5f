"""Puts ingest together."""

from __future__ import annotations

from common import backlog
from common.api_tokens import TokenCheck
from common.runnable import Runnable
from common.service import Runtime, Service
from common.worker import Worker
from common.yaml_files import load_yaml
from services.ingest.dead_letters import DeadLetterHandler, death_key
from services.ingest.handlers import IntakeHandler, intake_key
from services.ingest.http import AlertsApi
from services.ingest.sources import Sources


def build(runtime: Runtime) -> Service:
    """Return the service: intake of alerts over AMQP and HTTP, and the end of dead letters.

    Raises:
        ConfigurationError: `sources.yaml` has mistakes.
    """
    sources = load_yaml(runtime.settings.config_dir / "sources.yaml", Sources, optional=True).sources
    transactions = runtime.transactions("ingest")
    tokens = TokenCheck(runtime.engine, runtime.clock, runtime.settings.api_rate)
    api = AlertsApi(transactions, tokens, runtime.clock, sources)
    measuring = backlog.measuring(backlog.QUARANTINE, backlog.OUTBOX)
    clock = runtime.clock
    workers: list[Runnable] = [
        Worker(
            IntakeHandler(clock),
            runtime.bus,
            transactions,
            [measuring],
            key=lambda delivery: intake_key(delivery, clock.now().date()),
        ),
        Worker(
            DeadLetterHandler(),
            runtime.bus,
            runtime.transactions("dead-letters"),
            key=lambda delivery: death_key(delivery, clock.now().date()),
        ),
    ]
    return Service("ingest", workers, api.routes())
