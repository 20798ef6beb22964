"""The public guide of a programme: figures read from the store, drawn, and set as an accessible PDF."""
