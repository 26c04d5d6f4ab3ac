"""Composition root of the web role."""
