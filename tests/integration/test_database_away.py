"""A record that cannot be reached, over and over."""

from __future__ import annotations

import gc

import pytest
from pymysql.connections import Connection

from common.errors import DatabaseUnavailable
from common.records.database import create_database, translated_errors
from tests.servers import free_port


def test_a_connection_that_fails_leaves_nothing_in_memory() -> None:
    """An outage of minutes is hundreds of tries, and each had a TLS context at hand."""
    engine = create_database(f"mysql+pymysql://root@127.0.0.1:{free_port()}/nowhere")
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            with pytest.raises(DatabaseUnavailable, match="Can't connect"), translated_errors(), engine.connect():
                pass
        left = [thing for thing in gc.get_objects() if isinstance(thing, Connection)]
    finally:
        gc.enable()
    assert left == []
