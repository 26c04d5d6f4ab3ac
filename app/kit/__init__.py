"""Domain-free helpers: clock, errors, ids, paths, logging. Does not depend on other packages of the application."""
