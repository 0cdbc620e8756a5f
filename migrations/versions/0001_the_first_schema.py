"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HASH = sa.BINARY(32).with_variant(sa.LargeBinary(32), "sqlite")
TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
BODY = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
MYSQL = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("hash", HASH, nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("reason", LONG_TEXT, nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("context", LONG_TEXT, nullable=True),
        sa.Column("event_time", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=True),
        sa.Column("matched_by", sa.String(length=16), nullable=True),
        sa.Column("question_id", sa.String(length=64), nullable=True),
        sa.Column("escalate_at", TIME, nullable=True),
        sa.Column("asked_at", TIME, nullable=True),
        sa.Column("responded_at", TIME, nullable=True),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.Column("resolution", sa.String(length=32), nullable=True),
        sa.Column("performed", sa.Boolean(), nullable=True),
        sa.Column("authenticated", sa.Boolean(), nullable=True),
        sa.Column("comment", LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", name="uq_alerts_hash"),
        **MYSQL,
    )
    op.create_index("ix_alerts_escalate", "alerts", ["status", "escalate_at"])
    op.create_index("ix_alerts_owner", "alerts", ["owner", "received_at"])
    op.create_index("ix_alerts_person", "alerts", ["person_id", "status", "received_at"])
    op.create_index("ix_alerts_question", "alerts", ["question_id"])
    op.create_index("ix_alerts_received", "alerts", ["received_at"])
    op.create_index("ix_alerts_status", "alerts", ["status", "received_at"])
    op.create_index("ix_alerts_title", "alerts", ["title", "received_at"])

    op.create_table(
        "api_tokens",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("token_hash", HASH, nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_used_at", TIME, nullable=True),
        sa.Column("revoked_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_api_tokens_name"),
        sa.UniqueConstraint("token_hash", name="uq_api_tokens_hash"),
        **MYSQL,
    )
    op.create_table(
        "auth_requests",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("facts", LONG_TEXT, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("transaction", sa.String(length=255), nullable=True),
        sa.Column("code", sa.String(length=16), nullable=True),
        sa.Column("result", sa.String(length=16), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("settled_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("request_id"),
        **MYSQL,
    )
    op.create_index("ix_auth_requests_state", "auth_requests", ["state", "claimed_until"])

    op.create_table(
        "blacklist",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("added_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("lifted_at", TIME, nullable=True),
        sa.Column("lifted_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_blacklist_person", "blacklist", ["person_id", "until"])

    op.create_table(
        "chat_deliveries",
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=True),
        sa.Column("recipient_kind", sa.String(length=8), nullable=False),
        sa.Column("recipient_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("content", LONG_TEXT, nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=True),
        sa.Column("posted_as", sa.String(length=64), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("completed_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        **MYSQL,
    )
    op.create_index("ix_chat_deliveries_created", "chat_deliveries", ["created_at"])
    op.create_index("ix_chat_deliveries_recipient", "chat_deliveries", ["recipient_id", "state", "sequence"])
    op.create_index("ix_chat_deliveries_state", "chat_deliveries", ["state", "claimed_until"])

    op.create_table(
        "conversations",
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("state", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("person_id"),
        **MYSQL,
    )
    op.create_index("ix_conversations_due", "conversations", ["due_at"])

    op.create_table(
        "history",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("alert_hash", HASH, nullable=True),
        sa.Column("person_id", sa.String(length=64), nullable=True),
        sa.Column("detail", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_history_alert", "history", ["alert_hash", "id"])
    op.create_index("ix_history_person", "history", ["person_id", "id"])

    op.create_table(
        "ignored",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("person_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("added_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.Column("lifted_at", TIME, nullable=True),
        sa.Column("lifted_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_ignored_person", "ignored", ["person_id", "title", "until"])

    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("handled_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "message_id"),
        **MYSQL,
    )
    op.create_index("ix_inbox_handled", "inbox", ["handled_at"])

    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=False),
        sa.Column("exchange", sa.String(length=255), nullable=False),
        sa.Column("routing_key", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=True),
        sa.Column("correlation_id", sa.String(length=255), nullable=True),
        sa.Column("headers", LONG_TEXT, nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("mandatory", sa.Boolean(), nullable=False),
        sa.Column("body", BODY, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )

    op.create_table(
        "people",
        sa.Column("chat_id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("display_name", sa.String(length=255), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=True),
        sa.Column("locale", sa.String(length=16), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("chat_id"),
        **MYSQL,
    )
    op.create_index("ix_people_email", "people", ["email"])
    op.create_index("ix_people_username", "people", ["username"])

    op.create_table(
        "quarantine",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("queue", sa.String(length=255), nullable=False),
        sa.Column("exchange", sa.String(length=255), nullable=False),
        sa.Column("routing_key", sa.String(length=255), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=True),
        sa.Column("type", sa.String(length=255), nullable=True),
        sa.Column("correlation_id", sa.String(length=255), nullable=True),
        sa.Column("headers", LONG_TEXT, nullable=False),
        sa.Column("body", BODY, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("decided_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_quarantine_state", "quarantine", ["state", "id"])


def downgrade() -> None:
    op.drop_index("ix_quarantine_state", table_name="quarantine")

    op.drop_table("quarantine")
    op.drop_index("ix_people_username", table_name="people")
    op.drop_index("ix_people_email", table_name="people")

    op.drop_table("people")

    op.drop_table("outbox")
    op.drop_index("ix_inbox_handled", table_name="inbox")

    op.drop_table("inbox")
    op.drop_index("ix_ignored_person", table_name="ignored")

    op.drop_table("ignored")
    op.drop_index("ix_history_person", table_name="history")
    op.drop_index("ix_history_alert", table_name="history")

    op.drop_table("history")
    op.drop_index("ix_conversations_due", table_name="conversations")

    op.drop_table("conversations")
    op.drop_index("ix_chat_deliveries_state", table_name="chat_deliveries")
    op.drop_index("ix_chat_deliveries_recipient", table_name="chat_deliveries")
    op.drop_index("ix_chat_deliveries_created", table_name="chat_deliveries")

    op.drop_table("chat_deliveries")
    op.drop_index("ix_blacklist_person", table_name="blacklist")

    op.drop_table("blacklist")
    op.drop_index("ix_auth_requests_state", table_name="auth_requests")

    op.drop_table("auth_requests")
    op.drop_table("api_tokens")
    op.drop_index("ix_alerts_title", table_name="alerts")
    op.drop_index("ix_alerts_status", table_name="alerts")
    op.drop_index("ix_alerts_received", table_name="alerts")
    op.drop_index("ix_alerts_question", table_name="alerts")
    op.drop_index("ix_alerts_person", table_name="alerts")
    op.drop_index("ix_alerts_owner", table_name="alerts")
    op.drop_index("ix_alerts_escalate", table_name="alerts")

    op.drop_table("alerts")
