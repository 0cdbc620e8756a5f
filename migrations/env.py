"""Alembic's entry: runs the migrations on the connection that `common.records.migrate` passes."""

from __future__ import annotations

from alembic import context

from common.records.schema import SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SCHEMA,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
