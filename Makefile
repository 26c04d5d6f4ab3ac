# The targets of DESIGN part 2 (docs/dev/architecture.md), and those that developers use.
PY := .venv/bin/python
export PYTHONPATH := $(CURDIR)

.PHONY: help setup setup-test run test test-fast test-long bench bench-large fuzz chaos container-test service-test lint fmt docs lock messages wheel clean
help:            ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup:           ## install everything the product needs
	@deploy/setup.sh run
setup-test:
	@deploy/setup.sh test

run: setup       ## start Filmroom on http://127.0.0.1:8000 and DICOM 11112
	@.venv/bin/filmroom serve

test: setup-test ## every check and every test
	@deploy/test.sh all
test-fast: setup-test ## the quick part, under a minute
	@deploy/test.sh fast
test-long: setup-test ## the tests that load the product for a minute and more, then chaos and fuzz at full length
	@$(PY) -m pytest -m long -s tests
	@$(MAKE) chaos fuzz
lint: setup-test ## formatting, types, layers, templates
	@deploy/test.sh lint

bench: setup-test ## all figures as ratios, written to bench.json and docs/dev/benchmarks.md
	@$(PY) -m tests.bench
bench-large: setup-test ## the same with a million studies
	@$(PY) -m tests.bench --large

chaos: setup-test ## store and forward through kills, dead peers, a full disk, clock jumps (500 faults, 50 kills; FILMROOM_CHAOS_FAULTS=N)
	@FILMROOM_CHAOS_SEED=$${FILMROOM_CHAOS_SEED:-$$(date +%s)} FILMROOM_CHAOS_FAULTS=$${FILMROOM_CHAOS_FAULTS:-500} FILMROOM_CHAOS_KILLS=$${FILMROOM_CHAOS_KILLS:-50} $(PY) -m pytest -q -s tests/chaos
fuzz: setup-test ## a million mutated PDUs, 20,000 mutated objects, ten minutes guided by coverage
	@$(PY) -W ignore -m tests.fuzz

container-test: setup-test ## build the forwarder's image and try it for real (podman, buildah, root; see deploy/README.md)
	@$(PY) -m tests.deploy.by_hand.container
service-test: setup-test ## install the wheel in a machine that systemd really boots, and try the service there (root)
	@$(PY) -m tests.deploy.by_hand.machine

fmt:             ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	.venv/bin/djlint --quiet --reformat templates || true
	cd web && npm run --silent format
messages:        ## collect the visible strings into the Spanish catalogue
	@deploy/messages.sh
docs: setup-test ## write the tables of the documentation from the code
	@$(PY) -W ignore -m tests.support.doctables --write
lock:            ## pin the dependencies of pyproject.toml with hashes, without any index address
	@deploy/lock.sh
wheel: setup-test ## a wheel that carries the built bundle
	@.venv/bin/python -m build -q --wheel --no-isolation
clean:
	rm -rf build dist web/dist .venv web/node_modules
