"""Schema steps. Each is plain SQL that PostgreSQL 15 and 18 both know; :mod:`revere.store.schema` applies them."""
