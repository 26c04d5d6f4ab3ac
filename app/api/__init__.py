"""REST under /api/v1. A door: parse, call one verb, answer."""
