"""Frames that no station should send, in bulk, through everything that reads a station's words."""
