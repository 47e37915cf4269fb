# Every target makes its own .venv and installs what is missing; a second call installs nothing.
#
#   PYTHON=python3.12   interpreter for a new .venv (default: the first found that is >= 3.10)
#   UV=                 do without uv even where it is installed
#   ARGS="..."          passed on to train.py (make train) or pytest (make test, test-all, test-outside)

PYTHON ?=
UV ?= $(shell command -v uv 2>/dev/null)
ARGS ?=

# The job of a plain `make train`: a run that fits the bundled sample, with the supervised ceiling.
JOB := --n-timesteps 150000 --with-bc

# All paths are relative, so that a checkout below a folder with spaces in its name works; for the
# same reason tools are run as `python -m tool`: the scripts in .venv/bin name an absolute path.
VENV := .venv
RUN = $(VENV)/bin/python
PINS := pyproject.toml constraints.txt

# A stamp says that .venv holds these extras as PINS ask. It is written after the installer
# succeeded, and the old one is removed before it starts: an interrupted install leaves none.
TRAIN_STAMP := $(VENV)/.installed-train
DEV_STAMP := $(VENV)/.installed-dev

# Other libraries have an environment of their own: their pins contradict constraints.txt.
OUTSIDE_VENV := .venv-outside
OUTSIDE_STAMP := $(OUTSIDE_VENV)/.installed
OUTSIDE_EXTRAS := agents,lora
OUTSIDE_PINS := tests/outside/requirements.txt tests/outside/requirements-no-deps.txt

PYTHONS := python3 python3.13 python3.12 python3.11 python3.10 python3.14
OLDEST := 10
NEEDS := nlp_gym needs
MINIMUM = import sys; sys.exit(sys.version_info < (3, $(OLDEST)))
# Prints the interpreter's own path: a name like python3 may be a shim that depends on the folder.
FIND = import sys; sys.version_info < (3, $(OLDEST)) and sys.exit(1); print(sys.executable)
TRAIN_EXTRAS := agents,minilm,plot,serve
DEV_EXTRAS := $(TRAIN_EXTRAS),dev,docs

# Python keeps what it compiled, whatever the surroundings say: tests start some hundred processes.
unexport PYTHONDONTWRITEBYTECODE

# Two installs into one .venv must not run at once.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help install install-dev train test test-all test-outside lint type check format docs benchmark clean

help:
	@echo 'make train      train the default agent on bundled data; ARGS="--algo ppo" for another job'
	@echo 'make test       the default tests: offline, under three minutes'
	@echo 'make test-all   also the slow tests and those on the real corpora'
	@echo 'make test-outside  tests with Tianshou, TorchRL, RLlib, d3rlpy, RL Zoo, moviepy: own .venv-outside'
	@echo 'make check      what CI runs first: lint, type, test'
	@echo 'make lint       ruff check, ruff format --check, and the layers: who imports whom'
	@echo 'make type       mypy'
	@echo 'make format     let ruff rewrite the code'
	@echo 'make docs       the site, from the pages in docs/ and the code: build/docs/index.html'
	@echo 'make benchmark  stepping speed beside Gymnasium CartPole'
	@echo 'make install    only make .venv ready for training (install-dev: for development)'
	@echo 'make clean      remove .venv, .venv-outside and caches; runs/ is kept'

# A usable .venv is kept, whoever made it; anything else is made anew.
define make_venv
	@if $(RUN) -c '$(MINIMUM)' 2>/dev/null; then exit 0; fi; \
	found=; \
	if [ -n '$(PYTHON)' ]; then set -- '$(PYTHON)'; else set -- $(PYTHONS); fi; \
	for candidate in "$$@"; do \
		if found=$$("$$candidate" -c '$(FIND)' 2>/dev/null); then break; else found=; fi; \
	done; \
	if [ -z "$$found" ] && [ -n '$(UV)' ] && [ -z '$(PYTHON)' ]; then found='>=3.$(OLDEST)'; fi; \
	if [ -z "$$found" ]; then \
		echo "make: $(NEEDS) Python 3.$(OLDEST) or newer. Tried: $$*." >&2; \
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

# $(call install,WHAT,ARGUMENTS): pip reads PIP_FIND_LINKS by itself, uv has to be told.
define install
	@rm -f $@
	@echo "Installing $(1) into $(VENV); the first time takes minutes"
	@if [ -n '$(UV)' ]; then \
		'$(UV)' pip install --quiet --python $(RUN) \
			$${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} $(2); \
	else \
		{ $(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip >/dev/null; } && \
		$(RUN) -m pip install --quiet --disable-pip-version-check $(2); \
	fi || { \
		echo "make: $(1) could not be installed into $(VENV): see the message above. Without a" >&2; \
		echo "make: package index, PIP_FIND_LINKS=FOLDER names a folder of wheels." >&2; \
		exit 1; \
	}
endef

# $(call install_extras,EXTRAS)
install_extras = $(call install,nlp-gymnasium[$(1)],-c constraints.txt -e '.[$(1)]')

$(TRAIN_STAMP): $(PINS)
	$(make_venv)
	$(call install_extras,$(TRAIN_EXTRAS))
	@touch $@

$(DEV_STAMP): $(PINS)
	$(make_venv)
	$(call install_extras,$(DEV_EXTRAS))
	@touch $@ $(TRAIN_STAMP)

$(OUTSIDE_STAMP): VENV := $(OUTSIDE_VENV)
$(OUTSIDE_STAMP): OLDEST := 11
$(OUTSIDE_STAMP): NEEDS := make test-outside is for Tianshou and others, which need
$(OUTSIDE_STAMP): pyproject.toml $(OUTSIDE_PINS)
	$(make_venv)
	$(call install,other libraries,-r tests/outside/requirements.txt -e '.[$(OUTSIDE_EXTRAS)]')
	$(call install,d3rlpy,--no-deps -r tests/outside/requirements-no-deps.txt)
	@touch $@

install: $(TRAIN_STAMP)

install-dev: $(DEV_STAMP)

train: $(TRAIN_STAMP)
	$(RUN) train.py $(or $(ARGS),$(JOB))

# A process a core, at most four; more threads in each would get in each other's way. Each gets one
# stretch of the tests, so that a module trains what its tests share once, and helps when it is done.
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --maxprocesses 4 --dist worksteal

test: $(DEV_STAMP)
	$(PYTEST) $(ARGS)

test-all: $(DEV_STAMP)
	$(PYTEST) -m 'not network' $(ARGS)

# A file a process: what a library compiles or starts at its first use, it does once.
test-outside: $(OUTSIDE_STAMP)
	OMP_NUM_THREADS=1 $(OUTSIDE_VENV)/bin/python -m pytest -n 2 --dist loadfile tests/outside $(ARGS)

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
	$(RUN) benchmarks/speed/stepping.py $(ARGS)

clean:
	rm -rf $(VENV) $(OUTSIDE_VENV) docs/environments docs/api docs/parts .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
