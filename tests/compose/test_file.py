"""What the Compose files and the Dockerfile must never lose. Reads them; the stack itself is in test_stack.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.rights import SERVICES
from common.service import STOP_SECONDS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
EXTRAS = {path.name: yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("compose.*.yml"))}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ALL: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = [name for name, service in ALL.items() if "restart" in service]
ADDED = {
    f"{file}: {name}": service
    for file, content in EXTRAS.items()
    for name, service in content["services"].items()
    if name not in ALL
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|SKEY|AMQP_URL|DATABASE_URL|HISTORY_KEY")
every = pytest.mark.parametrize("name", [*ALL, *ADDED])


def service(name: str) -> dict[str, Any]:
    return ALL[name] if name in ALL else ADDED[name]


@every
def test_every_container_is_confined(name: str) -> None:
    given = service(name)
    assert given["read_only"] is True
    assert given["cap_drop"] == ["ALL"]
    assert given["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in given
    assert "privileged" not in given
    assert re.fullmatch(r"\d+(m|g)", given["mem_limit"])


@pytest.mark.parametrize("name", list(ALL))
def test_nobody_is_root(name: str) -> None:
    assert int(ALL[name]["user"].partition(":")[0]) > 0


def test_the_services_are_those_of_the_product_with_broker_and_database() -> None:
    assert set(LASTING) == {*SERVICES, "rabbitmq", "mysql"}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_comes_back_and_tells_how_it_is(name: str) -> None:
    assert ALL[name]["restart"] == "unless-stopped"
    assert ALL[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_starts_when_what_it_needs_is_well(name: str) -> None:
    conditions = {on: how["condition"] for on, how in ALL[name]["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully", "mysql": "service_healthy", "rabbitmq": "service_healthy",
    }  # fmt: skip


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_has_more_time_to_stop_than_it_takes(name: str) -> None:
    assert float(ALL[name]["stop_grace_period"].removesuffix("s")) > STOP_SECONDS + 1
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_service_has_secrets_of_its_own_and_a_group_of_its_own_to_read_them(name: str) -> None:
    file = name.replace("-", "_")
    environment = ALL[name]["environment"]
    assert environment["SECURITYBOT_AMQP_URL_FILE"] == f"/secrets/amqp_url_{file}"
    assert environment["SECURITYBOT_DATABASE_URL_FILE"] == f"/secrets/database_url_{file}"
    group = ALL[name]["user"].partition(":")[2]
    given = (ROOT / "deploy/compose/bootstrap.sh").read_text()
    assert f"give {group} amqp_url_{file} database_url_{file}" in given
    assert group in ALL["bootstrap"]["group_add"]
    assert sum(other["user"].endswith(f":{group}") for other in ALL.values()) == 1


def test_no_secret_stands_in_the_environment() -> None:
    for file, content in {"docker-compose.yml": COMPOSE, **EXTRAS}.items():
        for name, given in content["services"].items():
            for variable in given.get("environment", {}):
                secret = SECRET.search(variable) and "OTEL" not in variable
                assert not secret or variable.endswith("_FILE"), (file, name, variable)


def test_only_the_front_doors_are_published_and_on_this_machine_only() -> None:
    published = {name: given["ports"] for name, given in {**ALL, **ADDED}.items() if "ports" in given}
    assert {name for name in published if name in ALL} == {"ingest", "console"}
    for ports in published.values():
        for port in ports:
            assert re.fullmatch(r"\$\{\w+:-127\.0\.0\.1:\d+\}:\d+", port)


def test_broker_and_database_have_no_way_out_and_nobody_from_outside_a_way_in() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("rabbitmq", "mysql", "dispatcher"):
        assert ALL[name]["networks"] == ["inside"]
    assert ALL["bootstrap"]["network_mode"] == "none"


def test_the_record_and_the_broker_outlive_their_containers() -> None:
    assert {"rabbitmq", "mysql", "secrets"} <= set(COMPOSE["volumes"])
    assert "rabbitmq:/var/lib/rabbitmq" in ALL["rabbitmq"]["volumes"]
    assert "mysql:/var/lib/mysql" in ALL["mysql"]["volumes"]


def test_the_image_is_made_from_the_lock_and_nobody_in_it_is_root() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.rindex("USER 10001") > DOCKERFILE.rindex("FROM ")
    for word in ("HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT"):
        assert word in DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
