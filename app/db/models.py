"""Loads every package's tables by name: migrations and tests need all of them, and this layer may import none."""

import importlib
import importlib.util
import pkgutil

import app


def load_all() -> None:
    """Imports app.<package>.models wherever it exists."""
    for room in pkgutil.iter_modules(app.__path__):
        if room.ispkg and room.name != "db" and importlib.util.find_spec(f"app.{room.name}.models"):
            importlib.import_module(f"app.{room.name}.models")
