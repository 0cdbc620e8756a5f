"""TLS to the record, with a second MariaDB that has a certificate of an authority made for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text

from common.errors import ConfigurationError, DatabaseUnavailable
from common.records.database import create_database, translated_errors
from tests.conftest import running
from tests.servers import MariaServer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "other-ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[MariaServer]:
    files = (folder / "certificate.pem", folder / "key.pem", folder / "ca.pem")
    yield from running(lambda: MariaServer(tls=files))


def cipher(server: MariaServer, options: str = "", host: str = "localhost") -> str:
    """Connect and return how the connection is encrypted; empty: not at all."""
    engine = create_database(f"mysql+pymysql://root@{host}:{server.port}/{options}")
    try:
        with translated_errors(), engine.connect() as connection:
            return str(connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1])
    finally:
        engine.dispose()


def test_with_the_authority_in_the_url_the_connection_is_encrypted(server: MariaServer, folder: Path) -> None:
    assert cipher(server, f"?ssl_ca={folder / 'ca.pem'}") != ""


@pytest.mark.parametrize("ca", ["other-ca.pem", "system"])
def test_a_certificate_of_another_authority_is_refused_and_it_says_what_to_do(
    server: MariaServer, folder: Path, ca: str
) -> None:
    named = "system" if ca == "system" else str(folder / ca)
    with pytest.raises(DatabaseUnavailable, match=r"certificate is refused.*`ssl_ca` in SECURITYBOT_DATABASE_URL"):
        cipher(server, f"?ssl_ca={named}")


def test_a_certificate_of_another_host_is_refused(server: MariaServer, folder: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"certificate is refused: IP address mismatch"):
        cipher(server, f"?ssl_ca={folder / 'ca.pem'}", host="127.0.0.1")


def test_a_server_without_tls_is_refused_where_an_authority_is_named(mariadb: MariaServer, folder: Path) -> None:
    """Otherwise whoever sits in between would only have to say that there is none."""
    with pytest.raises(DatabaseUnavailable, match=r"SSL|TLS"):
        cipher(mariadb, f"?ssl_ca={folder / 'ca.pem'}")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("?ssl_ca=/no/such/ca.pem", "/no/such/ca.pem"),
        (f"?ssl_ca={__file__}", "cannot be used"),
        ("?ssl=true", "'ssl'"),
        ("?ssl_verify_identity=true", "ssl_ca"),
        ("?no_such_option=1", "no_such_option"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_before_anything_is_connected(options: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match="SECURITYBOT_DATABASE_URL") as told:
        create_database(f"mysql+pymysql://root:s3cret@127.0.0.1:1/x{options}")
    assert named in str(told.value)
    assert "s3cret" not in str(told.value)
