"""Parts of the schema that the models cannot express: full-text tables and operator-class indexes, per database (DESIGN
3.5)."""

from app.dicom import names

_SQLITE = (
    # words and their beginnings; any part of a word of three letters and more
    "CREATE VIRTUAL TABLE patient_words USING fts5(words, content='', contentless_delete=1, prefix='2 3', tokenize='unicode61 remove_diacritics 0')",
    "CREATE VIRTUAL TABLE patient_parts USING fts5(parts, content='', contentless_delete=1, detail=none, tokenize='trigram')",
)
_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX ix_patient_fold_trgm ON patient USING gin ((fold || ' ' || pid_fold) gin_trgm_ops)",
)


def statements(dialect: str) -> list[str]:
    """DDL in order, run by the migration after the tables."""
    return list(_POSTGRESQL if dialect == "postgresql" else _SQLITE)


def fts_text(fold: str, pid_fold: str) -> str:
    """Patient data that are searched as the user types: all name groups and the id, CJK characters apart."""
    return f"{names.spaced(fold.replace('=', ' '))} {pid_fold}".strip()
