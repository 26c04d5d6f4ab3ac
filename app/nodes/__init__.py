"""Nodes and callers: their options, capabilities, admission, operation log, storage commitment, import and export."""
