"""The application's role owns nothing: what it needs of the owner's rights, two functions do for it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FUNCTIONS = """
ALTER FUNCTION revere_partition(text, date) SECURITY DEFINER SET search_path = public, pg_temp;
CREATE FUNCTION revere_analyze() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS 'ANALYZE sample';
REVOKE ALL ON FUNCTION revere_partition(text, date), revere_analyze() FROM PUBLIC;
"""


def upgrade() -> None:
    """Let partitions and statistics be made with the owner's rights."""
    op.execute(FUNCTIONS)


def downgrade() -> None:
    """Refuse: records are never thrown away; go back by restoring a dump."""
    raise NotImplementedError("restore a dump made by the older release instead")
