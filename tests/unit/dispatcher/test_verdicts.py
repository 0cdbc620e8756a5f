"""Closed at once, or waiting for the team."""

from __future__ import annotations

import pytest

from common.alerts import Resolution, Severity, Status
from common.settings import SHIPPED_CONFIG
from common.yaml_files import load_yaml
from services.dispatcher.policies import Policies, Policy, ProofRule
from services.dispatcher.verdicts import status_after

SHIPPED = load_yaml(SHIPPED_CONFIG / "policies.yaml", Policies)


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("resolution", Resolution)
def test_by_default_only_a_proved_yes_closes(resolution: Resolution, severity: Severity) -> None:
    status = status_after(resolution, SHIPPED.of("t", severity))
    assert status is (Status.CLOSED if resolution is Resolution.CONFIRMED else Status.VERIFYING)


@pytest.mark.parametrize("resolution", Resolution)
def test_policy_decides_whether_the_others_wait_for_the_team(resolution: Resolution) -> None:
    assert status_after(resolution, Policy(closes=frozenset({resolution}))) is Status.CLOSED
    assert status_after(resolution, Policy(closes=frozenset())) is Status.VERIFYING


@pytest.mark.parametrize("resolution", Resolution)
def test_where_proof_is_always_needed_nothing_but_a_proved_yes_closes(resolution: Resolution) -> None:
    status = status_after(resolution, Policy(closes=frozenset(Resolution), proof=ProofRule.ALWAYS))
    assert status is (Status.CLOSED if resolution is Resolution.CONFIRMED else Status.VERIFYING)
