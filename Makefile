# Two commands do everything on a fresh machine: `make quick` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Two OpenMP threads on a busy pair of cores are several times slower than one.
export OMP_NUM_THREADS := 1

.PHONY: install quick test lint gpu clean

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

test: lint  ## lint, type check, tests
	$(RUN) -m pytest -n auto $(ARGS)

OUT ?= results/gpu
gpu:  ## every GPU check in one call, results into OUT; uses the Python at hand and installs nothing
	mkdir -p $(OUT)
	PYTHONPATH=. $(PYTHON) -m harness doctor | tee $(OUT)/doctor.txt
	PYTHONPATH=. $(PYTHON) -m pytest tests/gpu -p no:cacheprovider | tee $(OUT)/tests.txt
	PYTHONPATH=. $(PYTHON) -m harness bench --device cuda --steps 16 --output $(OUT)/bench.csv | tee $(OUT)/bench.txt
	PYTHONPATH=. $(PYTHON) -m harness bench decode --device cuda --output $(OUT)/decode.csv | tee $(OUT)/decode.txt

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
