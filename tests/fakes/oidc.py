"""An identity provider over real sockets: discovery, keys, authorization code with PKCE. It refuses what it must."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "console", "a client's secret"


@dataclass
class FakeProvider:
    """One person signs in: `claims`. What is set wrong here makes a token that must not be believed."""

    claims: dict[str, Any] = field(
        default_factory=lambda: {"sub": "u-1", "preferred_username": "mara", "groups": ["soc"]}
    )
    change: dict[str, Any] = field(default_factory=dict)
    """Claims of the ID token that are not as they should be."""
    sign_with: RSAKey | None = None
    calls_itself: str | None = None
    down: bool = False

    def __post_init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1"})
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        self.odd_keys: list[dict[str, object]] = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None: ...

            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        path, query = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
        if self.down:
            _answer(request, 500, {})
        elif path == "/.well-known/openid-configuration":
            _answer(request, 200, {
                "issuer": self.calls_itself or self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            })  # fmt: skip
        elif path == "/keys":
            _answer(request, 200, {"keys": [*self.odd_keys, self.key.as_dict(private=False)]})
        elif path == "/authorize":
            self._authorize(request, {name: values[0] for name, values in query.items()})
        else:
            _answer(request, 404, {})

    def _authorize(self, request: BaseHTTPRequestHandler, given: dict[str, str]) -> None:
        wanted = {"response_type": "code", "client_id": CLIENT_ID, "code_challenge_method": "S256"}
        scopes = given.get("scope", "").split()
        if any(given.get(name) != value for name, value in wanted.items()) or "openid" not in scopes:
            _answer(request, 400, {"error": "invalid_request"})
            return
        code = secrets.token_urlsafe()
        self._codes[code] = given
        back = urlencode({"code": code, "state": given["state"]})
        request.send_response(302)
        request.send_header("Location", f"{given['redirect_uri']}?{back}")
        request.end_headers()

    def post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.pop(given.get("code", ""), None)
        challenge = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if request.headers.get("authorization") != f"Basic {expected}":
            _answer(request, 401, {"error": "invalid_client"})
        elif (
            asked is None
            or asked["redirect_uri"] != given.get("redirect_uri")
            or asked["code_challenge"] != base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        ):
            _answer(request, 400, {"error": "invalid_grant"})
        else:
            _answer(
                request, 200, {"access_token": "x", "token_type": "Bearer", "id_token": self._token(asked["nonce"])}
            )

    def _token(self, nonce: str) -> str:
        now = int(time.time())
        right = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce}
        return jwt.encode(
            {"alg": "RS256", "kid": "k1"}, {**right, **self.claims, **self.change}, self.sign_with or self.key
        )


def _answer(request: BaseHTTPRequestHandler, status: int, value: dict[str, Any]) -> None:
    body = json.dumps(value).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
