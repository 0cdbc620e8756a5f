"""The base images: as they are at hand, as they can be pulled, or made from Debian where there is no registry.

The stand-ins are for these tests. They have the official images' names, users, paths and variables as far as
docker-compose.yml and the Dockerfile rely on them, and a label that tells them apart.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.compose.docker import DockerMissing, run

HERE = Path(__file__).parent / "standins"
BASES = {"python:3.13-slim": "python", "rabbitmq:4": "rabbitmq", "mysql:8.4": "mysql"}
DEBIAN, SUITE = "securitybot-standin/debian:13", "trixie"
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
PULL_SECONDS = 300.0


def provide() -> dict[str, str]:
    """See to it that every base image is there. Returns where each came from.

    Raises:
        DockerMissing: one can be neither pulled nor made.
    """
    return {image: _provide(image, folder) for image, folder in BASES.items()}


def _provide(image: str, folder: str) -> str:
    if _is_there(image):
        label = run("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image).stdout
        return "stand-in, at hand" if "securitybot.standin" in label else "at hand"
    with contextlib.suppress(subprocess.TimeoutExpired):
        pull = subprocess.run(["docker", "pull", "-q", image], capture_output=True, timeout=PULL_SECONDS, check=False)
        if pull.returncode == 0:
            return "pulled"
    _provide_debian()
    with tempfile.TemporaryDirectory(prefix="securitybot-standin-") as context:
        shutil.copytree(HERE / folder, context, dirs_exist_ok=True)
        shutil.copy(CA_BUNDLE, context)  # where a proxy signs for the package registries, it signs for containers too
        run("docker", "build", "-q", "--label", "securitybot.standin=yes", "-t", image, context)
    return "stand-in, made"


def _provide_debian() -> None:
    if _is_there(DEBIAN):
        return
    if shutil.which("debootstrap") is None:
        raise DockerMissing(
            "the base images cannot be pulled, and debootstrap, which could make them, is not installed"
        )
    with tempfile.TemporaryDirectory(prefix="securitybot-debian-") as root:
        run("nice", "-n", "10", "debootstrap", "--variant=minbase", SUITE, root)
        for unneeded in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(Path(root, unneeded), ignore_errors=True)
        Path(root, "var/cache/apt/archives/partial").mkdir(parents=True)
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(["docker", "import", "-", DEBIAN], stdin=packed.stdout, capture_output=True, check=True)


def _is_there(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0
