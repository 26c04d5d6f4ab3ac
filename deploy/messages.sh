#!/usr/bin/env bash
# Collects every visible string and brings the catalogues up to date; new ones are left empty for the translator.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build
.venv/bin/pybabel -q extract -F deploy/babel.cfg -k _ -k t -k N_ --no-location --sort-output --omit-header -o build/filmroom.pot .
for language in es; do
  po=app/locale/$language/LC_MESSAGES/filmroom.po
  if [ -f "$po" ]; then .venv/bin/pybabel -q update -N --omit-header -i build/filmroom.pot -o "$po" -l "$language"
  else mkdir -p "$(dirname "$po")"; .venv/bin/pybabel -q init -i build/filmroom.pot -o "$po" -l "$language"; fi
done
