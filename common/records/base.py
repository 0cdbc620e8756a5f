"""What every table is made of: column types that MySQL 8, MariaDB 10.11 and SQLite share. UTC everywhere.

Hashes are BINARY(32), times DATETIME(6) without zone, JSON is kept as text (MariaDB has no JSON type of its own). Text
compares byte by byte (utf8mb4_bin): titles that differ in case are different titles.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BINARY,
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase


class HexHash(TypeDecorator[str]):
    """64 hex digits in Python, 32 bytes in the database."""

    impl = BINARY(32).with_variant(LargeBinary(32), "sqlite")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else bytes(value).hex()


class UtcTime(TypeDecorator[datetime]):
    """Aware UTC in Python, DATETIME(6) in the database."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class JsonText(TypeDecorator[Any]):
    """Any JSON value in Python, text in the database."""

    impl = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


RowId = BigInteger().with_variant(Integer(), "sqlite")
Body = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
Id = String(64)
"""UUIDs, and the ids that chat systems give to people and channels."""


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {datetime: UtcTime, dict[str, Any]: JsonText}  # noqa: RUF012 - SQLAlchemy's own way


MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mariadb_charset": "utf8mb4",
          "mariadb_collate": "utf8mb4_bin"}  # fmt: skip
