"""OCPP 1.6J (core and smart charging), charging only: structs, translation, one station's session."""
