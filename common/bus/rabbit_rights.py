"""Which exchanges a RabbitMQ user may publish to, found out without publishing anything."""

from __future__ import annotations

from collections.abc import Iterable

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from common.bus.rabbit_parameters import connection_parameters, describe
from common.bus.rabbit_steps import ACCESS_REFUSED
from common.errors import BusUnavailable


def refused_publications(url: str, wanted: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of the pairs of exchange and routing key that the user in `url` may not publish to.

    Each is published in an AMQP transaction that is rolled back: the broker checks the right at once, and routes only
    what is committed.

    Raises:
        BusUnavailable: the broker cannot be reached, or an exchange is missing.
    """
    refused = []
    try:
        connection = pika.BlockingConnection(connection_parameters(url))
        for exchange, key in wanted:
            channel = connection.channel()
            try:
                channel.tx_select()
                channel.basic_publish(exchange, key, b"")
                channel.tx_rollback()
                channel.close()
            except ChannelClosedByBroker as error:
                if error.reply_code != ACCESS_REFUSED:
                    raise
                refused.append((exchange, key))
        connection.close()
    except (AMQPError, OSError) as error:
        raise BusUnavailable(describe(error)) from None
    return refused
