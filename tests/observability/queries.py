"""The queries of the dashboard and the alert rules, and what they ask for: metrics, labels and their values."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy" / "observability"

_SELECTOR = re.compile(r"\b((?:securitybot|rabbitmq|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(=~|!=|!~|=)\s*\"([^\"]*)\"")
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")
GIVEN_BY_PROMETHEUS = {"job", "instance"}
MADE_BY_PROMETHEUS = {"le"}


@dataclass(frozen=True, slots=True)
class Selector:
    """One series selector: a metric and what its labels must be."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    grouped_by: frozenset[str]
    """Labels by which the query that it stands in groups."""


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return Grafana's dashboard."""
    whole: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "securitybot.json").read_text())
    return whole


def queries() -> list[str]:
    """Return every query of ours."""
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


def selectors(query: str) -> list[Selector]:
    """Return the selectors of a query, but those of `up` and `ALERTS`, which are Prometheus' own."""
    grouped = frozenset(label.strip() for labels in _GROUPING.findall(query) for label in labels.split(","))
    return [
        Selector(metric, tuple(_MATCHER.findall(matchers)), grouped - GIVEN_BY_PROMETHEUS - MADE_BY_PROMETHEUS)
        for metric, matchers in _SELECTOR.findall(query)
    ]


def missing(selector: Selector, samples: list[tuple[str, dict[str, str]]]) -> str | None:
    """Tell what of a selector none of `samples` (names and labels) has; None: all is exported."""
    series = [labels for name, labels in samples if name == selector.metric]
    if not series:
        return f"nobody exports {selector.metric}"
    for label in {label for label, _, _ in selector.matchers} | selector.grouped_by:
        if label not in GIVEN_BY_PROMETHEUS and not any(label in labels for labels in series):
            return f"{selector.metric} has no label {label}"
    for label, operator, wanted in selector.matchers:
        if label in GIVEN_BY_PROMETHEUS or operator.startswith("!"):
            continue
        seen = {labels[label] for labels in series}
        for value in wanted.split("|") if operator == "=~" else [wanted]:
            if not any(re.fullmatch(value, one) for one in seen):
                return f"{selector.metric} has no {label}={value!r}, only {sorted(seen)}"
    return None
