"""What the models cannot say: full-text tables, triggers and counters, per database."""


def statements(dialect: str) -> list[str]:
    """DDL in order, run by the migration after the tables."""
    return []
