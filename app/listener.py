"""Composition root of the dicom role."""
