"""OCPP 2.0.1 and 2.1 messages as the standard writes them, a generated module each."""
