"""What an operator meets: checks, mistakes in the settings, parts that are away, and stopping."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url

from tests.crowd import Crowd
from tests.outside import Outcomes, alert, publish
from tests.person import Person
from tests.servers import free_port
from tests.stack import SCRIPT, SERVICES, Stack
from tests.waiting import eventually


def lines_of(stack: Stack, service: str, event: str) -> list[dict[str, object]]:
    """Return the log lines of one event."""
    log = (stack.folder / f"{service}.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_check_tells_of_each_part_that_it_is_well(stack: Stack) -> None:
    done = stack.run("check")
    assert [line.split() for line in done.stdout.splitlines()] == [
        [name, "ok"]
        for name in (
            "settings", "broker", "broker-rights", "database", "database-rights", "database-clock", "chat",
            "chat-scopes", "chat-clock", "chat-socket", "chat-channel", "auth", "auth-clock",
        )
    ]  # fmt: skip


def test_check_tells_what_is_missing_or_off_and_what_to_do(stack: Stack) -> None:
    stack.slack.scopes.remove("users:read.email")
    stack.slack.clock_offset, stack.duo.clock_offset = 90.0, -60.0
    try:
        done = stack.run(
            "check", check=False, SECURITYBOT_REPORTING_CHANNEL="C0NOWHERE", SECURITYBOT_SLACK_APP_TOKEN="xapp-wrong"
        )
    finally:
        stack.slack.scopes.add("users:read.email")
        stack.slack.clock_offset = stack.duo.clock_offset = 0.0
    wrong = {line.split()[0]: line for line in done.stdout.splitlines() if not line.endswith("ok")}
    assert done.returncode == 1
    assert set(wrong) == {"chat-scopes", "chat-clock", "chat-socket", "chat-channel", "auth-clock"}
    assert "users:read.email" in wrong["chat-scopes"]
    assert "s behind Slack's: let NTP" in wrong["chat-clock"]
    assert "connections:write" in wrong["chat-socket"]
    assert "C0NOWHERE: channel_not_found; give the channel's id, and invite the bot" in wrong["chat-channel"]
    assert "s ahead of Duo's" in wrong["auth-clock"]
    assert "xapp-wrong" not in done.stdout + done.stderr


@pytest.mark.parametrize("broken", ["broker", "database", "chat", "auth"])
def test_check_tells_which_part_is_broken(stack: Stack, broken: str) -> None:
    away = free_port()
    amqp, database = make_url(stack.amqp_url), make_url(stack.database_url)
    environment = {
        "broker": {"SECURITYBOT_AMQP_URL": amqp.set(port=away).render_as_string(hide_password=False)},
        "database": {"SECURITYBOT_DATABASE_URL": database.set(port=away).render_as_string(hide_password=False)},
        "chat": {"SECURITYBOT_SLACK_BOT_TOKEN": "xoxb-wrong"},
        "auth": {"SECURITYBOT_DUO_SKEY": "wrong-key"},
    }[broken]
    done = stack.run("check", check=False, **environment)
    assert done.returncode == 1
    state = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert [name for name, line in state.items() if not line.endswith("ok")] == [broken]
    assert "failed" in state[broken]
    assert all(secret not in done.stdout + done.stderr for secret in (str(amqp.password), str(database.password)))


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("dispatcher", "SECURITYBOT_AMQP_URL", "localhost"),
        ("ingest", "SECURITYBOT_DATABASE_URL", "postgresql://secret:hunter2@host/x"),
        ("chat-gateway", "SECURITYBOT_SLACK_APP_TOKEN", ""),
        ("auth-poller", "SECURITYBOT_DUO_HOST", "https://duo"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(stack: Stack, service: str, name: str, value: str) -> None:
    done = stack.run("run", service, check=False, **{name: value})
    assert done.returncode == 2
    (told,) = done.stderr.splitlines()
    assert name in told
    assert "hunter2" not in told


def test_several_wrong_settings_are_told_at_once(stack: Stack) -> None:
    wrong = {"SECURITYBOT_HTTP_PORT": "70000", "SECURITYBOT_LOG_FORMAT": "xml"}
    done = stack.run("run", "ingest", check=False, **wrong)
    assert done.returncode == 2
    assert all(any(name in line for line in done.stderr.splitlines()) for name in wrong)


def test_broker_and_database_that_are_away_at_start_are_waited_for(own_stack: Stack) -> None:
    away = make_url(own_stack.amqp_url).set(port=free_port()).render_as_string(hide_password=False)
    (process,) = own_stack.start("ingest", SECURITYBOT_AMQP_URL=away)
    eventually(lambda: len(lines_of(own_stack, "ingest", "waiting_for")) >= 2, 30)
    assert {line["what"] for line in lines_of(own_stack, "ingest", "waiting_for")} == {"broker"}
    health, ready = process.get("/healthz"), process.get("/readyz")
    assert health is not None
    assert health.status_code == 200
    assert ready is not None
    assert ready.status_code == 503
    assert "broker" in ready.json()["problems"]
    assert process.term() == 0
    away = make_url(own_stack.database_url).set(port=free_port()).render_as_string(hide_password=False)
    (process,) = own_stack.start("ingest", SECURITYBOT_DATABASE_URL=away)
    eventually(
        lambda: {line["what"] for line in lines_of(own_stack, "ingest", "waiting_for")} == {"broker", "database"}, 30
    )
    assert process.term() == 0


def test_a_stop_under_load_is_quick_and_loses_nothing(own_stack: Stack) -> None:
    own_stack.start()
    crowd = Crowd(own_stack, ["denies", "is unsure", "denies"])
    own_stack.wait_ready()
    alerts = [alert(crowd.members[n % 3].name, f"load {n % 7}") for n in range(400)]
    with Outcomes(own_stack.amqp_url) as outcomes, crowd:
        for number, name in enumerate(SERVICES):
            publish(own_stack.amqp_url, alerts[100 * number : 100 * (number + 1)])
            assert own_stack.processes[name].term() == 0
            assert lines_of(own_stack, name, "stopped")
            assert lines_of(own_stack, name, "stopped_late") == []
            own_stack.start(name)
        for body in alerts:
            assert outcomes.wait(body["hash"], 60)["resolution"] in ("denied", "not_sure")
    assert len(own_stack.rows("SELECT hash FROM alerts")) == 400
    seen = [
        m["metadata"]["event_payload"]["message_id"] for c in crowd.members for m in own_stack.slack.messages_to(c.id)
    ]
    assert len(seen) == len(set(seen))


def test_signed_events_over_http_do_what_the_socket_does(http_stack: Stack) -> None:
    http_stack.start()
    http_stack.wait_ready()
    person = Person(http_stack)
    with Outcomes(http_stack.amqp_url) as outcomes:
        body = alert(person.name, "signed")
        publish(http_stack.amqp_url, [body])
        card = person.card("signed")
        url = str(http_stack.slack.poster.url)
        forged = {"type": "event_callback", "event": {"type": "message", "user": person.id, "text": "no"}}
        stale = http_stack.slack.poster.signed(json.dumps(forged), at=time.time() - 301)
        for headers in ({}, {"X-Slack-Request-Timestamp": str(int(time.time())), "X-Slack-Signature": "v0=0"}, stale):
            answer = httpx.post(f"{url}/slack/events", content=json.dumps(forged), headers=headers)
            assert answer.status_code == 401
        person.click(card, "yes", "signed and sealed")
        person.offer()
        person.say("yes")
        person.answer_push("allow")
        assert outcomes.wait(body["hash"])["comment"] == "signed and sealed"


def test_secrets_stay_out_of_logs_arguments_and_errors(own_stack: Stack) -> None:
    database = make_url(own_stack.database_url).set(password=own_stack.secret("wrong-but-secret-password"))
    processes = [
        *own_stack.start("chat-gateway", SECURITYBOT_SLACK_BOT_TOKEN=own_stack.secret("xoxb-wrong-but-secret")),
        *own_stack.start("auth-poller", SECURITYBOT_DUO_SKEY=own_stack.secret("wrong-but-secret-skey")),
        *own_stack.start("ingest", SECURITYBOT_DATABASE_URL=database.render_as_string(hide_password=False)),
    ]
    environment = own_stack.environment()
    secrets = [value for name, value in environment.items() if name.endswith(("_TOKEN", "_SKEY", "_URL"))]
    for process in processes:
        arguments = Path(f"/proc/{process.popen.pid}/cmdline").read_bytes().decode()
        assert all(secret not in arguments for secret in secrets)
    eventually(lambda: lines_of(own_stack, "ingest", "waiting_for"), 30)
    eventually(lambda: lines_of(own_stack, "chat-gateway", "directory_not_refreshed"), 30)
    ready = eventually(lambda: processes[1].get("/readyz"), 30)
    assert ready is not None
    for process in processes:
        for path in ("/readyz", "/metrics"):
            answer = process.get(path)
            assert answer is not None
            assert all(secret not in answer.text for secret in secrets)
    assert "signature" in ready.json()["problems"]["auth"] or "key" in ready.json()["problems"]["auth"]
    assert own_stack.leaks() == []


def test_a_taken_port_is_told_in_one_line(stack: Stack) -> None:
    taken = str(stack.processes["ingest"].port)
    done = stack.run("run", "dispatcher", check=False, SECURITYBOT_HTTP_PORT=taken)
    assert done.returncode == 2
    assert "SECURITYBOT_HTTP_PORT" in done.stderr


def test_settings_come_from_files_too(stack: Stack) -> None:
    path = stack.folder / "amqp-url"
    path.write_text(stack.amqp_url + "\n")
    environment = stack.environment()
    del environment["SECURITYBOT_AMQP_URL"]
    environment["SECURITYBOT_AMQP_URL_FILE"] = str(path)
    done = subprocess.run(
        [SCRIPT, "check"], env=environment, cwd=stack.folder, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[1].split() == ["broker", "ok"]
