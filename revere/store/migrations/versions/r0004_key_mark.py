"""Each station's secret says under which server key its digest was made, by a mark that gives nothing of it away."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Room for the mark; NULL where nobody noted it: the next start takes the key at hand for the right one."""
    op.execute("ALTER TABLE station_secret ADD COLUMN key_mark bytea CHECK (octet_length(key_mark) = 16)")


def downgrade() -> None:
    """Refuse: records are never thrown away; go back by restoring a dump."""
    raise NotImplementedError("restore a dump made by the older release instead")
