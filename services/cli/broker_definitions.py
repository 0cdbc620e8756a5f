"""RabbitMQ's definitions: the virtual host, its users with what each may do, and the topology. Pure.

The format is that of `rabbitmqctl export_definitions`, which the broker also loads at its start (`load_definitions`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from common.rights import Rights
from common.topology import EVENTS, TOPOLOGY, Topology

NOTHING = "^$"
EVERYTHING = ".*"
SALT_BYTES = 4


def definitions(
    vhost: str, users: Mapping[str, tuple[str, Rights | None]], topology: Topology = TOPOLOGY
) -> dict[str, Any]:
    """Return the definitions of one installation.

    Args:
        vhost: the virtual host.
        users: password hash and rights by user name; None: the administrator, who may do everything in `vhost`.
        topology: what is declared.
    """
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": name,
                "password_hash": password_hash,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [] if rights is not None else ["administrator"],
                "limits": {},
            }
            for name, (password_hash, rights) in users.items()
        ],
        "permissions": [{"user": name, "vhost": vhost, **_permissions(rights)} for name, (_, rights) in users.items()],
        "topic_permissions": [
            {
                "user": name, "vhost": vhost, "exchange": EVENTS, "write": one_of(rights.event_keys), "read": NOTHING,
            }
            for name, (_, rights) in users.items()
            if rights is not None
        ],
        **_declared(vhost, topology),
    }  # fmt: skip


def password_hash(password: str, salt: bytes) -> str:
    """Return `password` as RabbitMQ keeps it: base64 of the salt and the SHA-256 of salt and password.

    Source: https://www.rabbitmq.com/docs/passwords#this-is-the-algorithm
    """
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def one_of(names: Iterable[str]) -> str:
    """Return the pattern that takes these names and nothing else."""
    escaped = [re.escape(name).replace(r"\-", "-") for name in names]
    return f"^({'|'.join(escaped)})$" if escaped else NOTHING


def _permissions(rights: Rights | None) -> dict[str, str]:
    if rights is None:
        return {"configure": EVERYTHING, "write": EVERYTHING, "read": EVERYTHING}
    exchanges = (*rights.whole_exchanges, *((EVENTS,) if rights.event_keys else ()))
    return {
        "configure": NOTHING,
        "write": one_of(exchanges),
        "read": one_of(queue.name for queue in rights.consumes),
    }


def _declared(vhost: str, topology: Topology) -> dict[str, Any]:
    lasting = {"vhost": vhost, "durable": True, "auto_delete": False}
    return {
        "exchanges": [
            {"name": exchange.name, "type": exchange.type, "internal": False, "arguments": {}, **lasting}
            for exchange in topology.exchanges
        ],
        "queues": [{"name": queue.name, "arguments": queue.arguments, **lasting} for queue in topology.queues],
        "bindings": [
            {
                "source": binding.exchange, "vhost": vhost, "destination": queue.name, "destination_type": "queue",
                "routing_key": binding.routing_key, "arguments": {},
            }
            for queue in topology.queues
            for binding in queue.bindings
        ],
    }  # fmt: skip
