"""Revere runs a vehicle-to-everything programme: parked electric vehicles as one power plant."""

__version__ = "0.1.0"
