#!/usr/bin/env bash
# test.sh all|fast|lint: ends with the first step that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD
step() { printf '\n== %s\n' "$*"; }

lint() {
  step "format, lint"; .venv/bin/ruff format --check -q .; .venv/bin/ruff check -q .
  step "types"; .venv/bin/mypy
  step "layers"; .venv/bin/lint-imports | tail -20
  step "dead code"; .venv/bin/python deploy/dead_code.py
  step "templates"; .venv/bin/djlint --quiet --lint templates; .venv/bin/djlint --quiet --check templates || { echo "templates are not formatted: make fmt"; exit 1; }
  step "web format, lint, types"; (cd web && npm run --silent check)
  step "lock files name no registry"
  ! grep -nE '"resolved": "http|--(extra-)?index-url' web/package-lock.json constraints*.txt
}

case "${1:-all}" in
  lint) lint ;;
  fast) .venv/bin/python -m pytest -n 2 -W error::pytest.PytestUnraisableExceptionWarning -m "not slow and not browser and not peer" ;;
  all)
    lint
    step "web tests"; (cd web && npx vitest run --reporter=dot)
    step "tests"; .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15
    ;;
  *) echo "test.sh all|fast|lint"; exit 2 ;;
esac
