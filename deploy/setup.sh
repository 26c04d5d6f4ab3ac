#!/usr/bin/env bash
# setup.sh run|test: installs what is missing for running, or also for the checks and tests. Quick when nothing is.
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-run}
say() { printf 'setup: %s\n' "$*"; }

# 1. Debian packages
lists=(deploy/debian-run.txt)
[ "$want" = test ] && lists+=(deploy/debian-test.txt)
if command -v dpkg-query >/dev/null; then
  missing=()
  while read -r package; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done < <(cat "${lists[@]}")
  if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then run=(); elif sudo -n true 2>/dev/null; then run=(sudo); else
      say "these system packages are missing and need root. Give this command, then start again:"
      echo "  sudo apt-get update && sudo $install"
      exit 1
    fi
    say "installing ${missing[*]}"
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # Services that packages would start (PostgreSQL, Orthanc, nginx) stay off: the tests start their own.
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $install -qq >/dev/null
  fi
fi

# 2. Python
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed; name it with PYTHON=..."; exit 1; }
[ -x .venv/bin/python ] || "$python" -m venv .venv || { say "the venv module is missing: sudo apt-get install python3-venv"; exit 1; }
locks=(constraints.txt constraints-build.txt)
[ "$want" = test ] && locks=(constraints-dev.txt)
stamp=.venv/.installed-$want
if [ ! -f "$stamp" ] || ! cat "${locks[@]}" | cmp -s - "$stamp"; then
  say "installing Python packages (${locks[*]})"
  .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes $(printf -- '-r %s ' "${locks[@]}")
  cat "${locks[@]}" >"$stamp"
fi

# 3. The web bundle
if [ ! -f web/node_modules/.package-lock.json ] || [ web/package-lock.json -nt web/node_modules/.package-lock.json ]; then
  command -v npm >/dev/null || { say "Node 20 with npm is needed: sudo apt-get install nodejs npm"; exit 1; }
  say "installing web packages"
  (cd web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json)
fi
if [ ! -f web/dist/manifest.json ] || [ -n "$(find web/src web/scripts web/*.ts web/package-lock.json -newer web/dist/manifest.json -print -quit 2>/dev/null)" ]; then
  say "building the web bundle"
  (cd web && npm run -s build -- --logLevel warn)
fi

# A stock OHIF for the acceptance test of DICOMweb: files from the npm package, checked by hash in tests/support/ohif.py
if [ "$want" = test ] && [ ! -f build/ohif-app-3.13.2.tgz ] && [ ! -f /tmp/ohif-app-3.13.2.tgz ]; then
  say "fetching the OHIF package"
  mkdir -p build && (cd build && npm pack --silent --loglevel=error @ohif/app@3.13.2 >/dev/null)
fi

# 4. Translations, the command itself, compiled code
for po in app/locale/*/LC_MESSAGES/*.po; do
  [ -f "$po" ] || continue
  if [ ! -f "${po%.po}.mo" ] || [ "$po" -nt "${po%.po}.mo" ]; then .venv/bin/pybabel -q compile -i "$po" -o "${po%.po}.mo"; fi
done
if [ ! -f .venv/bin/filmroom ] || [ pyproject.toml -nt .venv/bin/filmroom ]; then
  say "installing the filmroom command"
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
  touch .venv/bin/filmroom
fi
.venv/bin/python -m compileall -q app || true
