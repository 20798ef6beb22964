"""Decisions as pure functions on arrays: forecast, schedule, dispatch, island, fallback. No clock, no I/O."""
