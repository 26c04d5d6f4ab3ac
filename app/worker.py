"""Composition root of the worker role: the one table job kind -> function."""
