"""Docker for the tests: the daemon that runs, or a private one where this is root and it is installed, and Compose."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.waiting import eventually

COMMAND_SECONDS = 600.0
DAEMON_SECONDS = 30.0


class DockerMissing(Exception):
    """No containers can be had here; the text says why."""


def run(
    *command: str, given: str = "", cwd: Path | None = None, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; fails with what it said."""
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=cwd, env=env, timeout=COMMAND_SECONDS, check=False
    )
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@contextlib.contextmanager
def daemon() -> Iterator[None]:
    """See to it that `docker` has a daemon; one that was started here is ended here.

    Raises:
        DockerMissing: there is none, and none can be started.
    """
    if shutil.which("docker") is None:
        raise DockerMissing("docker is not installed")
    if _answers():
        yield
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise DockerMissing("no Docker daemon answers, and only root can start one")
    with tempfile.TemporaryDirectory(prefix="securitybot-dockerd-") as folder, Path(folder, "log").open("wb") as log:
        # The usual place for images: what was built is at hand the next time.
        command = ["nice", "-n", "10", "dockerd", "--pidfile", f"{folder}/pid"]
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                eventually(_answers, DAEMON_SECONDS, every=0.3)
                yield
            except AssertionError as error:
                if _answers():
                    raise
                said = Path(folder, "log").read_text()[-500:]
                raise DockerMissing(f"dockerd does not start: {said}") from error
            finally:
                process.terminate()
                process.wait(60)


def _answers() -> bool:
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def compose_command() -> tuple[str, ...]:
    """Return the command of Compose: the plug-in, or the classic tool.

    Raises:
        DockerMissing: there is neither.
    """
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose") is not None:
        return ("docker-compose",)
    raise DockerMissing("neither `docker compose` nor docker-compose is installed")


class Compose:
    """A Compose project in a folder."""

    def __init__(self, folder: Path, project: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.project = project
        self._command = compose_command()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SECURITYBOT_")}
        self.environment = kept | {"COMPOSE_PROJECT_NAME": project} | dict(environment)

    def __call__(self, *arguments: str, given: str = "", check: bool = True) -> str:
        """Run a Compose command and return what it printed."""
        return self.outcome(*arguments, given=given, check=check).stdout

    def outcome(self, *arguments: str, given: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Compose command."""
        return run(*self._command, *arguments, given=given, cwd=self.folder, env=self.environment, check=check)

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers, stopped ones too."""
        label = f"label=com.docker.compose.project={self.project}"
        of_service = f"label=com.docker.compose.service={service}"
        once = "label=com.docker.compose.oneoff=False"
        return run("docker", "ps", "-aq", "--filter", label, "--filter", of_service, "--filter", once).stdout.split()

    def cli(self, *arguments: str, given: str = "") -> str:
        """Run `securitybot` as the operator does."""
        return self("run", "--rm", "-T", "cli", *arguments, given=given)

    def python(self, program: str, *arguments: str) -> str:
        """Run a program inside the network, with what the image has and the operator's files."""
        return self("run", "--rm", "-T", "--entrypoint", "python", "cli", "-", *arguments, given=program)

    def exec(self, service: str, *command: str, given: str = "", check: bool = True) -> str:
        """Run a command in a service's first container."""
        return self("exec", "-T", service, *command, given=given, check=check)


def inspect(container: str, template: str) -> str:
    """Return what `docker inspect` says of a container or an image."""
    return run("docker", "inspect", "--format", template, container).stdout.strip()


def copy_checkout(source: Path, target: Path) -> None:
    """Copy what a clean checkout of the working tree would have: no .env, no secrets, nothing that is ignored."""
    listed: Sequence[str] = run(
        "git", "-C", str(source), "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name)
