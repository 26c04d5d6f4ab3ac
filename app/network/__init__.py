"""The DICOM upper layer and message exchange used in both directions (PS3.7, PS3.8), and the SCU side of the services.

Imports only `trust`, `settings`, `dicom` and `kit`: what is stored and who may do what is decided by its callers."""
