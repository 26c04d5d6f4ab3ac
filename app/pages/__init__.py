"""Server-rendered HTMX pages. A door: parse, call one verb, answer."""
