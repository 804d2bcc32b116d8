# Two commands do everything on a fresh machine: `make quick` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Two OpenMP threads on a busy pair of cores are several times slower than one.
export OMP_NUM_THREADS := 1

.PHONY: install quick test lint pytest faults fuzz gpu gpu-plan clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lengthwise needs Python >= 3.11: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

quick: install  ## train, evaluate and report the quick suite
	$(VENV)/bin/lengthwise run quick $(ARGS)

lint: install
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

test: install  ## lint, type check, tests
	$(MAKE) --jobs 2 lint pytest

pytest: install
	$(RUN) -m pytest -n auto $(ARGS)

faults: install  ## kill, fill the disk, set back the clock, ... and print what was lost (nothing); more with ray installed
	$(RUN) -m tests.faults $(ARGS)

OUT ?= results/gpu
DEVICE ?= cuda
gpu:  ## every GPU check in one call of less than ten minutes, results into OUT; uses the Python at hand, installs nothing
	OUT="$(OUT)" DEVICE="$(DEVICE)" PYTHON="$(PYTHON)" bash tests/gpu/run.sh

fuzz: install  ## a thousand suites, suite files, folders of records and command lines with random changes (two minutes)
	FUZZ=1000 $(RUN) -m pytest tests/harness/test_fuzz.py $(ARGS)

gpu-plan:  ## estimate how long the whole chomsky suite takes on a GPU with ten seeds, from steps measured there
	mkdir -p $(OUT)
	-PYTHONPATH=. PYTHONUNBUFFERED=1 timeout -s INT 580 \
		$(PYTHON) -m harness run chomsky --seeds 10 --device $(DEVICE) --dry-run | tee $(OUT)/chomsky.txt

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
