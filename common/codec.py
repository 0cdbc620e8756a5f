"""Bytes to message and back, by type and version. The only place that knows how a message looks on the wire."""

from __future__ import annotations

from pydantic import ValidationError

from common.bus.port import Delivery, Publication
from common.errors import BadMessage
from common.messages import ALL_MESSAGES, Envelope, Message
from common.topology import EVENTS, retry_key

ORIGINAL_ID_HEADER = "original-id"
"""The id under which a message from the quarantine was sent at first."""
OWNER_HEADER = "owner"
VERSION_HEADER = "version"

_BY_TYPE = {(message.type_name(), message.version): message for message in ALL_MESSAGES}


def encode(message: Message, *, message_id: str, owner: str | None, correlation_id: str | None) -> Publication:
    """Return the publication that carries `message` on the internal exchange."""
    return Publication(
        exchange=EVENTS,
        routing_key=message.type_name(),
        body=message.model_dump_json(exclude_none=True).encode(),
        message_id=message_id,
        type=message.type_name(),
        correlation_id=correlation_id,
        headers={VERSION_HEADER: message.version} | ({OWNER_HEADER: owner} if owner else {}),
    )


def decode(delivery: Delivery) -> Envelope[Message]:
    """Return the envelope in `delivery`.

    Raises:
        BadMessage: no id, a type that is not the routing key's, an unknown type or version, or a body that is not that
            type's.
    """
    if not delivery.message_id:
        raise BadMessage("message_id is missing: every internal message carries one")
    # The broker's rights say who may publish under which routing key, so nothing else may say what a message is.
    if delivery.routing_key not in (delivery.type, retry_key(delivery.queue)):
        raise BadMessage(f"type {delivery.type!r} came under the routing key {delivery.routing_key!r}")
    version = delivery.headers.get(VERSION_HEADER)
    message_type = _BY_TYPE.get((delivery.type or "", version if isinstance(version, int) else -1))
    if message_type is None:
        raise BadMessage(f"type {delivery.type!r} version {version!r} is not one that this release knows")
    try:
        message = message_type.model_validate_json(delivery.body)
    except ValidationError as error:
        raise BadMessage(describe(error)) from None
    owner = delivery.headers.get(OWNER_HEADER)
    return Envelope(delivery.message_id, message, owner if isinstance(owner, str) else None, delivery.correlation_id)


def describe(error: ValidationError) -> str:
    """Return one line that names each wrong field and what is wrong with it, without repeating the input."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(step) for step in problem["loc"]) or "body"
        problems.append(f"{where}: {problem['msg']}")
    return "; ".join(problems)
