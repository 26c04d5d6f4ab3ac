"""DIMSE SCP handlers (PS3.7). A door: parse, call one verb, answer with a status."""
