"""Checks the signature of a request as Duo's documentation describes it; shares no code with the client."""

from __future__ import annotations

import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote

from tests.fakes.duo_http import HttpRequest

MOST_SKEW = 300.0
Problem = tuple[int, int, str]
"""HTTP status, Duo's code and its message."""


def signature_problem(request: HttpRequest, ikey: str, skey: str, now: float) -> Problem | None:
    """Return how Duo would refuse the request's credentials, None when they are right."""
    credentials = _credentials(request.headers.get("authorization", ""))
    if credentials is None:
        return 401, 40101, "Missing request credentials"
    date = request.headers.get("date", "")
    try:
        sent = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 401, 40104, "Missing request date"
    if abs(sent - now) > MOST_SKEW:
        return 401, 40105, "Bad request timestamp"
    given_ikey, given_signature = credentials
    if not hmac.compare_digest(given_ikey, ikey):
        return 401, 40102, "Invalid integration key in request credentials"
    if given_signature not in _signatures(request, skey, date):
        return 401, 40103, "Invalid signature in request credentials"
    return None


def _credentials(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    try:
        ikey, colon, signature = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (ikey, signature) if scheme == "Basic" and colon else None


def _signatures(request: HttpRequest, skey: str, date: str) -> set[str]:
    """Return what is right in version 2 (form, SHA-1 or SHA-512) and in version 5 (JSON, SHA-512)."""
    host = request.headers.get("host", "").partition(":")[0].lower()
    is_json = "json" in request.headers.get("content-type", "")
    form = request.query if request.method == "GET" else ("" if is_json else request.body)
    lines = [date, request.method.upper(), host, request.path, _canonical(form)]
    two = "\n".join(lines)
    five = "\n".join([*lines, _sha512(request.body if is_json else ""), _sha512(_duo_headers(request))])
    right = {_hmac(skey, five, "sha512")}
    if not is_json:
        right |= {_hmac(skey, two, "sha1"), _hmac(skey, two, "sha512")}
    return right


def _canonical(form: str) -> str:
    pairs = parse_qsl(form, keep_blank_values=True)
    return "&".join(f"{key}={value}" for key, value in sorted((quote(k, "~"), quote(v, "~")) for k, v in pairs))


def _duo_headers(request: HttpRequest) -> str:
    ours = sorted((name, value) for name, value in request.headers.items() if name.startswith("x-duo-"))
    return "\x00".join(part for pair in ours for part in pair)


def _sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def _hmac(skey: str, text: str, digest: str) -> str:
    return hmac.new(skey.encode(), text.encode(), digest).hexdigest()
