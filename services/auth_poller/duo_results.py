"""What Duo's answers mean. Pure, and closed: whatever is not known to be proof is none.

Duo's `result` says whether to let somebody in, its `status` why. Only `allow` for the reason `allow` is a person who
approved a push; an `allow` for any other reason (bypass, a trusted device) let them through without asking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.messages import AuthResult
from services.auth_poller.port import Prepared, Settled
from services.auth_poller.pushinfo import printable

_LONGEST_TRANSACTION = 255
_LONGEST_CODE = 16
_LONGEST_WORD = 40

_BY_STATUS = {
    "timeout": AuthResult.TIMED_OUT,
    "fraud": AuthResult.FRAUD,
    "push_failed": AuthResult.PUSH_FAILED,
    "locked_out": AuthResult.UNAVAILABLE,
}
"""Final whatever `result` says: Duo pairs some of them with `waiting`."""
_BY_RESULT_AND_STATUS = {
    ("allow", "allow"): AuthResult.APPROVED,
    ("allow", "bypass"): AuthResult.UNPROVED,
    ("deny", "deny"): AuthResult.DENIED,
}
_REFUSALS = {40102: "wrong_keys", 40103: "wrong_keys", 40105: "clock_skew", 40301: "wrong_application"}
_ADVICE = {
    "wrong_keys": "Duo does not accept the keys: set SECURITYBOT_DUO_IKEY, SECURITYBOT_DUO_SKEY and _DUO_HOST "
    "to what the Auth API application shows",
    "clock_skew": "this machine's clock is not Duo's: let NTP set it",
    "wrong_application": "the keys belong to an application of another type: create one of type Auth API",
}


def interpret_preauth(response: object) -> Prepared | Settled:
    """Return whether a push can be sent after `preauth`, with the transaction and code of a verified push."""
    fields = _fields(response)
    match fields.get("result"):
        case "auth":
            return _prepared(fields)
        case "allow":
            return Settled(AuthResult.UNPROVED, "preauth_allow")
        case "enroll":
            return Settled(AuthResult.UNPROVED, "enroll")
        case "deny":
            return Settled(AuthResult.UNAVAILABLE, "preauth_deny")
    return _unknown(fields)


def interpret_auth(response: object) -> str | None:
    """Return the transaction that an asynchronous `auth` started, None where the answer names none."""
    transaction = _fields(response).get("txid")
    return _text(transaction, _LONGEST_TRANSACTION)


def interpret_status(response: object) -> Settled | None:
    """Return what `auth_status` says the person did, None while Duo waits for them.

    Takes Duo's own response with its `result`; the client library's helper folds it into a `success` that is true for
    a bypass as well.
    """
    fields = _fields(response)
    result, status = fields.get("result"), fields.get("status")
    if isinstance(status, str) and status in _BY_STATUS:
        return Settled(_BY_STATUS[status], status)
    if result == "waiting":
        return None
    if isinstance(result, str) and isinstance(status, str) and (result, status) in _BY_RESULT_AND_STATUS:
        return Settled(_BY_RESULT_AND_STATUS[result, status], status)
    return _unknown(fields)


def interpret_refusal(status: int, code: object, about: object) -> Settled | None:
    """Return what an error answer settles, None where asking again may help (Duo's fault, or too many requests).

    Args:
        status: of HTTP.
        code: Duo's own, five digits.
        about: Duo's `message_detail`: the parameter that it did not like.
    """
    if status == 429 or status < 400 or status >= 500:  # noqa: PLR2004 - HTTP's own numbers
        return None
    if isinstance(code, int) and code in _REFUSALS:
        return Settled(AuthResult.UNAVAILABLE, _REFUSALS[code])
    if code == INVALID_PARAMETERS and about in ("username", "user_id"):
        return Settled(AuthResult.UNAVAILABLE, "unknown_user")
    return Settled(AuthResult.UNAVAILABLE, f"refused {_word(code or status)} {_word(about or '')}".strip())


INVALID_PARAMETERS = 40002
"""Also the answer of a long poll that expired."""


def advice(detail: str) -> str | None:
    """Return what an operator has to do about `detail`, None where it is not theirs."""
    return _ADVICE.get(detail)


def _prepared(fields: Mapping[object, object]) -> Prepared | Settled:
    if not _can_push(fields.get("devices")):
        return Settled(AuthResult.UNAVAILABLE, "no_push_device")
    code = fields.get("verification_code")
    if code is None:
        return Prepared()
    transaction = _text(fields.get("txid"), _LONGEST_TRANSACTION)
    shown = _text(str(code) if isinstance(code, int) else code, _LONGEST_CODE)
    return Prepared(transaction, shown) if transaction and shown else _unknown(fields)


def _can_push(devices: object) -> bool:
    if not isinstance(devices, Sequence) or isinstance(devices, str):
        return False
    capabilities = (_fields(device).get("capabilities") for device in devices)
    return any(isinstance(names, Sequence) and not isinstance(names, str) and "push" in names for names in capabilities)


def _unknown(fields: Mapping[object, object]) -> Settled:
    words = f"unknown result {_word(fields.get('result'))} status {_word(fields.get('status'))}"
    return Settled(AuthResult.UNAVAILABLE, words)


def _fields(response: object) -> Mapping[object, object]:
    return response if isinstance(response, Mapping) else {}


def _text(value: object, longest: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest else None


def _word(value: object) -> str:
    """Return something from outside as one short printable word or two."""
    return printable(str(value), _LONGEST_WORD)
