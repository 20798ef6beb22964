# Revere. The two commands: `make demo` to see it, `make test` to prove it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo setup test peers conformance bench structs lock clean check-python console

demo: setup
	$(BIN)/revere demo

setup: .venv/run.stamp console

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Revere needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

.venv/run.stamp: requirements/run.txt pyproject.toml | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: requirements/dev.txt requirements/fuzz.txt .venv/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@if $(BIN)/python -c 'import platform, sys; sys.exit((sys.version_info[:2], sys.platform, platform.machine()) != ((3, 11), "linux", "x86_64"))'; \
	  then $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt; \
	  else echo "no atheris for this Python: the fuzzing goes on without it"; fi
	@touch $@

# The build carries the hash of its sources: no file's time can pass an old one off as new.
console: .venv/run.stamp
	@$(BIN)/python console/build.py --if-needed

test: setup .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python console/build.py --check
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

# Stations that no one here wrote, in environments of their own below .peers, against our server in wall time.
peers: setup .venv/dev.stamp .peers/python.stamp .peers/node.stamp
	$(BIN)/python -m pytest -m peers tests/peers

.peers/python.stamp: requirements/peers.txt | check-python
	@test -x .peers/python/bin/python || $(PYTHON) -m venv .peers/python
	.peers/python/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.txt
	@touch $@

.peers/node.stamp: tests/peers/node/package-lock.json .venv/run.stamp
	$(BIN)/python tests/peers/install_node.py .peers/node
	@touch $@

# docs/conformance.md, from the marks on the tests.
conformance: setup
	$(BIN)/python tools/conformance.py

bench: setup
	$(BIN)/revere bench

# The OCPP wire structs, from the schemas of the development dependency ocpp.
structs: setup .venv/dev.stamp
	$(BIN)/python tools/ocpp_structs.py

# New locks name no index: hashes only.
lock: .venv/dev.stamp
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate --extra build pyproject.toml -o requirements/run.txt
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate --all-extras -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/peers.in -o requirements/peers.txt
	uv pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate requirements/fuzz.in -o requirements/fuzz.txt

clean:
	rm -rf .venv .peers build dist console/node_modules revere/web/static
