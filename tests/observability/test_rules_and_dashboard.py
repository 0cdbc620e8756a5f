"""The files of `deploy/observability`: Prometheus takes them, and every alert has somebody to tell what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import unavailable
from tests.observability.queries import DEPLOY, ROOT, dashboard, queries, rules


def promtool(*arguments: str, folder: Path = ROOT) -> None:
    program = shutil.which("promtool")
    if program is None:
        unavailable("promtool is missing: `apt-get install prometheus`")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_the_rules() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus.yml"))


def test_every_alert_fires_when_it_should_and_is_silent_when_all_is_well() -> None:
    promtool("test", "rules", "alerts.test.yml", folder=Path(__file__).parent)


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    cases = yaml.safe_load((Path(__file__).parent / "alerts.test.yml").read_text())["tests"]
    expected = [case for test in cases for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in expected if case.get("exp_alerts")}
    silent = {case["alertname"] for case in expected if not case.get("exp_alerts")}
    names = {rule["alert"] for rule in rules()}
    assert fired == names
    assert silent == names


def test_prometheus_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))
    promtool("check", "rules", str(tmp_path / "rules.yml"))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_has_a_runbook(rule: dict[str, dict[str, str]]) -> None:
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    assert anchor in [re.sub(r"[^a-z0-9-]", "", heading.lower().replace(" ", "-")) for heading in headings]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]


def test_the_dashboard_reads_from_the_provisioned_data_source() -> None:
    (source,) = yaml.safe_load((DEPLOY / "grafana" / "datasources" / "prometheus.yml").read_text())["datasources"]
    used = {panel["datasource"]["uid"] for panel in dashboard()["panels"]}
    assert used == {source["uid"]}


def test_no_panel_lies_over_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert all(x < 24 for x, _ in cells)
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_collector_scrapes_what_prometheus_scrapes_and_every_part_of_it_is_defined() -> None:
    collector = yaml.safe_load((DEPLOY / "otel-collector.yml").read_text())
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    scraped = collector["receivers"]["prometheus"]["config"]["scrape_configs"]

    def targets(jobs: list[dict[str, object]]) -> list[object]:
        return [(job.get("params"), job.get("metrics_path"), job.get("static_configs"), names(job)) for job in jobs]

    def names(job: dict[str, object]) -> object:
        found = job.get("dns_sd_configs")
        return [entry["names"] for entry in found] if isinstance(found, list) else None

    assert targets(scraped) == targets(prometheus["scrape_configs"])
    for pipeline in collector["service"]["pipelines"].values():
        for kind, used in pipeline.items():
            assert set(used) <= set(collector[kind])


def test_what_stands_beside_the_stack_is_as_careful_as_the_stack() -> None:
    services = yaml.safe_load((ROOT / "compose.observability.yml").read_text())["services"]
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert re.fullmatch(r".+:v?\d[\w.]+", service["image"]), f"{name}: a fixed version"
        assert all("127.0.0.1" in port for port in service.get("ports", [])), f"{name} listens to everybody"
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), f"{name}: {source} is not there"
