"""The record of files."""

from __future__ import annotations

from alembic import op

from imgproxy.files.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE file_grams USING fts5(grams, content='', detail='none', tokenize='ascii')"
        )
