.PHONY: lint fmt
PY := .venv/bin/python
lint:
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
fmt:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
