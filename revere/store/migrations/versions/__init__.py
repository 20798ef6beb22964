"""One module per schema step, in the order of their `down_revision`."""
