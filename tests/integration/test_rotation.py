"""Rotating the passwords of broker and database, as docs/operations.md says, while alerts come in: none is lost."""

from __future__ import annotations

import pika
import pika.exceptions
import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from services.cli.main import cli
from tests.crowd import Crowd
from tests.e2e.conftest import POLICIES
from tests.integration import test_rights
from tests.integration.test_rights import Deployment
from tests.outside import Outcomes, alert, publish
from tests.stack import SERVICES, Name, Stack

deployment = test_rights.deployment
"""The fixture: what bootstrap makes, and servers that were started with it."""
EACH = 20
"""Alerts that are published before, between and after the rotations."""


def rotate(deployment: Deployment, service: str) -> None:
    """Take the passwords away, make new ones, and tell the servers."""
    for password in (f"rabbitmq_{service.replace('-', '_')}", f"mysql_{service.replace('-', '_')}"):
        (deployment.folder / password).unlink()
    place = ["--rabbitmq", f"127.0.0.1:{deployment.rabbit.port}", "--mysql", f"127.0.0.1:{deployment.maria.port}"]
    again = ["bootstrap", "--into", str(deployment.folder), *place, "--chat", "slack"]
    assert cli.main(again, standalone_mode=False) == 0
    deployment.rabbit.ctl("import_definitions", str(deployment.folder / "definitions.json"))
    root = create_engine(deployment.maria.url, poolclass=NullPool)
    with root.begin() as connection:
        for statement in (deployment.folder / "users.sql").read_text().splitlines():
            connection.execute(text(statement.removesuffix(";")))


def test_every_service_gets_new_passwords_while_alerts_come_in_and_none_is_lost(deployment: Deployment) -> None:
    """~15 s: processes."""
    admin = deployment.amqp("admin"), deployment.database("admin")
    with Stack(*admin, POLICIES, own_users=False) as stack, Outcomes(admin[0]) as outcomes:

        def start(name: Name) -> None:
            urls = stack.secret(deployment.amqp(name)), stack.secret(deployment.database(name))
            stack.start(name, SECURITYBOT_AMQP_URL=urls[0], SECURITYBOT_DATABASE_URL=urls[1])

        for name in SERVICES:
            start(name)
        crowd = Crowd(stack, ["denies", "is unsure", "denies"])
        stack.wait_ready()
        alerts = [alert(crowd.members[n % 3].name, f"rotation {n % 5}") for n in range(EACH * (len(SERVICES) + 1))]
        publisher = deployment.amqp("publisher")
        with crowd:
            publish(publisher, alerts[:EACH])
            for number, name in enumerate(SERVICES, start=1):
                before = deployment.amqp(name), deployment.database(name)
                rotate(deployment, name)
                publish(publisher, alerts[EACH * number : EACH * (number + 1)])
                assert stack.processes[name].term() == 0
                start(name)
                with pytest.raises(pika.exceptions.ProbableAuthenticationError):
                    pika.BlockingConnection(pika.URLParameters(before[0]))
                with pytest.raises(OperationalError, match="Access denied"):
                    create_engine(before[1], poolclass=NullPool).connect()
            for body in alerts:
                assert outcomes.wait(body["hash"], 60)["resolution"] in ("denied", "not_sure")
        assert len(stack.rows("SELECT hash FROM alerts")) == len(alerts)
        assert stack.rows("SELECT id FROM quarantine") == []
