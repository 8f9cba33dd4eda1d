"""What Alembic runs: migrations on the connection it is handed, in whatever transaction that is in."""

from __future__ import annotations

from alembic import context

from imgproxy.files.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
