"""OCPP 2.1: the standard's structs, their translation and what we do with one station."""
