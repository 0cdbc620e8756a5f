"""The chain over the history, by which it shows whether a row was changed, removed or put in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HASH = sa.BINARY(32).with_variant(sa.LargeBinary(32), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BODY = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
MYSQL = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.create_table(
        "history_seals",
        sa.Column("number", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("through_id", sa.BigInteger(), nullable=False),
        sa.Column("digests", BODY, nullable=False),
        sa.Column("sealed_at", TIME, nullable=False),
        sa.Column("previous_hash", HASH, nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("hash", HASH, nullable=False),
        sa.PrimaryKeyConstraint("number"),
        **MYSQL,
    )
    op.execute("INSERT INTO progress (name, at, position) VALUES ('history_seals', '1970-01-01 00:00:00.000000', 0)")


def downgrade() -> None:
    op.execute("DELETE FROM progress WHERE name = 'history_seals'")
    op.drop_table("history_seals")
