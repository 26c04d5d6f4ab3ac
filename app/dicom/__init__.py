"""The vocabulary: headers, UIDs, names, DICOM JSON, matching. No network, no database."""
