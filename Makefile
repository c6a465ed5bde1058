# One command does all the set-up it needs. `make` alone lists the commands.
# Written for GNU Make 3.81 (macOS) and any POSIX shell. Choose a Python with `make lab PYTHON=...`;
# hand options on with ARGS, as in `make lab ARGS="--port 8899"` or `make test ARGS="-k doctor"`.

VENV = .venv
BIN = $(VENV)/bin
# A learner's packages are there; and all that building and testing need.
LEARNER = $(VENV)/.maml_edu_learner
STAMP = $(VENV)/.maml_edu_installed
# There while an installation runs: found at the start, it tells of one that was interrupted.
BUSY = $(VENV)/.maml_edu_installing
# The oldest packages that pyproject.toml admits.
LOWEST = .lowest
# TensorFlow, Keras and JAX, which no other command needs.
FRAMEWORKS = .frameworks
# A JupyterHub and what its people use.
HUB = .hub

.DEFAULT_GOAL := help
.PHONY: help setup lab test test-lowest test-frameworks frameworks test-hub hub lint notebooks doctor bench bench-gpu reproduce clean

help:
	@echo "make lab          set up if needed, then open the course in JupyterLab"
	@echo "make test         set up if needed, then run every check"
	@echo "make test-lowest  the quick tests with the oldest packages that pyproject.toml admits"
	@echo "make test-frameworks  chapter 15 and its examples with TensorFlow and JAX (3 GB, minutes at first)"
	@echo "make test-hub     a teacher and two students on a JupyterHub (1.5 GB, minutes at first)"
	@echo "make notebooks    build the notebooks whose source in course/ has changed"
	@echo "make lint         style and types only"
	@echo "make doctor       is everything in place?"
	@echo "make bench        maml_edu beside its peers, into docs/benchmarks.md (bench-gpu: on a GPU)"
	@echo "make reproduce    the published tables, half an hour on two cores; all of them with a GPU"
	@echo "make setup        only create $(VENV) and install all into it; make lab needs less"
	@echo "make clean        remove $(VENV), caches and build products; my_work/ stays"

setup: $(STAMP)

lab: $(LEARNER)
	@$(BIN)/maml-edu lab $(ARGS)

doctor: $(LEARNER)
	@$(BIN)/maml-edu doctor

notebooks: $(STAMP)
	@$(BIN)/maml-edu build $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The notebooks run under nbval, one worker a notebook (--dist loadfile). The learner's own record
# is left alone, and each process computes on one core. tests/conftest.py puts the slowest first.
NBVAL = --nbval-lax --nbval-current-env --nbval-cell-timeout=180
test: lint
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	MAML_EDU_HOME="$$home" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs --durations=25 -n 2 --dist loadfile \
	--no-loadscope-reorder $(NBVAL) notebooks solutions exercises tests $(ARGS)

# Every direct dependency but torch at its lower bound, in an environment of its own, with the oldest Python that
# is there; of the tests those that use what the packages give, and are quick.
USES_PACKAGES = tests/reference tests/tasks tests/checks tests/figures tests/runs \
	tests/project/test_environment.py tests/project/test_places.py \
	$(filter-out %/test_browser.py, $(wildcard tests/test_*.py)) tests/course/test_sync.py \
	$(foreach name, exports feedback many marks protocol report submission, tests/grading/test_$(name).py) \
	$(foreach name, test_maml fast/test_engines training/test_native_steps, tests/pytorch/$(name).py)
test-lowest: $(LOWEST)/.installed
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	MAML_EDU_HOME="$$home" OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -rs -n 2 \
	--ignore tests/runs/test_torchrun.py $(USES_PACKAGES) $(ARGS)

# Their set-up alone.
frameworks: $(FRAMEWORKS)/.installed

# What needs TensorFlow, Keras or JAX, on the CPU, in an environment of its own in which every version is pinned.
# ARGS=--write records the output of the lessons' %%recorded cells again; ARGS="-k jax" runs a part.
test-frameworks: frameworks
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	MAML_EDU_HOME="$$home" OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 KERAS_BACKEND=tensorflow JAX_PLATFORMS=cpu \
	CUDA_VISIBLE_DEVICES= $(FRAMEWORKS)/bin/python -m pytest -rs --durations=10 tests/frameworks $(ARGS)

# Their set-up alone.
hub: $(HUB)/.installed

# docs/jupyterhub.md walked by HTTP, from release to feedback; what is not run (without root) says why.
test-hub: hub
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	MAML_EDU_HOME="$$home" OMP_NUM_THREADS=1 $(HUB)/bin/python -m pytest -rs --durations=5 tests/hub $(ARGS)

# Peers are installed into .bench/. ARGS="--quick" for a few minutes; `--help` says what else.
bench: $(STAMP)
	@$(BIN)/python benchmarks/compare/bench.py $(ARGS)

# With the Python that has a PyTorch for the GPU, if that is not $(VENV): make bench-gpu PYTHON=python3
bench-gpu: $(if $(PYTHON),,$(STAMP))
	@$(or $(PYTHON),$(BIN)/python) benchmarks/compare/bench.py --device cuda $(ARGS)

# Omniglot has to be there: maml-edu data get omniglot. ARGS="--list" shows what is run, "--write" updates docs/results.md.
reproduce: $(if $(PYTHON),,$(STAMP))
	@$(or $(PYTHON),$(BIN)/python) benchmarks/reproduce/reproduce.py $(ARGS)

clean:
	rm -rf $(VENV) $(LOWEST) $(FRAMEWORKS) $(HUB) .bench build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# After an installation that was interrupted nothing in $(VENV) is to be relied on.
ifneq ($(wildcard $(BUSY)),)
$(shell rm -f $(LEARNER) $(STAMP))
endif

# pip runs again only when what it is to install has changed. A learner needs nothing for building, testing or
# grading a class: `make lab` leaves that to `make test`.
$(LEARNER): pyproject.toml constraints.txt
	@if [ -e $(BUSY) ]; then echo "The last set-up was interrupted: starting again."; \
	  rm -rf $(VENV); fi
	@$(BIN)/python -c $(NEW_ENOUGH) 2>/dev/null || { $(FIND_PYTHON) && rm -rf $(VENV) && \
	  echo "Setting up $(VENV) with $$found" && mkdir $(VENV) && touch $(BUSY) && \
	  $$found -m venv $(VENV); }
	@touch $(BUSY)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[fast]"
	@rm -f $(BUSY) && touch $(LEARNER)

$(STAMP): $(LEARNER)
	@touch $(BUSY)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@rm -f $(BUSY) && touch $(STAMP)

$(LOWEST)/.installed: CANDIDATES = $(or $(PYTHON),python3.11 python3.12 python3)
$(LOWEST)/.installed: pyproject.toml constraints.txt tests/helpers/lowest.py
	@$(FIND_PYTHON) && rm -rf $(LOWEST) && echo "Setting up $(LOWEST) with $$found" && \
	$$found -m venv $(LOWEST) && $$found tests/helpers/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check \
	  -c constraints.txt -c $(LOWEST)/constraints.txt -e ".[dev]"
	@touch $@

# The stamp goes first and comes last, so that an interrupted set-up starts again. One that the registry does not
# answer fails: nothing is skipped.
$(FRAMEWORKS)/.installed: CANDIDATES = $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
$(FRAMEWORKS)/.installed: pyproject.toml constraints.txt constraints-frameworks.txt
	@$(FIND_PYTHON) && rm -rf $(FRAMEWORKS) && echo "Setting up $(FRAMEWORKS) with $$found" && \
	$$found -m venv $(FRAMEWORKS)
	@$(FRAMEWORKS)/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
	  -c constraints-frameworks.txt -e ".[tensorflow,jax]" jupytext pytest || { \
	  echo "TensorFlow, Keras and JAX could not be installed into $(FRAMEWORKS) (pip says why, above): nothing"; \
	  echo "of chapter 15 was tested with them. They need the network, 3 GB, and Python 3.11, 3.12 or 3.13."; exit 1; }
	@TF_CPP_MIN_LOG_LEVEL=3 $(FRAMEWORKS)/bin/python -c "import tensorflow, keras, jax, torch, jupytext, pytest"
	@touch $@

$(HUB)/.installed: pyproject.toml constraints.txt constraints-hub.txt
	@$(FIND_PYTHON) && rm -rf $(HUB) && echo "Setting up $(HUB) with $$found" && $$found -m venv $(HUB)
	@$(HUB)/bin/python -m pip install --disable-pip-version-check -c constraints.txt -c constraints-hub.txt \
	  -e ".[teach]" jupyterhub configurable-http-proxy pytest || { \
	  echo "JupyterHub could not be installed into $(HUB) (pip says why, above): docs/jupyterhub.md was not"; \
	  echo "tested. It needs the network and 1.5 GB."; exit 1; }
	@touch $@

# Any Python that can make a virtual environment; each candidate is run, since a name on the PATH
# may be a shim with nothing behind it.
USABLE = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
NEW_ENOUGH = 'import sys; sys.exit(sys.version_info < (3, 11))'
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3.13 python3.12 python3.11 python3 python)
FIND_PYTHON = found=; bare=; for name in $(CANDIDATES); do \
	  if "$$name" -c $(USABLE) >/dev/null 2>&1; then found=$$name; break; fi; \
	  if "$$name" -c $(NEW_ENOUGH) >/dev/null 2>&1; then bare=$$name; fi; done; \
	if [ -z "$$found" ] && [ -n "$$bare" ]; then \
	  echo "$$bare cannot make virtual environments: its venv or ensurepip module is missing."; \
	  echo "On Debian or Ubuntu: sudo apt-get install python3-venv. Then try again."; exit 1; fi; \
	if [ -z "$$found" ]; then echo "No Python 3.11 or newer found (tried: $(CANDIDATES))."; \
	  echo "Install one (python.org), or name it: make lab PYTHON=/path/to/python3."; exit 1; fi
