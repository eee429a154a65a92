# `make run` starts the gateway, `make test` tests it; both set up .venv first. `make help` lists the rest.

VENV  := .venv
PY    := $(VENV)/bin/python
PIP   := $(PY) -m pip --disable-pip-version-check --no-input
STAMP := $(VENV)/.installed
LOG   := $(VENV)/install.log
FUZZ  := .venv-fuzz

# Tests in these folders share nothing and run side by side; every other folder opens sockets or measures time.
PARALLEL := $(wildcard tests/unit tests/contract tests/architecture)

# Without compiled bytecode every start compiles every library again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-semantic run test test-interop check fuzz soak soak-sockets soak-restart soak-budgets soak-kill soak-faults bench docs lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv and install the locked packages (the other targets do this when needed)

$(STAMP): pyproject.toml requirements.lock constraints.txt
	@if $(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo 'tierway: using the .venv that is here'; \
	    exit 0; \
	fi; \
	found=''; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        found=$$candidate; \
	        break; \
	    fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'tierway: Python 3.11 or newer is needed, and neither python3 nor python3.11 to python3.13 is one.' >&2; \
	    echo 'tierway: install it, or name one: make setup PYTHON=/path/to/python3' >&2; \
	    exit 1; \
	fi; \
	version=$$("$$found" -c 'import platform; print(platform.python_version())'); \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	    echo "tierway: Python $$version is here without the part that creates environments." >&2; \
	    echo 'tierway: on Debian and Ubuntu it is in the package python3-venv: apt install python3-venv' >&2; \
	    exit 1; \
	fi; \
	echo "tierway: creating .venv with Python $$version"; \
	"$$found" -m venv --clear $(VENV)
	@count=$$(grep '^[a-z0-9].*==' requirements.lock | grep -Evc "== '(win32|emscripten)'"); \
	echo "tierway: installing $$count locked packages, each checked by its hash (about 40 s) ..."; \
	rm -f $(VENV)/.locked; \
	{ $(PIP) install --no-deps --require-hashes -r requirements.lock -c constraints.txt 2>$(LOG) && touch $(VENV)/.locked; } | { \
	    n=0; \
	    while read -r word rest; do \
	        case $$word in \
	            Collecting|Processing|Requirement) n=$$((n + 1)); [ $$((n % 15)) -ne 0 ] || echo "tierway:   $$n of $$count fetched" ;; \
	            Installing) echo 'tierway:   unpacking' ;; \
	        esac; \
	    done; \
	}; \
	if [ ! -f $(VENV)/.locked ]; then \
	    tail -n 30 $(LOG) >&2; \
	    echo 'tierway: the installation failed; the lines above and $(LOG) say why' >&2; \
	    exit 1; \
	fi
	@echo 'tierway: installing tierway itself'
	@$(PIP) install --quiet --no-deps --no-build-isolation -c constraints.txt -e . 2>>$(LOG) || { tail -n 30 $(LOG) >&2; exit 1; }
	@touch $(STAMP)
	@echo 'tierway: ready'

setup-semantic: setup  ## add the semantic cache's packages and torch, which writes its model to disk once
	@$(PY) .ci/install_semantic.py

run: setup  ## start the gateway; make run ARGS='--port 9000'
	@$(VENV)/bin/tierway serve $(ARGS)

# pytest answers 5 where it finds no test; a folder that is still empty is no failure.
test: setup  ## run every test; make test ARGS='-k keys'
	$(PY) -m pytest -n auto $(PARALLEL) $(ARGS) || [ $$? -eq 5 ]
	$(PY) -m pytest $(addprefix --ignore=,$(PARALLEL)) $(ARGS) || [ $$? -eq 5 ]

test-interop: setup  ## journeys of real clients, each in its own environment; make test-interop ARGS='openai anthropic'
	$(PY) tests/interop/run.py $(ARGS)

check: setup  ## lint, format, types, import contracts, generated pages
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) docs/generate.py --check

fuzz: $(FUZZ)/.installed  ## 20,000 hostile requests and upstream answers over every route; make fuzz ARGS='--mode answers'
	PYTHONPATH=. $(PY) tests/fuzz/run.py $(ARGS)

$(FUZZ)/.installed: tests/fuzz/requirements.txt | setup
	@echo 'tierway: creating $(FUZZ) for schemathesis'
	@$(PY) -m venv --clear $(FUZZ)
	@echo '*' >$(FUZZ)/.gitignore
	@$(FUZZ)/bin/python -m pip --disable-pip-version-check --no-input install --quiet -r tests/fuzz/requirements.txt
	@touch $@

soak: setup  ## 1,000 streams at once for a minute and a half: no error, flat memory
	$(PY) tests/soak/streams.py $(ARGS)

soak-sockets: setup  ## 2,000 slow and half-open connections at once: nobody else notices, and all of them end
	$(PY) tests/soak/slow_sockets.py $(ARGS)

soak-restart: setup  ## two workers on Redis replaced again and again under load for a minute: no failed request
	$(PY) tests/soak/rolling_restart.py $(ARGS)

soak-budgets: setup  ## a thousand callers race for one budget, 100 times a store: never above it
	$(PY) tests/soak/budget_race.py $(ARGS)

soak-kill: setup  ## the gateway killed under load, 50 times a store: no answer unsettled or charged twice
	$(PY) tests/soak/kill.py $(ARGS)

soak-faults: setup  ## providers that fail in every way, 10,000 requests a scenario: nobody goes without an answer
	$(PY) tests/soak/faults.py $(ARGS)

bench: setup  ## this gateway against its own mock, a table
	$(PY) bench/table.py $(ARGS)

docs: setup  ## write the generated pages again
	$(PY) docs/generate.py

lock: setup  ## resolve requirements.lock again; make lock ARGS=--upgrade takes newer versions
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	$(PY) -m venv "$$scratch" && \
	"$$scratch/bin/python" -m pip install --quiet -c constraints.txt uv && \
	"$$scratch/bin/uv" pip compile pyproject.toml --extra semantic --extra test --extra dev --quiet \
	    --universal --python-version 3.11 --fork-strategy fewest \
	    --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' \
	    --output-file requirements.lock $(ARGS)

clean:  ## remove .venv and every cache
	rm -rf $(VENV) .venv-interop build dist *.egg-info htmlcov .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
