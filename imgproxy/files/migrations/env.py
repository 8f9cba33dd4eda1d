"""Alembic's entry: migrations on the connection of the caller, in its transaction."""

from __future__ import annotations

from alembic import context

from imgproxy.files.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
