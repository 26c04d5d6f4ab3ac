"""The text that the full-text tables hold. The tables themselves, which models cannot express, are in the migrations."""

from app.dicom import names


def fts_text(fold: str, pid_fold: str) -> str:
    """Patient data that are searched as the user types: all name groups and the id, CJK characters apart."""
    return f"{names.spaced(fold.replace('=', ' '))} {pid_fold}".strip()
