#!/usr/bin/env bash
# lock.sh: pins what pyproject.toml names, with hashes and without any index address. constraints.txt: what the product runs
# on; constraints-build.txt: what installs the command from a checkout; constraints-dev.txt: all, with the tests.
# "lock.sh --upgrade" takes newer versions within the bounds.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(.venv/bin/pip-compile -q --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-find-links
  --no-emit-trusted-host --strip-extras --no-emit-options "$@")
"${compile[@]}" --extra dev -o constraints-dev.txt pyproject.toml
"${compile[@]}" -c constraints-dev.txt -o constraints.txt pyproject.toml
"${compile[@]}" --only-build-deps --build-deps-for editable -c constraints-dev.txt -o constraints-build.txt pyproject.toml
