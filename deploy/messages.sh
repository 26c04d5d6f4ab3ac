#!/usr/bin/env bash
# Collects every visible string (pyproject.toml, tool.babel) and brings the catalogues up to date; new ones are left empty for
# the translator, who finds none left when tests/test_translations.py passes.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
export PYTHONPATH=$PWD
.venv/bin/pybabel -q extract -F pyproject.toml --no-location --sort-output --omit-header -o build/filmroom.pot .
for language in es; do
  po=app/locale/$language/LC_MESSAGES/filmroom.po
  mkdir -p "$(dirname "$po")"
  [ -f "$po" ] || .venv/bin/pybabel -q init -i build/filmroom.pot -o "$po" -l "$language"
  .venv/bin/pybabel -q update -N --ignore-obsolete --ignore-pot-creation-date --width 120 -i build/filmroom.pot -o "$po" -l "$language"
done
