"""OpenADR 3.1 as a VEN: we poll the utility's VTN for programs and events, and post reports."""
