"""A station's next secret stands beside the one in force until the station has used it."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Room for one more digest."""
    op.execute("ALTER TABLE station_secret ADD COLUMN next_mac bytea CHECK (octet_length(next_mac) = 32)")


def downgrade() -> None:
    """Refuse: records are never thrown away; go back by restoring a dump."""
    raise NotImplementedError("restore a dump made by the older release instead")
