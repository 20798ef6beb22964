"""Which certificate of each station is in force; without a fingerprint all until that beginning are revoked."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE station_certificate (
    tenant_id text NOT NULL,
    station_id text NOT NULL,
    fingerprint bytea CHECK (octet_length(fingerprint) = 32),
    begins timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, station_id)
);
"""


def upgrade() -> None:
    """Empty at first: what a station shows next is put in force."""
    op.execute(TABLE)


def downgrade() -> None:
    """Refuse: records are never thrown away; go back by restoring a dump."""
    raise NotImplementedError("restore a dump made by the older release instead")
