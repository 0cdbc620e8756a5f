"""The bus: a port and two adapters, chosen by the URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from common.bus.port import Bus


def open_bus(url: str) -> Bus:
    """Return the bus for `url`: RabbitMQ through pika for `amqp(s)://`, kombu's transport for anything else.

    The adapters are imported here, so that the demo does not load pika nor a service in production kombu.
    """
    if urlsplit(url).scheme in ("amqp", "amqps"):
        from common.bus.rabbitmq import RabbitBus  # noqa: PLC0415

        return RabbitBus(url)
    from common.bus.embedded import KombuBus  # noqa: PLC0415

    return KombuBus(url)
