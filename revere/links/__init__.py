"""Protocols: one folder each; the standard's names inside, the house's words outside."""
