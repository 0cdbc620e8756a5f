"""What an operator gets wrong is one line that names the setting, before anything is connected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.settings import SHIPPED_CONFIG
from services.console.wiring import build
from tests.integration.console.conftest import House

OIDC = {"oidc_issuer": "https://id.example", "oidc_client_id": "c", "oidc_client_secret": "s"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"oidc_issuer": "https://id.example"}, "SECURITYBOT_OIDC_CLIENT_ID is not set"),
        (OIDC | {"oidc_roles": "soc=boss"}, "SECURITYBOT_OIDC_ROLES: 'soc=boss' is no group=role pair"),
        ({"service_urls": "ingest=ftp://x"}, "SECURITYBOT_SERVICE_URLS: 'ingest=ftp://x' is no service=url pair"),
        ({"service_urls": "mailer=http://x"}, "the services are ingest, dispatcher, chat-gateway, auth-poller"),
    ],
)
def test_a_wrong_setting_is_named(build: Callable[..., House], settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build(**settings)
    assert said in str(caught.value)


def test_services_of_other_hosts_are_where_the_setting_says(build: Callable[..., House]) -> None:
    house = build(service_urls="ingest=http://in:1/, dispatcher=https://di:2")
    assert house.desk.pulse._urls["ingest"] == "http://in:1"
    assert house.desk.pulse._urls["auth-poller"] == "http://127.0.0.1:8084"


def test_a_mistake_in_the_teams_names_file_and_key(build: Callable[..., House], tmp_path: Path) -> None:
    for file in SHIPPED_CONFIG.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "teams.yaml").write_text("teams: [{name: a, owner: [x]}]")
    with pytest.raises(ConfigurationError, match=r"teams\.yaml: teams\.0\.owner"):
        build(config_dir=str(tmp_path))


def test_the_service_has_what_runs_and_answers_every_path(house: House) -> None:
    service = build(house.desk.runtime)
    assert service.name == "console"
    assert [runnable.name for runnable in service.runnables] == ["console-feed", "console-pulse", "console-clerk"]
    clerk = service.runnables[2]
    house.alert(1)
    assert clerk.work()  # type: ignore[attr-defined]
    assert not clerk.work()  # type: ignore[attr-defined]
