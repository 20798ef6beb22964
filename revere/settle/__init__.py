"""Evidence and money as pure functions: performance, the dated rulebook, statements, audit."""
