"""From a URL to pika's parameters, and from pika's errors to a line for the log."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika
from pika.exceptions import AMQPError

from common.errors import ConfigurationError
from common.tls import client_context, refused_certificate

HEARTBEAT_SECONDS = 30
CONNECT_SECONDS = 5
HANDSHAKE_SECONDS = 10
"""TCP, TLS and AMQP together."""


def connection_parameters(url: str) -> pika.ConnectionParameters:
    """Return pika's parameters for `amqp(s)://user:password@host:port/vhost`.

    With `amqps` the system's CAs are trusted, or only those in the file that the query option `cafile` (or
    `cacertfile`) names. Other query options are pika's own.

    Raises:
        ConfigurationError: the URL cannot be used; its text is not repeated, it may hold a password.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    ca_file = options.pop("cacertfile", None)
    ca_file = options.pop("cafile", ca_file)
    try:
        parameters = pika.URLParameters(urlunsplit(parts._replace(query=urlencode(options))))
        if parts.scheme == "amqps":
            parameters.ssl_options = pika.SSLOptions(client_context(ca_file), parameters.host)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"SECURITYBOT_AMQP_URL cannot be used: {type(error).__name__}") from None
    except OSError as error:
        raise ConfigurationError(f"SECURITYBOT_AMQP_URL: cafile {ca_file!r} cannot be used: {error}") from None
    if "heartbeat" not in options:
        parameters.heartbeat = HEARTBEAT_SECONDS
    parameters.socket_timeout = CONNECT_SECONDS
    parameters.stack_timeout = HANDSHAKE_SECONDS
    return parameters


def describe(reason: BaseException) -> str:
    """Return one line that tells why a connection or channel is gone, dug out of pika's nested exceptions."""
    refused = refused_certificate(reason, "`cafile` in SECURITYBOT_AMQP_URL")
    if refused:
        return refused
    nested = [*getattr(reason, "exceptions", ()), getattr(reason, "exception", None), *reason.args]
    for inner in reversed(nested):
        if isinstance(inner, BaseException) and inner is not reason:
            return describe(inner)
    code, text = getattr(reason, "reply_code", None), getattr(reason, "reply_text", None)
    if text:
        return f"{text} ({code})"
    words = " ".join(str(part) for part in reason.args) if isinstance(reason, AMQPError) else reason
    return f"{type(reason).__name__}: {words}".splitlines()[0][:300]
