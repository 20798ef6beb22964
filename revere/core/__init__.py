"""Nouns and arithmetic of the house: pure, no input or output, no clock but the port."""
