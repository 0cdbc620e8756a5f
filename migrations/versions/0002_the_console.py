"""The console: triage, analysts and their sessions, counts for the insight page, and indexes of its lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HASH = sa.BINARY(32).with_variant(sa.LargeBinary(32), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
ALERT_INDEXES = {
    "ix_alerts_inbox": ["status", "resolution", "severity", "received_at"],
    "ix_alerts_resolution": ["resolution", "received_at"],
    "ix_alerts_severity": ["severity", "received_at"],
    "ix_alerts_source": ["source", "received_at"],
    "ix_alerts_resolved": ["resolved_at"],
    "ix_alerts_performed": ["performed", "received_at"],
    "ix_alerts_authenticated": ["authenticated", "received_at"],
}


def upgrade() -> None:
    for name, columns in ALERT_INDEXES.items():
        op.create_index(name, "alerts", columns)
    _triage()
    _access()
    _counts()


def _triage() -> None:
    op.create_table(
        "triage",
        sa.Column("alert_hash", HASH, nullable=False),
        sa.Column("taken_by", sa.String(length=255), nullable=True),
        sa.Column("taken_at", TIME, nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("closed_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("alert_hash"),
        **MYSQL,
    )
    op.create_index("ix_triage_taken", "triage", ["taken_by", "taken_at"])


def _access() -> None:
    op.create_table(
        "analysts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name"),
        **MYSQL,
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", HASH, nullable=False),
        sa.Column("analyst", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
        **MYSQL,
    )
    op.create_index("ix_sessions_analyst", "sessions", ["analyst"])
    op.create_index("ix_sessions_expires", "sessions", ["expires_at"])
    op.create_table(
        "sign_in_flows",
        sa.Column("state_hash", HASH, nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=128), nullable=False),
        sa.Column("next_path", sa.String(length=1024), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("state_hash"),
        **MYSQL,
    )
    op.create_index("ix_sign_in_flows_created", "sign_in_flows", ["created_at"])
    op.create_table(
        "sign_in_failures",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_sign_in_failures_name", "sign_in_failures", ["name", "at"])
    op.create_index("ix_sign_in_failures_address", "sign_in_failures", ["address", "at"])
    op.create_index("ix_sign_in_failures_at", "sign_in_failures", ["at"])


def _counts() -> None:
    op.create_table(
        "rollups",
        sa.Column("dimension", sa.String(length=16), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("resolution", sa.String(length=32), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("dimension", "day", "key", "resolution"),
        **MYSQL,
    )
    op.create_table(
        "progress",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MYSQL,
    )
    op.create_table(
        "words",
        sa.Column("word", sa.String(length=64), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word"),
        **MYSQL,
    )
    op.create_table(
        "alert_words",
        sa.Column("word", sa.String(length=64), nullable=False),
        sa.Column("alert_id", ROW_ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("word", "alert_id"),
        **MYSQL,
    )


TABLES = (
    "alert_words", "words", "progress", "rollups", "sign_in_failures", "sign_in_flows", "sessions", "analysts",
    "triage",
)  # fmt: skip


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for name in ALERT_INDEXES:
        op.drop_index(name, "alerts")
