"""Least privilege, with what `securitybot bootstrap` writes: each service does its work, and tries what is not its."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pika
import pika.exceptions
import pytest
from sqlalchemy import NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from common.bus.port import Delivery
from common.bus.rabbit_steps import ACCESS_REFUSED
from common.bus.rabbitmq import RabbitBus
from common.codec import decode
from common.errors import BadMessage, BusUnavailable
from common.messages import ALL_MESSAGES
from common.records.schema import SCHEMA
from common.rights import SERVICES
from common.topology import ALERTS, DEAD, EVENTS, OUTCOMES, TOPOLOGY, Exchange, Topology, retry_key
from services.cli.main import cli
from tests.e2e.conftest import POLICIES
from tests.outside import Outcomes, alert, publish
from tests.person import Person
from tests.servers import MariaServer, RabbitServer
from tests.stack import SERVICES as STARTED
from tests.stack import Stack
from tests.waiting import eventually

DENIED = (1044, 1142, 1143, 1227)
"""Access denied: to a database, a table, a column, or for want of a global privilege."""
EVERY_KEY = {
    ALERTS: ["alert.x"],
    OUTCOMES: ["outcome.confirmed"],
    EVENTS: [*(message.type_name() for message in ALL_MESSAGES), *(retry_key(queue.name) for queue in TOPOLOGY.queues)],
    DEAD: ["x"],
    "": [queue.name for queue in TOPOLOGY.queues],
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A broker that was started with the definitions, a record with the grants, and the files."""

    folder: Path
    rabbit: RabbitServer
    maria: MariaServer

    def amqp(self, user: str) -> str:
        return (self.folder / f"amqp_url_{user.replace('-', '_')}").read_text()

    def database(self, user: str) -> str:
        return (self.folder / f"database_url_{user.replace('-', '_')}").read_text()


@pytest.fixture(scope="module")
def deployment(mariadb: MariaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """What Compose does: bootstrap, broker and database start with its files, migrate as the administrator."""
    folder = tmp_path_factory.mktemp("secrets")
    rabbit = RabbitServer(settings=f"load_definitions = {folder / 'definitions.json'}")
    place = ["--rabbitmq", f"127.0.0.1:{rabbit.port}", "--mysql", f"127.0.0.1:{mariadb.port}"]
    assert cli.main(["bootstrap", "--into", str(folder), *place, "--chat", "slack"], standalone_mode=False) == 0
    root = create_engine(mariadb.url, poolclass=NullPool)
    with root.begin() as connection:
        for statement in (folder / "users.sql").read_text().splitlines():
            connection.execute(text(statement.removesuffix(";")))
    try:
        rabbit.start()
        deployment = Deployment(folder, rabbit, mariadb)
        _migrate(deployment)
        yield deployment
    finally:
        rabbit.remove()
        with root.begin() as connection:
            connection.execute(text("DROP DATABASE securitybot"))
            for user in (*SERVICES, "admin"):
                connection.execute(text(f"DROP USER 'securitybot-{user}'@'%'"))


def _migrate(deployment: Deployment) -> None:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SECURITYBOT_AMQP_URL_FILE", str(deployment.folder / "amqp_url_admin"))
        environment.setenv("SECURITYBOT_DATABASE_URL_FILE", str(deployment.folder / "database_url_admin"))
        assert cli.main(["migrate", "--grants"], standalone_mode=False) == 0


def may_publish(url: str, exchange: str, key: str) -> bool:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"?", pika.BasicProperties(message_id="probe"))
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        return False
    else:
        return True
    finally:
        connection.close()


def may_consume(url: str, queue: str) -> bool:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        connection.channel().basic_get(queue)
    except pika.exceptions.ChannelClosedByBroker as error:
        if error.reply_code != ACCESS_REFUSED:
            raise
        return False
    else:
        return True
    finally:
        connection.close()


# --- the broker -----------------------------------------------------------------------------------------------------


def test_there_is_no_guest(deployment: Deployment) -> None:
    users = [line.split()[0] for line in deployment.rabbit.ctl("-q", "list_users", "--no-table-headers").splitlines()]
    assert sorted(users) == sorted(f"securitybot-{name}" for name in (*SERVICES, "publisher", "admin"))
    for vhost in ("%2F", "securitybot"):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            pika.BlockingConnection(
                pika.URLParameters(f"amqp://guest:guest@127.0.0.1:{deployment.rabbit.port}/{vhost}")
            )


@pytest.mark.parametrize(
    ("user", "own"),
    [
        ("ingest", {(ALERTS, "alert.x"), (EVENTS, "AlertAccepted")}),
        (
            "dispatcher",
            {
                (ALERTS, "alert.x"), (OUTCOMES, "outcome.confirmed"), (EVENTS, "AlertAccepted"),
                (EVENTS, "SendChatMessage"), (EVENTS, "UpdateChatMessage"), (EVENTS, "LookUpPerson"),
                (EVENTS, "StartAuthentication"), (EVENTS, "AllowPushes"), (EVENTS, "retry.securitybot.dispatcher"),
            },
        ),
        (
            "chat-gateway",
            {
                (EVENTS, "ReplyReceived"), (EVENTS, "PersonLookedUp"), (EVENTS, "ChatMessageDelivered"),
                (EVENTS, "ChatMessageUndeliverable"), (EVENTS, "retry.securitybot.chat-gateway"),
            },
        ),
        (
            "auth-poller",
            {
                (EVENTS, "AuthenticationStarted"), (EVENTS, "AuthenticationSettled"),
                (EVENTS, "retry.securitybot.auth-poller"),
            },
        ),
        ("console", {(ALERTS, "alert.x"), (EVENTS, "AllowPushes")}),
        ("publisher", {(ALERTS, "alert.x")}),
    ],
)  # fmt: skip
def test_a_user_publishes_its_own_messages_and_no_others(
    deployment: Deployment, user: str, own: set[tuple[str, str]]
) -> None:
    url = deployment.amqp(user)
    taken = {(exchange, key) for exchange, keys in EVERY_KEY.items() for key in keys if may_publish(url, exchange, key)}
    assert taken == own


@pytest.mark.parametrize(
    ("user", "own"),
    [
        ("ingest", {"securitybot.ingest", "securitybot.dead"}),
        ("dispatcher", {"securitybot.dispatcher"}),
        ("chat-gateway", {"securitybot.chat-gateway"}),
        ("auth-poller", {"securitybot.auth-poller"}),
        ("console", set()),
        ("publisher", set()),
    ],
)
def test_a_user_reads_its_own_queues_and_no_others(deployment: Deployment, user: str, own: set[str]) -> None:
    url = deployment.amqp(user)
    assert {queue.name for queue in TOPOLOGY.queues if may_consume(url, queue.name)} == own


@pytest.mark.parametrize("user", [*SERVICES, "publisher"])
def test_a_user_can_neither_make_nor_bind_nor_delete(deployment: Deployment, user: str) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(deployment.amqp(user)))
    other = "securitybot.dispatcher" if user == "chat-gateway" else "securitybot.chat-gateway"
    attempts: list[Callable[[Any], object]] = [
        lambda channel: channel.queue_declare("mine"),
        lambda channel: channel.exchange_declare("mine"),
        lambda channel: channel.queue_delete("securitybot.dispatcher"),
        lambda channel: channel.exchange_delete(EVENTS),
        lambda channel: channel.queue_bind("securitybot.ingest", EVENTS, "#"),
        lambda channel: channel.queue_unbind("securitybot.dispatcher", EVENTS, "AuthenticationSettled"),
        lambda channel: channel.queue_purge(other),
    ]
    for attempt in attempts:
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refusal:
            attempt(connection.channel())
        assert refusal.value.reply_code == ACCESS_REFUSED
    connection.close()


def test_a_service_finds_its_topology_without_the_right_to_declare_it(deployment: Deployment) -> None:
    bus = RabbitBus(deployment.amqp("auth-poller"))
    bus.declare(TOPOLOGY)
    more = Topology((*TOPOLOGY.exchanges, Exchange("securitybot.newer")), TOPOLOGY.queues)
    with pytest.raises(BusUnavailable, match=r"'securitybot\.newer'.*run `securitybot migrate`"):
        bus.declare(more)
    bus.close()


def test_a_second_routing_key_in_a_header_does_not_get_round_the_rights(deployment: Deployment) -> None:
    """Sender-selected distribution (`CC`) routes by more keys than the one that old brokers check the right for."""
    connection = pika.BlockingConnection(pika.URLParameters(deployment.amqp("chat-gateway")))
    channel = connection.channel()
    properties = pika.BasicProperties(message_id="cc", type="AuthenticationSettled", headers={"CC": ["AlertAccepted"]})
    channel.confirm_delivery()
    with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):  # a new broker refuses it
        channel.basic_publish(EVENTS, "PersonLookedUp", b"{}", properties)
        method, got, _ = _next(deployment, "securitybot.dispatcher", "cc")
        delivery = Delivery(
            "securitybot.dispatcher", EVENTS, method.routing_key, b"{}", "cc", got.type, None, {"version": 1}, None,
            redelivered=False, tag=None,
        )  # fmt: skip
        with pytest.raises(BadMessage, match="routing key"):
            decode(delivery)
    if connection.is_open:
        connection.close()


def _next(deployment: Deployment, queue: str, message_id: str) -> tuple[Any, Any, bytes]:
    connection = pika.BlockingConnection(pika.URLParameters(deployment.amqp("admin")))
    channel = connection.channel()
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack=True)
        assert method is not None, f"{message_id} is not in {queue}"
        if properties.message_id == message_id:
            connection.close()
            return method, properties, body


def test_a_queue_that_is_gone_makes_its_service_not_ready_and_migrate_brings_it_back(deployment: Deployment) -> None:
    bus = RabbitBus(deployment.amqp("auth-poller"))
    bus.declare(TOPOLOGY)
    consumer = bus.consume(["securitybot.auth-poller"], prefetch=1)
    eventually(lambda: bus.problem() is None)
    channel = pika.BlockingConnection(pika.URLParameters(deployment.amqp("admin"))).channel()
    channel.queue_delete("securitybot.auth-poller")
    channel.connection.close()
    problem = eventually(bus.problem)
    assert "securitybot.auth-poller" in str(problem)
    eventually(lambda: "NOT_FOUND" in str(bus.problem()))
    with pytest.raises(BusUnavailable, match="run `securitybot migrate`"):
        bus.declare(TOPOLOGY)
    _migrate(deployment)
    eventually(lambda: bus.problem() is None, 20)
    consumer.close()
    bus.close()


# --- the record -----------------------------------------------------------------------------------------------------


def refused(connection: Any, statement: str) -> bool:
    try:
        connection.execute(text(statement))
    except (OperationalError, ProgrammingError) as error:
        if error.orig is None or error.orig.args[0] not in DENIED:
            raise
        return True
    return False


@pytest.mark.parametrize("user", SERVICES)
def test_a_service_reaches_the_tables_that_it_needs_and_no_others(deployment: Deployment, user: str) -> None:
    engine = create_engine(deployment.database(user), poolclass=NullPool)
    with engine.connect() as connection:
        readable = {name for name in SCHEMA.tables if not refused(connection, f"SELECT 1 FROM {name} LIMIT 1")}
        deletable = {name for name in SCHEMA.tables if not refused(connection, f"DELETE FROM {name} WHERE 1=0")}
    wanted = {name: privileges for name, privileges in SERVICES[user].tables.items() if name in SCHEMA.tables}
    assert readable == set(wanted)
    assert deletable == {name for name, privileges in wanted.items() if "DELETE" in privileges}
    assert "history" not in deletable


@pytest.mark.parametrize("user", SERVICES)
def test_no_service_rewrites_the_history_or_changes_the_schema(deployment: Deployment, user: str) -> None:
    engine = create_engine(deployment.database(user), poolclass=NullPool)
    with engine.connect() as connection:
        for statement in (
            "UPDATE history SET actor = 'somebody else' WHERE id = 1",
            "DELETE FROM history",
            "TRUNCATE TABLE history",
            "DROP TABLE history",
            "ALTER TABLE alerts ADD COLUMN x INT",
            "CREATE TABLE mine (x INT)",
            "UPDATE alembic_version SET version_num = '9999'",
            "INSERT INTO api_tokens (name, scope) VALUES ('mine', 'admin')",
            "UPDATE api_tokens SET scope = 'admin'",
            "INSERT INTO analysts (name, role) VALUES ('mine', 'admin')",
            "UPDATE people SET email = 'mine@example.com'"
            if user != "chat-gateway"
            else "UPDATE conversations SET version = 1",
            "CREATE USER mine",
            "GRANT SELECT ON securitybot.history TO 'securitybot-publisher'@'%'",
            "SELECT * FROM mysql.user",
        ):
            assert refused(connection, statement), statement


def checked(deployment: Deployment, user: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the lines of `securitybot check` for a user, by name."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SECURITYBOT_AMQP_URL", deployment.amqp(user))
        environment.setenv("SECURITYBOT_DATABASE_URL", deployment.database(user if user != "publisher" else "admin"))
        environment.setenv("SECURITYBOT_AUTH", "none")
        cli.main(["check"], standalone_mode=False)
    return {line.split()[0]: line.partition(" ")[2].strip() for line in capsys.readouterr().out.splitlines()}


@pytest.mark.parametrize("user", [*(name for name in SERVICES if name != "console"), "admin"])
def test_check_finds_that_a_service_has_the_rights_that_it_needs(
    deployment: Deployment, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = checked(deployment, user, capsys)
    assert set(told.values()) == {"ok"}, told
    assert {"broker-rights", "database-rights", "database-clock"} <= set(told)
    assert ("chat" in told) == (user in ("chat-gateway", "admin"))


def test_check_finds_what_is_missing(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    told = checked(deployment, "console", capsys)  # the definitions are those for Slack, the settings say local chat
    assert "may not publish ReplyReceived: import definitions.json" in told["broker-rights"]
    told = checked(deployment, "publisher", capsys)
    assert "StartAuthentication" in told["broker-rights"]
    root = create_engine(deployment.maria.url, poolclass=NullPool)
    account = "`securitybot`.`alerts` {} 'securitybot-dispatcher'@'%'"
    for change, ending, told_of in (("REVOKE UPDATE", "FROM", "UPDATE on alerts"), ("GRANT UPDATE", "TO", None)):
        with root.begin() as connection:
            connection.execute(text(f"{change} ON {account.format(ending)}"))
        line = checked(deployment, "dispatcher", capsys)["database-rights"]
        assert (told_of or "ok") in line
        assert told_of is None or "securitybot migrate --grants" in line


def test_check_finds_a_service_that_may_rewrite_the_history(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    root = create_engine(deployment.maria.url, poolclass=NullPool)
    with root.begin() as connection:
        connection.execute(text("GRANT DELETE ON `securitybot`.`history` TO 'securitybot-ingest'@'%'"))
    try:
        assert "may rewrite the history" in checked(deployment, "ingest", capsys)["database-rights"]
    finally:
        with root.begin() as connection:
            connection.execute(text("REVOKE DELETE ON `securitybot`.`history` FROM 'securitybot-ingest'@'%'"))


def test_check_publishes_nothing(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    bus = RabbitBus(deployment.amqp("admin"))
    names = [queue.name for queue in TOPOLOGY.queues]
    before = bus.depths(names)
    checked(deployment, "admin", capsys)
    assert bus.depths(names) == before
    bus.close()


# --- the whole ------------------------------------------------------------------------------------------------------


def test_an_alert_goes_all_the_way_with_each_service_under_its_own_users(deployment: Deployment) -> None:
    """~10 s: processes."""
    admin = deployment.amqp("admin"), deployment.database("admin")
    with Stack(*admin, POLICIES, own_users=False) as stack, Outcomes(admin[0]) as outcomes:
        for name in STARTED:
            stack.start(
                name, SECURITYBOT_AMQP_URL=deployment.amqp(name), SECURITYBOT_DATABASE_URL=deployment.database(name)
            )
        stack.wait_ready()
        person = Person(stack)
        proved, denied, broken = alert(person.name, "mine"), alert(person.name, "not mine"), b"{"
        publish(deployment.amqp("publisher"), [proved, broken])
        person.confirm("mine")
        assert outcomes.wait(proved["hash"])["resolution"] == "confirmed"
        publish(deployment.amqp("publisher"), [denied])
        person.click(person.card("not mine"), "no", "not me")
        assert outcomes.wait(denied["hash"])["comment"] == "not me"
        person.say("status")
        person.read("pen")
        stopped = [(name, process.term()) for name, process in stack.processes.items()]
        assert stopped == [(name, 0) for name in STARTED]
        refusals = [line for _, log in stack.logs() for line in log.splitlines() if _is_refusal(line)]
        assert refusals == []


def _is_refusal(line: str) -> bool:
    return any(word in line for word in ("ACCESS_REFUSED", "command denied", "thread_died", "periodic_work"))


def test_what_the_definitions_declare_is_what_the_services_would_declare(deployment: Deployment) -> None:
    bus = RabbitBus(deployment.amqp("admin"))
    bus.declare(TOPOLOGY)  # other arguments would be refused
    bus.close()
    exported = json.loads(deployment.rabbit.ctl("-q", "export_definitions", "-"))
    bindings = {(b["source"], b["destination"], b["routing_key"]) for b in exported["bindings"]}
    assert {binding for binding in bindings if binding[1].startswith("securitybot.")} == {
        (binding.exchange, queue.name, binding.routing_key) for queue in TOPOLOGY.queues for binding in queue.bindings
    }
    assert str(make_url(deployment.amqp("ingest")).password) not in json.dumps(exported)
