"""TLS to broker and database: whom we trust, and what to do about a certificate that is refused."""

from __future__ import annotations

import ssl

SYSTEM = "system"
"""In place of a file: the authorities that this machine trusts."""


def client_context(ca_file: str | None, certificate: str | None = None, key: str | None = None) -> ssl.SSLContext:
    """Return a context that checks certificate and host name of the server.

    Args:
        ca_file: PEM file of the authorities that are trusted; None or `SYSTEM`: those of this machine.
        certificate: PEM file of our own certificate, where the server asks for one.
        key: its key, where that is in a file of its own.

    Raises:
        OSError: a file cannot be read or used.
    """
    context = ssl.create_default_context(cafile=None if ca_file == SYSTEM else ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def refused_certificate(error: BaseException | None, setting: str) -> str | None:
    """Return what is wrong with the server's certificate and what to do; None where that is not what `error` is."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    return (
        f"the server's certificate is refused: {error.verify_message.rstrip('.')}; name the file of its authority "
        f"with {setting}, and the server as its certificate does"
    )
