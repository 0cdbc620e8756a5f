"""`deploy/kubernetes`: Kubernetes takes the manifests, what they name is there, and they are as careful as Compose."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from starlette.routing import Route

from common.http import create_app
from common.service import STOP_SECONDS
from common.settings import HTTP_PORTS, PREFIX, Settings
from services.cli.bootstrap import bootstrap
from tests.stack import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OUR_IMAGE = "securitybot"
ADDED_BY_HAND = {"slack_bot_token", "slack_app_token", "duo_skey", "erlang_cookie"}
VERSIONS = ("1.30", "1.37")

Document = dict[str, Any]


def documents() -> list[Document]:
    """Return every object, in the order in which it is applied."""
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [document for name in listed for document in yaml.safe_load_all((FOLDER / name).read_text())]


DOCUMENTS = documents()
WORKLOADS = [document for document in DOCUMENTS if document["kind"] in ("Deployment", "StatefulSet", "Job")]


def name_of(document: Document) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


def pod(workload: Document) -> Document:
    template: Document = workload["spec"]["template"]
    return template


def containers(workload: Document) -> Iterator[Document]:
    spec = pod(workload)["spec"]
    yield from [*spec.get("initContainers", []), *spec["containers"]]


each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=name_of)
each_service_of_ours = pytest.mark.parametrize(
    "workload", [one for one in WORKLOADS if one["metadata"]["name"] in HTTP_PORTS], ids=name_of
)


def test_every_file_is_applied() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted({path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"})


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_kubernetes_takes_it(document: Document, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}, "spec": {"finaliser": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_service_runs_twice() -> None:
    ours = {one["metadata"]["name"]: one["spec"]["replicas"] for one in WORKLOADS if one["kind"] == "Deployment"}
    assert ours == dict.fromkeys(HTTP_PORTS, 2) | {"cli": 0}


@each_workload
def test_what_reads_the_yaml_files_has_them_from_one_place(workload: Document) -> None:
    mounts = [mount for container in containers(workload) for mount in container["volumeMounts"]]
    needs = workload["metadata"]["name"] in {"ingest", "dispatcher", "chat-gateway", "console", "cli"}
    assert ("/app/config" in [mount["mountPath"] for mount in mounts]) is needs


@each_workload
def test_nothing_runs_as_root_nor_may_become_it(workload: Document) -> None:
    spec = pod(workload)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(workload):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, container["name"]  # fmt: skip
        assert container["resources"]["limits"]["memory"]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


@each_workload
def test_secrets_are_files_and_each_reads_its_own(workload: Document) -> None:
    for container in containers(workload):
        assert all("secretRef" not in source for source in container.get("envFrom", []))
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {})
    mounted = {v["name"]: v["secret"] for v in pod(workload)["spec"]["volumes"] if "secret" in v}
    for secret in mounted.values():
        assert secret["defaultMode"] == 0o440
        assert secret["items"], "only what it needs"
    others = {name.replace("-", "_") for name in HTTP_PORTS} - {workload["metadata"]["name"].replace("-", "_")}
    keys = [item["key"] for secret in mounted.values() for item in secret["items"]]
    assert [key for key in keys if any(key.endswith(f"_url_{other}") for other in others)] == []


def test_every_secret_is_one_that_bootstrap_makes_or_the_documentation_has_made_by_hand(tmp_path: Path) -> None:
    made = CliRunner().invoke(bootstrap, ["--into", str(tmp_path), "--chat", "slack"])
    assert made.exit_code == 0, made.output
    files = {path.name for path in tmp_path.iterdir()}
    asked = {
        item["key"]
        for workload in WORKLOADS
        for volume in pod(workload)["spec"]["volumes"]
        for item in volume.get("secret", {}).get("items", [])
    }
    assert asked - files == ADDED_BY_HAND
    text = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in ADDED_BY_HAND if f"> secrets/{name}" not in text] == []


@each_workload
def test_every_variable_is_a_setting_and_every_file_is_there(workload: Document) -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    (config,) = [one for one in DOCUMENTS if name_of(one) == "ConfigMap-settings"]
    assert set(config["data"]) <= settings
    for container in containers(workload):
        mounts = {mount["name"]: mount["mountPath"] for mount in container.get("volumeMounts", [])}
        there = {
            f"{mounts[volume['name']]}/{item['path']}"
            for volume in pod(workload)["spec"]["volumes"]
            if volume["name"] in mounts
            for item in volume.get("secret", {}).get("items", [])
        }
        for variable in container.get("env", []):
            name, value = variable["name"], variable.get("value", "")
            assert not name.startswith(PREFIX) or name.removesuffix("_FILE") in settings, name
            assert not name.endswith("_FILE") or value in there, f"{name}: {value} is not mounted"


@each_service_of_ours
def test_probes_ask_what_the_services_answer(workload: Document) -> None:
    paths = {route.path for route in create_app({}).routes if isinstance(route, Route)}
    (container,) = containers(workload)
    assert container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert {"/healthz", "/readyz"} <= paths
    (config,) = [one for one in DOCUMENTS if name_of(one) == "ConfigMap-settings"]
    assert container["ports"] == [{"name": "http", "containerPort": int(config["data"][f"{PREFIX}HTTP_PORT"])}]


@each_service_of_ours
def test_a_service_that_is_told_to_stop_is_given_the_time_that_it_takes(workload: Document) -> None:
    assert pod(workload)["spec"]["terminationGracePeriodSeconds"] > STOP_SECONDS
    assert workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


@each_workload
def test_a_container_of_ours_runs_a_command_that_there_is(workload: Document) -> None:
    for container in containers(workload):
        if container["image"] == OUR_IMAGE:
            what = container.get("args", container.get("command"))
            assert what in (["migrate", "--grants"], ["run", workload["metadata"]["name"]], ["sleep", "infinity"])


def test_what_selects_pods_finds_some() -> None:
    labels = {name_of(one): pod(one)["metadata"]["labels"] for one in WORKLOADS}
    for document in DOCUMENTS:
        spec = document.get("spec", {})
        selector = spec.get("selector", {})
        wanted = selector.get("matchLabels", selector if document["kind"] == "Service" else {})
        assert not wanted or any(wanted.items() <= has.items() for has in labels.values()), name_of(document)
        for expression in spec.get("podSelector", {}).get("matchExpressions", []):
            names = {has["app.kubernetes.io/name"] for has in labels.values()}
            assert set(expression["values"]) <= names, name_of(document)


def test_urls_of_bootstrap_lead_to_services_that_are_there() -> None:
    services = {one["metadata"]["name"] for one in DOCUMENTS if one["kind"] == "Service"}
    assert {"rabbitmq", "mysql", *HTTP_PORTS} <= services


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing: nothing renders the kustomization")
def test_kustomize_renders_everything_into_one_namespace() -> None:
    done = subprocess.run(["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert len(rendered) == len(DOCUMENTS)
    spaces = {one["metadata"].get("namespace") for one in rendered if one["kind"] != "Namespace"}
    assert spaces == {"securitybot"}
    images = {container["image"] for one in rendered if "template" in one.get("spec", {})
              for container in containers(one)}  # fmt: skip
    assert OUR_IMAGE not in images
    for document in rendered:
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
