"""OCPP-J: frames, calls, transport and the one server for every OCPP version."""
