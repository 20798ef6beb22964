"""Journal, series, ledger, registry: all that is kept, in PostgreSQL. The only SQL in the house."""
