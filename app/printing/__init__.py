"""Sheets, PDF/A, the print queue: preview and paper come from the same Sheet."""
