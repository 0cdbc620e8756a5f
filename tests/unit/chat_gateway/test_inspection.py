"""The scopes that `securitybot check` wants are those that the app's manifest asks for."""

from __future__ import annotations

from pathlib import Path

import yaml

from services.chat_gateway.slack.inspection import SCOPES

MANIFEST = Path(__file__).parents[3] / "config" / "slack-manifest.yaml"


def test_the_scopes_are_those_of_the_manifest() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    assert set(manifest["oauth_config"]["scopes"]["bot"]) == SCOPES
