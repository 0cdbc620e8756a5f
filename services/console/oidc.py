"""Sign-in through OpenID Connect: authorization code with PKCE; the ID token's groups give the role."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, select

from common.errors import Temporary
from common.records.analysts import has_account
from common.records.console_tables import SignInFlowRow
from common.transactions import Transactions
from common.unit_of_work import UnitOfWork
from services.console.access import Role, role_of_groups
from services.console.refusal import Refused
from services.console.sessions import MAX_NAME, digest

FLOW_WITHIN = timedelta(minutes=10)
METADATA_SECONDS = 3600.0
TIMEOUT = 10.0
LEEWAY = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signatures that the provider makes with a key of its own; never `none`, never one with the client's secret."""


class ProviderUnavailable(Temporary):
    """The identity provider cannot be reached or answers with nonsense."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody whom the provider vouches for."""

    name: str
    subject: str
    """Who that is for the provider, whatever they are called there today."""
    role: Role
    next_path: str


@dataclass(frozen=True, slots=True)
class Client:
    """What the provider knows us by, and which of its groups have which role."""

    issuer: str
    client_id: str
    client_secret: str
    roles: Mapping[str, Role]


class Oidc:
    """Talks to one identity provider. Thread-safe."""

    def __init__(self, client: Client, transactions: Transactions) -> None:
        self._client = client
        self._transactions = transactions
        self._http = httpx.Client(timeout=TIMEOUT, follow_redirects=False)
        self._lock = threading.Lock()
        self._metadata: tuple[float, dict[str, Any]] | None = None

    def begin(self, callback: str, next_path: str) -> tuple[str, str]:
        """Return where the browser goes to sign in, and the state that it has to bring back in a cookie too."""
        endpoint = self._provider()["authorization_endpoint"]
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))

        def keep(work: UnitOfWork) -> None:
            work.connection.execute(delete(SignInFlowRow).where(SignInFlowRow.created_at < work.now - FLOW_WITHIN))
            work.insert(
                SignInFlowRow, state_hash=digest(state), nonce=nonce, verifier=verifier, next_path=next_path[:1024],
                created_at=work.now,
            )  # fmt: skip

        self._transactions.run(keep)
        parameters = {
            "response_type": "code", "client_id": self._client.client_id, "redirect_uri": callback,
            "scope": "openid profile email groups", "state": state, "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),  # type: ignore[no-untyped-call]
            "code_challenge_method": "S256",
        }  # fmt: skip
        address: str = add_params_to_uri(endpoint, list(parameters.items()))
        return address, state

    def finish(self, callback: str, shown: Mapping[str, str]) -> Arrival:
        """Return who came back from the provider.

        Raises:
            Refused: the provider said no, the flow is not one of ours, no group gives a role, or the name is that of
                somebody with a local account.
            ProviderUnavailable: it cannot be asked.
        """
        flow = self._transactions.run(lambda work: _take_flow(work, shown.get("state", "")))
        if flow is None:
            raise Refused("That sign-in took too long or was not started here. Begin again.")
        if "error" in shown or not shown.get("code"):
            raise Refused("The identity provider did not let you in.")
        answer = self._post(
            self._provider()["token_endpoint"],
            {"grant_type": "authorization_code", "code": shown["code"], "redirect_uri": callback,
             "code_verifier": flow.verifier},
        )  # fmt: skip
        arrival = self._arrival(self._claims(answer, flow.nonce), flow.next_path)
        # People may choose that name at many providers, and the history has no other.
        if self._transactions.run(lambda work: has_account(work.connection, arrival.name.strip().lower())):
            raise Refused(
                f"The identity provider calls you {arrival.name}, as somebody with a local account is called. "
                "Ask your administrator to remove that account, or to have you called otherwise."
            )
        return arrival

    def _claims(self, answer: dict[str, Any], nonce: str) -> dict[str, Any]:
        metadata = self._provider()
        try:
            keys = _usable_keys(self._get(metadata["jwks_uri"]))
            token = jwt.decode(str(answer.get("id_token", "")), keys, algorithms=ALGORITHMS)
            claims = CodeIDToken(
                token.claims, token.header,
                {"iss": {"essential": True, "value": metadata["issuer"]},
                 "aud": {"essential": True, "value": self._client.client_id}},
                {"nonce": nonce, "client_id": self._client.client_id},
            )  # fmt: skip
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Refused("The identity provider's answer cannot be trusted. Tell your administrator.") from error
        return dict(token.claims)

    def _arrival(self, claims: dict[str, Any], next_path: str) -> Arrival:
        groups = claims.get("groups") or []
        role = role_of_groups([str(group) for group in groups], self._client.roles)
        if role is None:
            raise Refused("None of your groups may use this console. Ask your administrator.")
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        return Arrival(name[:MAX_NAME], str(claims["sub"]), role, next_path)

    def _provider(self) -> dict[str, Any]:
        with self._lock:
            if self._metadata and time.monotonic() - self._metadata[0] < METADATA_SECONDS:
                return self._metadata[1]
        found = self._get(f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer", "").rstrip("/") != self._client.issuer.rstrip("/"):
            raise ProviderUnavailable(f"{self._client.issuer} calls itself {found.get('issuer')!r}")
        with self._lock:
            self._metadata = (time.monotonic(), found)
        return found

    def _get(self, url: str) -> dict[str, Any]:
        try:
            return _object(self._http.get(url))
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable(f"identity provider: {type(error).__name__}") from error

    def _post(self, url: str, form: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = self._http.post(url, data=dict(form), auth=(self._client.client_id, self._client.client_secret))
            if 400 <= response.status_code < 500:  # noqa: PLR2004 - HTTP's own
                raise Refused("The identity provider did not accept the sign-in. Begin again.")
            return _object(response)
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderUnavailable(f"identity provider: {type(error).__name__}") from error


def _take_flow(work: UnitOfWork, state: str) -> Any:
    """Return the flow and forget it: each works once."""
    key = SignInFlowRow.state_hash == digest(state)
    flow = work.connection.execute(select(SignInFlowRow.__table__).where(key).with_for_update()).first()
    work.connection.execute(delete(SignInFlowRow).where(key))
    if flow is None or flow.created_at < work.now - FLOW_WITHIN:
        return None
    return flow


def _usable_keys(found: dict[str, Any]) -> KeySet:
    """Return the provider's keys; one of a kind that nobody here knows does not spoil the others."""
    keys = []
    for key in found["keys"]:
        try:
            keys += KeySet.import_key_set({"keys": [key]}).keys
        except (JoseError, ValueError, KeyError, TypeError):
            continue
    return KeySet(keys)


def _object(response: httpx.Response) -> dict[str, Any]:
    response.raise_for_status()
    value = response.json()
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the answer is wrong, not our type
    return value
