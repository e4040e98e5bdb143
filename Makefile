# Everything from a bare python3 and make: each target first makes a virtual environment and installs
# what it needs there. A stamp file per installation makes the second run start at once.

PYTHON  ?= python3
BACKEND ?= tensorflow
DATASET ?= phantom
ARGS    ?=
# PyPI's newest torch brings gigabytes of CUDA; set TORCH to whatever build suits your machine.
TORCH   ?= torch==2.13.0

ifeq ($(filter tensorflow jax torch,$(BACKEND)),)
$(error Unknown BACKEND=$(BACKEND). Expected tensorflow, jax or torch)
endif

VENV   := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
STAMPS := $(VENV)/.stamps
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check install --quiet

# An editable installation sees changed Python files by itself, but not these.
BUILT_FROM := pyproject.toml setup.py $(wildcard crfrnn/native/*.cpp crfrnn/native/*.h)

NOTEBOOKS  := $(wildcard notebooks/*.ipynb)

COMPILER := $(firstword $(foreach name,c++ g++ clang++,$(shell command -v $(name) 2>/dev/null)))
# With a compiler at hand a missing native library is a bug; without one the tests go on without.
CRFRNN_REQUIRE_NATIVE ?= $(if $(COMPILER),1,0)
TF_CPP_MIN_LOG_LEVEL  ?= 3
KERAS_BACKEND         := $(BACKEND)
export KERAS_BACKEND TF_CPP_MIN_LOG_LEVEL

# Tests run in as many processes as there are cores: threads of NumPy's and PyTorch's that wait for
# each other must not keep a core busy meanwhile (PyTorch's tests take half of the time).
TOGETHER := OMP_WAIT_POLICY=PASSIVE OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:  # installations into one environment must not overlap
.PHONY: help experiment test sanitize lint bench table docs explorer notebooks wheels ci clean

help:  ## show this list
	@echo 'make TARGET [VARIABLE=value ...]'
	@sed -n 's/^\([a-z]*\):.*## /  \1:/p' Makefile | column -t -s: 2>/dev/null || \
	 sed -n 's/^\([a-z]*\):.*## /  \1: /p' Makefile
	@echo 'Variables: BACKEND=tensorflow|jax|torch  DATASET=phantom|hippocampus|...|/path/to/folder'
	@echo '           ARGS="arguments for the command"  PYTHON=python3.12  TORCH=torch==2.13.0'

experiment: $(STAMPS)/experiments $(STAMPS)/$(BACKEND)  ## train, compare and print the table (DATASET=, BACKEND=, ARGS=)
	$(PY) -m experiments.compare --dataset $(DATASET) $(ARGS)

test: $(STAMPS)/dev $(STAMPS)/$(BACKEND)  ## run the tests (BACKEND=, ARGS=)
	CRFRNN_REQUIRE_NATIVE=$(CRFRNN_REQUIRE_NATIVE) $(TOGETHER) $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

sanitize: $(STAMPS)/dev  ## run the native tests and random calls under sanitizers (ARGS="--minutes 60 --inputs 1000000")
	$(PY) -m tools.sanitize $(ARGS)

lint: $(STAMPS)/dev  ## check style, formatting and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(STAMPS)/bench $(STAMPS)/$(BACKEND)  ## measure speed and error beside the peers (BACKEND=, ARGS=)
	$(PY) -m benchmarks.filtering $(ARGS)
	$(PY) -m benchmarks.mean_field $(ARGS)
	$(PY) -m benchmarks.pseudo_labels

table: $(STAMPS)/experiments  ## write the pages of results and the numbers of README and docs from experiments/results (ARGS=)
	OPENBLAS_NUM_THREADS=1 $(PY) -m experiments.publish $(ARGS)

docs: $(STAMPS)/docs $(STAMPS)/$(BACKEND)  ## build the documentation, in build/docs
	$(PY) -m sphinx -W --keep-going docs build/docs

explorer: $(STAMPS)/dev  ## make the explorer's page, build/explorer/index.html, and its WebAssembly where there is em++
	if command -v em++ >/dev/null; then $(PY) -m tools.explorer.wasm; fi
	$(PY) -m tools.explorer.page

notebooks: $(STAMPS)/notebooks $(STAMPS)/$(BACKEND)  ## run the notebooks, in runs/notebooks; their pages join the documentation
	set -e; runnable=$$($(PY) -m notebooks.runnable $(NOTEBOOKS)); \
	$(PY) -m nbconvert --to notebook --execute --output-dir runs/notebooks $$runnable; \
	rm -rf docs/notebooks; \
	$(PY) -m nbconvert --to markdown --template notebooks/page --output-dir docs/notebooks \
	  $$(printf 'runs/%s ' $$runnable)

wheels:  ## build the wheels of every platform in dist/ and check them (ARGS=platform tags)
	$(MAKE) VENV=$(VENV)-wheels $(VENV)-wheels/.stamps/wheels
	$(VENV)-wheels/bin/python -m tools.wheels.build $(ARGS)
	$(VENV)-wheels/bin/python -m tools.wheels.check $(ARGS)

ci:  ## what continuous integration runs: all of this, and the wheel (most of an hour)
	@.ci/run

clean:  ## remove what was built; keeps the environments and runs/
	rm -rf build dist docs/notebooks *.egg-info .pytest_cache .mypy_cache .ruff_cache .venv*/.stamps
	rm -f crfrnn/native/*.so crfrnn/native/*.dylib crfrnn/native/*.dll
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@command -v $(PYTHON) >/dev/null || \
	 { echo 'crfrnn: $(PYTHON) was not found. Install Python 3.10 or newer, or name it: make PYTHON=python3.12 ...'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	 { echo "crfrnn needs Python 3.10 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	 { echo 'crfrnn: $(PYTHON) comes without venv. On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@echo 'Making a virtual environment: $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# One stamp per extra of pyproject.toml.
$(addprefix $(STAMPS)/,dev experiments bench docs notebooks wheels): $(BUILT_FROM) | $(STAMPS)/venv
	@echo 'Installing crfrnn[$(notdir $@)] in $(VENV): some minutes the first time'
	@$(PIP) --editable '.[$(notdir $@)]'
	@$(PY) -c 'import crfrnn; print("native library:", crfrnn.native_status())'
	@touch $@

# Keras and its backend: extras as well, of a crfrnn that one of the stamps above has installed.
$(STAMPS)/tensorflow $(STAMPS)/jax: pyproject.toml | $(STAMPS)/venv
	@echo 'Installing Keras and $(notdir $@) in $(VENV): some minutes the first time'
	@$(PIP) 'crfrnn[$(notdir $@)]'
	@touch $@

$(STAMPS)/torch: pyproject.toml | $(STAMPS)/venv
	@echo 'Installing Keras and $(TORCH) in $(VENV)'
	@$(PIP) 'crfrnn[torch]' '$(TORCH)'
	@touch $@
