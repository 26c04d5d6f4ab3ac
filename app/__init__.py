"""Filmroom: a DICOM print, archive and routing station. docs/dev/architecture.md lists the packages."""

__version__ = "0.1.0"
