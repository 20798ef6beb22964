"""Tests of the settlement room."""
