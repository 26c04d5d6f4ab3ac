"""Domain-free helpers: clock, errors, ids, paths, logging. Knows nothing of ours."""
