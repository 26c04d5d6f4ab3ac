"""Typed groups of settings kept in the database, declared by the room that uses them."""

from app.settings.store import Group, history, load, save

__all__ = ["Group", "history", "load", "save"]
