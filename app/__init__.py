"""Filmroom: a DICOM print, archive and routing station. The map of the rooms is in README.md."""

__version__ = "0.1.0"
