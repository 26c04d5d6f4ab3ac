"""Typed groups of settings kept in the database, declared by the package that uses them (in its settings.py)."""

from app.settings.registry import describe, groups, kind_of, save_values
from app.settings.store import Group, change, history, load, save

__all__ = ["Group", "change", "describe", "groups", "history", "kind_of", "load", "save", "save_values"]
