"""The stack in containers: up, asked, answered, killed, scaled, backed up and restored."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.compose.conftest import Installation
from tests.compose.docker import inspect, run
from tests.outside import alert
from tests.waiting import eventually

SERVICES = ("ingest", "dispatcher", "chat-gateway", "auth-poller", "console")
SECONDS_TO_FIRST_QUESTION = 60.0
IMAGE_BYTES = 200_000_000
STOP_SECONDS = 15.0
"""stop_grace_period"""
PUBLISH = """
import json, pika, sys
user, bodies = sys.argv[1], json.loads(sys.argv[2])
connection = pika.BlockingConnection(pika.URLParameters(open(f"/secrets/amqp_url_{user}").read()))
channel = connection.channel()
channel.confirm_delivery()
for body in bodies:
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
    channel.basic_publish("securitybot.alerts", "alert.tests", json.dumps(body), properties, mandatory=True)
"""
INTRUDE = """
import pika
url = pika.URLParameters(open("/secrets/amqp_url_publisher").read())
def refused(action):
    channel = pika.BlockingConnection(url).channel()
    try:
        action(channel)
    except pika.exceptions.ChannelClosedByBroker as error:
        return error.reply_code
def say_approved(channel):
    channel.confirm_delivery()
    channel.basic_publish("securitybot.events", "AuthenticationSettled", b"{}", mandatory=True)
def publish_too_much(channel):
    channel.confirm_delivery()
    channel.basic_publish("securitybot.alerts", "alert.tests", bytes(1048577), mandatory=True)
print(refused(lambda channel: channel.basic_get("securitybot.ingest")), refused(say_approved),
      refused(lambda channel: channel.queue_declare("mine")), refused(publish_too_much))
"""
HEARD = """
import json, pika
channel = pika.BlockingConnection(pika.URLParameters(open("/secrets/amqp_url_admin").read())).channel()
while (got := channel.basic_get("heard", auto_ack=True))[0] is not None:
    print(json.dumps(json.loads(got[2])))
"""


class Ear:
    """What was heard on `securitybot.outcomes`, each event once."""

    def __init__(self, stack: Installation) -> None:
        self._stack = stack
        self.events: dict[str, dict[str, Any]] = {}

    def of(self, digest: str) -> list[dict[str, Any]]:
        """Return the outcomes of an alert so far."""
        for line in self._stack.compose.python(HEARD).splitlines():
            event = json.loads(line)
            self.events[event["id"]] = event
        return [event["data"] for event in self.events.values() if event["subject"] == digest]

    def wait(self, digest: str) -> dict[str, Any]:
        """Return the only outcome of an alert, once it is there."""
        (outcome,) = eventually(lambda: self.of(digest), 30, every=1.0)
        return outcome


def sql(stack: Installation, statement: str) -> list[list[str]]:
    """Read the record past all of the product's code."""
    client = "/docker-entrypoint-initdb.d/as-root"
    rows = stack.compose.exec(
        "mysql",
        client,
        "mysql",
        "--default-character-set=utf8mb4",
        "--batch",
        "--skip-column-names",
        "securitybot",
        given=statement,
    )
    return [line.split("\t") for line in rows.splitlines()]


def ready(stack: Installation, service: str) -> dict[str, str]:
    """Return what a service says is wrong with it, by part; nothing when it is ready."""
    ask = (
        "import urllib.request as r, urllib.error as e\n"
        "try: print(r.urlopen('http://127.0.0.1:8080/readyz', timeout=20).read().decode())\n"
        "except e.HTTPError as error: print(error.read().decode())\n"
        'except OSError as error: print(\'{"problems": {"http": "\' + str(error) + \'"}}\')\n'
    )
    problems: dict[str, str] = json.loads(stack.compose.exec(service, "python", "-", given=ask)).get("problems", {})
    return problems


def all_ready(stack: Installation) -> bool:
    """Tell whether every service can work."""
    return all(not ready(stack, service) for service in SERVICES)


def test_up_and_asking_within_a_minute_from_an_image_of_200_megabytes(
    stack: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    size = int(inspect(stack.compose.environment["SECURITYBOT_IMAGE"], "{{.Size}}"))
    with capsys.disabled():
        sys.stdout.write(
            f"\nup in {stack.seconds_to_up:.1f} s, first question after {stack.seconds_to_first_question:.1f} s, "
            f"image {size / 1e6:.0f} MB, base images: {stack.bases}\n"
        )
    assert stack.seconds_to_first_question <= SECONDS_TO_FIRST_QUESTION
    assert size <= IMAGE_BYTES


def test_every_container_is_confined_and_well(stack: Installation) -> None:
    for service in (*SERVICES, "rabbitmq", "mysql"):
        for container in stack.compose.containers(service):
            eventually(lambda c=container: inspect(c, "{{.State.Health.Status}}") == "healthy", 60, every=1.0)  # type: ignore[misc]
            state = json.loads(inspect(container, "{{json .}}"))
            host = state["HostConfig"]
            assert state["Config"]["User"].partition(":")[0] not in ("", "0", "root"), service
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert "no-new-privileges:true" in host["SecurityOpt"], service
            assert host["Memory"] > 0, service
            published = [port for ports in host["PortBindings"].values() for port in ports or []]
            assert all(port["HostIp"] == "127.0.0.1" for port in published), service
            assert bool(published) == (service in ("ingest", "console")), service
            assert "password" not in json.dumps(state["Config"]["Env"]).lower().replace("mysql_root_password_file", "")


def test_a_service_reads_its_own_secrets_and_no_others(stack: Installation) -> None:
    assert stack.compose.exec("ingest", "cat", "/secrets/amqp_url_ingest").startswith("amqp://securitybot-ingest:")
    for other in ("amqp_url_auth_poller", "database_url_admin", "mysql_root", "definitions.json", "rabbitmq_ingest"):
        refused = stack.compose.outcome("exec", "-T", "ingest", "cat", f"/secrets/{other}", check=False)
        assert "Permission denied" in refused.stderr, other


@pytest.mark.parametrize(("service", "other_end"), [("chat-gateway", "chat"), ("auth-poller", "auth")])
def test_a_service_checks_what_it_reaches(stack: Installation, service: str, other_end: str) -> None:
    checked = [line.split() for line in stack.compose.exec(service, "securitybot", "check").splitlines()]
    assert {result for _, result in checked} == {"ok"}
    assert {"settings", "broker", "broker-rights", "database", "database-rights", other_end} <= {n for n, _ in checked}


def test_there_is_no_guest_and_a_publisher_may_publish_and_nothing_else(stack: Installation) -> None:
    users = stack.compose.exec("rabbitmq", "rabbitmqctl", "--quiet", "list_users")
    assert "guest" not in users
    assert "securitybot-publisher" in users
    assert stack.compose.python(INTRUDE).split() == ["403", "403", "403", "406"]


def test_an_alert_over_amqp_is_asked_about_proved_and_its_outcome_published(stack: Installation) -> None:
    body = alert("bob", "sudo on db-7")
    bob, ear = stack.analyst("bob"), Ear(stack)
    stack.compose.python(PUBLISH, "publisher", json.dumps([body]))
    bob.click("yes", "sudo on db-7", "deploying")
    bob.click("push", "")
    bob.click("approve", "")
    outcome = ear.wait(body["hash"])
    # The simulated push proves to nobody but a tester that it was bob; it does so here.
    assert (outcome["resolution"], outcome["performed"], outcome["comment"]) == ("confirmed", True, "deploying")


def test_an_alert_over_http_that_is_denied_reaches_the_team(stack: Installation) -> None:
    body = alert("carol", "odd log-in")
    carol, ear = stack.analyst("carol"), Ear(stack)
    token = json.loads(stack.compose.cli("tokens", "create", "detections", "--scope", "publish", "--json"))["token"]
    answer = httpx.post(f"{stack.ingest}/v1/alerts", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 202
    carol.click("no", "odd log-in")
    assert ear.wait(body["hash"])["resolution"] == "denied"
    stack.analyst("team", "viewer").wait_for("odd log-in")  # what the reporting channel has heard


@pytest.fixture
def scaled(stack: Installation) -> Iterator[Installation]:
    """Three dispatchers and two gateways, for one test."""
    stack.compose("up", "-d", "--no-recreate", "--scale", "dispatcher=3", "--scale", "chat-gateway=2")
    yield stack
    stack.compose("up", "-d", "--no-recreate", "--scale", "dispatcher=1", "--scale", "chat-gateway=1")


def test_scaled_and_killed_it_asks_everybody_in_order_and_once(scaled: Installation) -> None:
    stack = scaled
    names, each = ("dora", "erin", "fred"), 5
    bodies = {name: [alert(name, f"alert {n} of {name}") for n in range(each)] for name in names}
    browsers = {name: stack.analyst(name) for name in names}
    stack.compose.python(PUBLISH, "publisher", json.dumps([bodies[name][n] for n in range(each) for name in names]))

    def answer_all(name: str) -> None:
        for _ in bodies[name]:
            browsers[name].answer_next("no", 60)

    threads = [threading.Thread(target=answer_all, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for service in ("dispatcher", "chat-gateway", "dispatcher", "auth-poller", "ingest"):
        time.sleep(1.5)
        victim = stack.compose.containers(service)[0]
        run("docker", "kill", victim)
        run("docker", "start", victim)
    for thread in threads:
        thread.join(180)
    ear = Ear(stack)
    for body in (body for name in names for body in bodies[name]):
        assert ear.wait(body["hash"])["resolution"] == "denied"
    for name in names:
        sent = sql(
            stack,
            "SELECT sequence, JSON_UNQUOTE(JSON_EXTRACT(content, '$.summary')) FROM chat_deliveries "
            f"WHERE recipient_id = '{name}' AND kind = 'send' AND state = 'sent' ORDER BY completed_at, sequence",
        )
        assert [int(row[0]) for row in sent] == sorted({int(row[0]) for row in sent})
        asked = [row[1] for row in sent if "alert" in row[1] and ("Hello" in row[1] or "One more thing" in row[1])]
        assert len(asked) == len(set(asked)) == each


def test_a_killed_broker_and_database_lose_nothing(stack: Installation) -> None:
    bodies = [alert("gina", f"storm {n}") for n in range(4)]
    gina, ear = stack.analyst("gina"), Ear(stack)
    for number, victim in enumerate(("rabbitmq", "mysql")):
        stack.compose.python(PUBLISH, "publisher", json.dumps(bodies[2 * number : 2 * number + 2]))
        (container,) = stack.compose.containers(victim)
        run("docker", "kill", container)
        run("docker", "start", container)
        eventually(lambda: all_ready(stack), 90, every=1.0)
    for body in bodies:
        gina.click("not_sure", body["title"])
        assert ear.wait(body["hash"])["resolution"] == "not_sure"


def test_who_is_away_is_told_by_every_service_in_readyz_and_in_the_log(stack: Installation) -> None:
    for away, part in (("rabbitmq", "broker"), ("mysql", "database")):
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        stack.compose("stop", away)
        for service in SERVICES:
            cause = eventually(lambda s=service, p=part: ready(stack, s).get(p, ""), 60, every=1.0)  # type: ignore[misc]
            assert len(cause) > len("not connected"), (service, cause)
            (container,) = stack.compose.containers(service)
            eventually(lambda c=container, t=since: _tells_a_cause(c, t), 60, every=1.0)  # type: ignore[misc]
        stack.compose("start", away)
        eventually(lambda: all_ready(stack), 90, every=1.0)


def _tells_a_cause(container: str, since: str) -> bool:
    log = run("docker", "logs", "--since", since, container)
    lines = [json.loads(line) for line in (log.stdout + log.stderr).splitlines() if line.startswith("{")]
    return any(line["level"] in ("warning", "error") and line.get("cause") for line in lines)


def test_a_backup_restored_is_the_record_as_it_was(stack: Installation) -> None:
    kept, later, after = (alert("hana", f"{when} the backup") for when in ("before", "later than", "after restoring"))
    hana, ear = stack.analyst("hana"), Ear(stack)
    stack.compose.python(PUBLISH, "publisher", json.dumps([kept]))
    hana.click("no", kept["title"])
    ear.wait(kept["hash"])
    file = stack.compose.folder / "record.sql.gz"
    _script(stack, "backup-record", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    stack.compose.python(PUBLISH, "publisher", json.dumps([later]))
    hana.click("no", later["title"])
    ear.wait(later["hash"])

    _script(stack, "restore-record", str(file))

    eventually(lambda: all_ready(stack), 90, every=1.0)
    listed = stack.compose.cli("alerts", "list", "--json")
    assert kept["hash"] in listed
    assert later["hash"] not in listed
    stack.compose.python(PUBLISH, "publisher", json.dumps([after]))
    hana.click("no", after["title"])
    assert ear.wait(after["hash"])["resolution"] == "denied"


def test_half_a_backup_is_refused_before_anything_is_touched(stack: Installation) -> None:
    file = stack.compose.folder / "half.sql.gz"
    subprocess.run(["sh", "-c", f"echo 'DROP DATABASE securitybot;' | gzip > {file}"], check=True)
    done = _script(stack, "restore-record", str(file), check=False)
    assert done.returncode == 1
    assert "no whole backup" in done.stderr
    assert all_ready(stack)


def _script(stack: Installation, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    script = str(stack.compose.folder / "scripts" / name)
    return run(script, *arguments, cwd=stack.compose.folder, env=stack.compose.environment, check=check)


def test_new_passwords_are_taken_over_and_old_files_kept(stack: Installation) -> None:
    before = stack.compose("run", "--rm", "-T", "--entrypoint", "cat", "cli", "/secrets/amqp_url_admin")
    stack.compose("up", "-d")
    assert stack.compose("run", "--rm", "-T", "--entrypoint", "cat", "cli", "/secrets/amqp_url_admin") == before
    assert all_ready(stack)


def test_stopped_every_service_ends_by_itself_and_in_time(stack: Installation) -> None:
    began = time.monotonic()
    stack.compose("stop", *SERVICES)
    assert time.monotonic() - began < STOP_SECONDS
    for service in SERVICES:
        (container,) = stack.compose.containers(service)
        assert inspect(container, "{{.State.ExitCode}}") == "0", service
    stack.compose("start", *SERVICES)
    eventually(lambda: all_ready(stack), 60, every=1.0)
