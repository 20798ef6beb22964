"""The first schema: journal, series, ledger, registry, access."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

REFUSE = """
CREATE FUNCTION revere_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'restrict_violation',
        MESSAGE = TG_TABLE_NAME || ' is append-only: ' || TG_OP || ' refused';
END $$;
"""

PARTITION = """
CREATE FUNCTION revere_partition(parent text, month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text := parent || to_char(month, '_YYYY_MM');
    low timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
    high timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF parent NOT IN ('journal', 'sample') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'not a partitioned table: ' || parent;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('revere_partition'));
    IF to_regclass(part) IS NULL THEN
        EXECUTE 'CREATE TABLE ' || quote_ident(part) || ' PARTITION OF ' || quote_ident(parent)
            || ' FOR VALUES FROM (' || quote_literal(low) || ') TO (' || quote_literal(high) || ')';
        EXECUTE 'CREATE TRIGGER keep_all BEFORE TRUNCATE ON ' || quote_ident(part)
            || ' FOR EACH STATEMENT EXECUTE FUNCTION revere_refuse_change()';
    END IF;
END $$;
"""

JOURNAL = """
CREATE TABLE journal (
    tenant_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    batch_id bigint NOT NULL,
    PRIMARY KEY (tenant_id, seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX journal_at ON journal USING brin (at);
"""

SERIES = """
CREATE TABLE series (
    series_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id text NOT NULL,
    asset_id text NOT NULL,
    place text NOT NULL,
    quantity text NOT NULL,
    UNIQUE (tenant_id, asset_id, place, quantity)
);
CREATE TABLE sample (
    series_id integer NOT NULL,
    ts timestamptz NOT NULL,
    rev integer NOT NULL,
    value double precision NOT NULL,
    received_at timestamptz NOT NULL,
    cause text NOT NULL,
    quarantined boolean NOT NULL,
    PRIMARY KEY (series_id, ts, rev)
) PARTITION BY RANGE (ts);
CREATE TABLE sample_hour (
    series_id integer NOT NULL REFERENCES series,
    hour timestamptz NOT NULL,
    samples integer NOT NULL,
    mean double precision NOT NULL,
    low double precision NOT NULL,
    high double precision NOT NULL,
    last double precision NOT NULL,
    PRIMARY KEY (series_id, hour)
);
"""

LEDGER = """
CREATE TABLE ledger (
    tenant_id text NOT NULL,
    seq bigint NOT NULL,
    key text NOT NULL,
    posted_at timestamptz NOT NULL,
    statement_id text NOT NULL,
    participant_id text NOT NULL,
    site_id text,
    grid_event_id text,
    program_id text NOT NULL,
    kind text NOT NULL,
    import_wh bigint,
    export_wh bigint,
    cents bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('expected', 'confirmed', 'paid')),
    rule text NOT NULL,
    evidence jsonb NOT NULL,
    prev_hash text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (tenant_id, seq),
    UNIQUE (tenant_id, key)
);
CREATE INDEX ledger_statement ON ledger (tenant_id, statement_id);
"""

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION revere_refuse_change();
CREATE TRIGGER keep_all BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION revere_refuse_change();
"""

REGISTRY = """
CREATE TABLE asset (
    tenant_id text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    position integer NOT NULL,
    doc jsonb NOT NULL,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, kind, id)
);
"""

ACCESS = """
CREATE TABLE station_secret (
    tenant_id text NOT NULL,
    station_id text NOT NULL,
    mac bytea NOT NULL CHECK (octet_length(mac) = 32),
    PRIMARY KEY (tenant_id, station_id)
);
CREATE TABLE app_user (
    tenant_id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text NOT NULL,
    participant_id text,
    site_id text,
    disabled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE token (
    tenant_id text NOT NULL,
    token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
    kind text NOT NULL CHECK (kind IN ('session', 'api', 'link')),
    user_name text NOT NULL,
    label text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, token_sha256),
    FOREIGN KEY (tenant_id, user_name) REFERENCES app_user ON DELETE CASCADE
);
"""


def upgrade() -> None:
    """Make every table from nothing."""
    op.execute(REFUSE)
    op.execute(PARTITION)
    op.execute(JOURNAL)
    op.execute(SERIES)
    op.execute(LEDGER)
    for table in ("journal", "sample", "ledger"):
        op.execute(APPEND_ONLY.format(table=table))
    op.execute(REGISTRY)
    op.execute(ACCESS)


def downgrade() -> None:
    """Refuse: records are never thrown away; go back by restoring a dump."""
    raise NotImplementedError("restore a dump made by the older release instead")
