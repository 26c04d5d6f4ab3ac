"""Import and export: zip archives, DICOMDIR, folders."""
