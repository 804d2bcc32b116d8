# Two commands do everything on a fresh machine: `make quick` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
# Two OpenMP threads on a busy pair of cores are several times slower than one.
export OMP_NUM_THREADS := 1

.PHONY: install quick test lint gpu gpu-plan clean

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
DEVICE ?= cuda
HERE := PYTHONPATH=. PYTHONUNBUFFERED=1 timeout -s INT
gpu:  ## every GPU check in one call of less than ten minutes, results into OUT; uses the Python at hand, installs nothing
	mkdir -p $(OUT)
	$(HERE) 20 $(PYTHON) -m harness doctor | tee $(OUT)/doctor.txt
	-$(HERE) 220 $(PYTHON) -m pytest tests/gpu -v --tb=short -p no:cacheprovider | tee $(OUT)/tests.txt
	-$(HERE) 40 $(PYTHON) -m harness bench populations -a transformer:depth=4 --device $(DEVICE) --output $(OUT)/goal.csv
	-$(HERE) 170 $(PYTHON) -m harness bench populations --device $(DEVICE) --steps 8 --output $(OUT)/populations.csv
	-$(HERE) 80 $(PYTHON) -m harness bench --device $(DEVICE) --steps 8 --output $(OUT)/step.csv
	-$(HERE) 60 $(PYTHON) -m harness bench decode --device $(DEVICE) --output $(OUT)/decode.csv

gpu-plan:  ## how long the whole chomsky suite takes on a GPU with ten seeds, by steps measured there
	mkdir -p $(OUT)
	-$(HERE) 580 $(PYTHON) -m harness run chomsky --seeds 10 --device $(DEVICE) --dry-run | tee $(OUT)/chomsky.txt

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
