"""A private RabbitMQ and MariaDB from the machine's own binaries, in temporary folders on free ports."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pymysql

from tests.waiting import eventually

START_SECONDS = 60.0
RABBITMQ_PLACES = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
"""Debian's script on the path changes to another user; the one behind it does not."""
MORE_PATH = ":/usr/sbin:/sbin:/usr/local/sbin:/usr/local/bin"


class ServerMissing(Exception):
    """A server's binary is not on this machine; the text says what to install."""


_handed_out: set[int] = set()
"""Ports whose taker may not listen yet."""


def free_port() -> int:
    """Return a TCP port that nobody listens on, below those that the system gives to outgoing connections."""
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)  # the tests' own seed would give the same ones again
        if port in _handed_out:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _handed_out.add(port)
            return port


def find_binary(*names: str) -> str | None:
    """Return the first of `names` that is there; server binaries are often not on an ordinary user's path."""
    path = os.environ.get("PATH", "") + MORE_PATH
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


class _Server:
    """A process with children in a folder of its own."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"securitybot-{name}-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the id of the process that was started; the server may be its child."""
        assert self._process is not None
        return self._process.pid

    def _launch(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.folder / "output.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"] + MORE_PATH, "LANG": "C.UTF-8", **environment},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await(self) -> None:
        def answered_or_dead() -> bool:
            if self._process is None or self._process.poll() is not None:
                log = (self.folder / "output.log").read_text(errors="replace")
                raise AssertionError(f"{type(self).__name__} ended at its start:\n{log[-3000:]}")
            return self.answers()

        eventually(answered_or_dead, START_SECONDS)

    def answers(self) -> bool:
        """Tell whether clients can work with it."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it like kill -9, children included. `start` brings it back with what it had written."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it end in its own time."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """End it and delete everything it wrote."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RabbitServer(_Server):
    """RabbitMQ without plug-ins, one scheduler, its own epmd and cookie.

    `tls` (certificate, key and CA as PEM files) adds a listener with TLS on `tls_port`.
    """

    def __init__(self, tls: tuple[Path, Path, Path] | None = None, settings: str = "") -> None:
        binary = find_binary(*RABBITMQ_PLACES, "rabbitmq-server")
        epmd = find_binary("epmd")
        if binary is None or epmd is None:
            raise ServerMissing(
                "rabbitmq-server is missing: `apt-get install rabbitmq-server`, or set SECURITYBOT_TEST_AMQP_URL"
            )
        super().__init__("rabbitmq")
        self._binary, self._epmd_binary = binary, epmd
        self._epmd: subprocess.Popen[bytes] | None = None
        self.port, self.tls_port, self._dist_port, self._epmd_port = (free_port() for _ in range(4))
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        lines = ["loopback_users = none", "disk_free_limit.absolute = 1MB", "log.file.level = warning", settings]
        if tls is not None:
            certificate, key, ca = tls
            lines += [
                f"listeners.ssl.default = 127.0.0.1:{self.tls_port}",
                f"ssl_options.certfile = {certificate}",
                f"ssl_options.keyfile = {key}",
                f"ssl_options.cacertfile = {ca}",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq-env.conf").write_text("")
        self.environment = {
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"securitybot{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def start(self) -> None:
        """Start, or start again; returns when AMQP answers."""
        if self._epmd is None:
            self._epmd = subprocess.Popen(
                [self._epmd_binary, "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._launch([self._binary], self.environment)
        self._await()

    def answers(self) -> bool:
        """Tell whether the broker sends its greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(1)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl."""
        tool = str(Path(self._binary).with_name("rabbitmqctl"))
        environment = {"PATH": os.environ["PATH"] + MORE_PATH, "LANG": "C.UTF-8", **self.environment}
        done = subprocess.run([tool, *arguments], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    def remove(self) -> None:
        """End it, its epmd too, and delete everything it wrote."""
        super().remove()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None


class MariaServer(_Server):
    """MariaDB that is as durable as in production; root may log in from this machine without a password.

    `tls` (certificate, key and CA as PEM files) lets it take encrypted connections too.
    """

    def __init__(self, tls: tuple[Path, Path, Path] | None = None) -> None:
        self._binary = find_binary("mariadbd", "mysqld") or ""
        self._installer = find_binary("mariadb-install-db", "mysql_install_db") or ""
        if not self._binary or not self._installer:
            raise ServerMissing(
                "mariadbd is missing: `apt-get install mariadb-server`, or set SECURITYBOT_TEST_DATABASE_URL"
            )
        super().__init__("mariadb")
        self.port = free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}"
        self._user = ["--user=root"] if os.geteuid() == 0 else []
        self._tls = [f"--ssl-{name}={path}" for name, path in zip(("cert", "key", "ca"), tls or (), strict=False)]

    def start(self) -> None:
        """Start, or start again; returns when a client can log in."""
        data = self.folder / "data"
        if not data.exists():
            subprocess.run(
                [
                    self._installer, "--no-defaults", f"--datadir={data}", "--skip-test-db",
                    "--auth-root-authentication-method=normal", "--innodb-log-file-size=16M", *self._user,
                ],
                check=True, capture_output=True, cwd=self.folder,
            )  # fmt: skip
        self._launch(
            [
                self._binary, "--no-defaults", f"--datadir={data}", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}", "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M",
                *self._user, *self._tls,
            ],
            {"HOME": str(self.folder)},
        )  # fmt: skip
        self._await()

    def answers(self) -> bool:
        """Tell whether a client can log in."""
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=1).close()
        except pymysql.MySQLError:
            return False
        return True
