"""Wiring only: which room fills which port, in twin time and in wall time."""
