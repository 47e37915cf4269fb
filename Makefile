# Every target makes its own .venv and installs what is missing; a second call installs nothing.
#
#   PYTHON=python3.12   interpreter for a new .venv (default: the first found that is >= 3.10)
#   UV=                 do without uv even where it is installed
#   ARGS="..."          passed on to train.py (make train) or pytest (make test, make test-all)

PYTHON ?=
UV ?= $(shell command -v uv 2>/dev/null)
ARGS ?=

# The job of a plain `make train`: a run that fits the bundled sample, with the supervised ceiling.
JOB := --n-timesteps 150000 --with-bc

# All paths are relative, so that a checkout below a folder with spaces in its name works; for the
# same reason tools are run as `python -m tool`: the scripts in .venv/bin name an absolute path.
VENV := .venv
RUN := $(VENV)/bin/python
PINS := pyproject.toml constraints.txt

# A stamp says that .venv holds these extras as PINS ask. It is written after the installer
# succeeded, and the old one is removed before it starts: an interrupted install leaves none.
TRAIN_STAMP := $(VENV)/.installed-train
DEV_STAMP := $(VENV)/.installed-dev

PYTHONS := python3 python3.13 python3.12 python3.11 python3.10 python3.14
MINIMUM := import sys; sys.exit(sys.version_info < (3, 10))
# Prints the interpreter's own path: a name like python3 may be a shim that depends on the folder.
FIND := import sys; sys.version_info < (3, 10) and sys.exit(1); print(sys.executable)
TRAIN_EXTRAS := agents,minilm
DEV_EXTRAS := $(TRAIN_EXTRAS),dev,docs

# Two installs into one .venv must not run at once.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help install install-dev train test test-all lint type check format docs benchmark clean

help:
	@echo 'make train      train the default agent on bundled data; ARGS="--algo ppo" for another job'
	@echo 'make test       the default tests: offline, under three minutes'
	@echo 'make test-all   also the slow tests and those on the real corpora'
	@echo 'make check      what CI runs first: lint, type, test'
	@echo 'make lint       ruff check, ruff format --check, and the layers: who imports whom'
	@echo 'make type       mypy'
	@echo 'make format     let ruff rewrite the code'
	@echo 'make docs       the site, from the pages in docs/ and the code: build/docs/index.html'
	@echo 'make benchmark  stepping speed beside Gymnasium CartPole'
	@echo 'make install    only make .venv ready for training (install-dev: for development)'
	@echo 'make clean      remove .venv and caches; runs/ is kept'

# A usable .venv is kept, whoever made it; anything else is made anew.
define make_venv
	@if $(RUN) -c '$(MINIMUM)' 2>/dev/null; then exit 0; fi; \
	found=; \
	if [ -n '$(PYTHON)' ]; then set -- '$(PYTHON)'; else set -- $(PYTHONS); fi; \
	for candidate in "$$@"; do \
		if found=$$("$$candidate" -c '$(FIND)' 2>/dev/null); then break; else found=; fi; \
	done; \
	if [ -z "$$found" ] && [ -n '$(UV)' ] && [ -z '$(PYTHON)' ]; then found='>=3.10'; fi; \
	if [ -z "$$found" ]; then \
		echo "make: nlp_gym needs Python 3.10 or newer. Tried: $$*." >&2; \
		echo "make: install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with Python $$found"; \
	rm -rf $(VENV); \
	if [ -n '$(UV)' ]; then '$(UV)' venv --quiet --python "$$found" $(VENV); \
	elif ! "$$found" -m venv $(VENV); then \
		rm -rf $(VENV); \
		echo "make: no venv module: install it (Debian: apt-get install python3-venv) or uv" >&2; \
		exit 1; \
	fi
endef

# $(call install_extras,EXTRAS): pip reads PIP_FIND_LINKS by itself, uv has to be told.
define install_extras
	@rm -f $@
	@echo "Installing nlp-gymnasium[$(1)] into $(VENV); the first time takes minutes"
	@if [ -n '$(UV)' ]; then \
		'$(UV)' pip install --quiet --python $(RUN) -c constraints.txt \
			$${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} -e '.[$(1)]'; \
	else \
		{ $(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip >/dev/null; } && \
		$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(1)]'; \
	fi
endef

$(TRAIN_STAMP): $(PINS)
	$(make_venv)
	$(call install_extras,$(TRAIN_EXTRAS))
	@touch $@

$(DEV_STAMP): $(PINS)
	$(make_venv)
	$(call install_extras,$(DEV_EXTRAS))
	@touch $@ $(TRAIN_STAMP)

install: $(TRAIN_STAMP)

install-dev: $(DEV_STAMP)

train: $(TRAIN_STAMP)
	$(RUN) train.py $(or $(ARGS),$(JOB))

# A process a core, at most four; more threads in each would get in each other's way.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4

test: $(DEV_STAMP)
	$(PYTEST) $(ARGS)

test-all: $(DEV_STAMP)
	$(PYTEST) -m 'not network' $(ARGS)

# The contracts of the layers, [tool.importlinter] in pyproject.toml; it has no `python -m` of its own.
IMPORTS := PYTHONPATH=agents $(RUN) -c 'from importlinter.cli import lint_imports_command as lint; lint()' \
	--no-logo --cache-dir .cache/imports

lint: $(DEV_STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(IMPORTS)

type: $(DEV_STAMP)
	$(RUN) -m mypy

check: lint type test

format: $(DEV_STAMP)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# Strict: a warning, such as a link that leads nowhere, is an error. Nothing is fetched.
docs: $(DEV_STAMP)
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -d .cache/docs/doctrees docs build/docs
	@echo 'build/docs/index.html'

benchmark: $(DEV_STAMP)
	$(RUN) benchmarks/stepping.py $(ARGS)

clean:
	rm -rf $(VENV) docs/environments docs/api docs/parts .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
