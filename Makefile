# make demo   see a trained model segment a named object in a video file and in a picture
# make test   everything that must hold: style, types, tests
# make tiny   train the bundled model again
# make docs   build the documentation as a site, in build/site
# Each creates what it needs, in .venv, from Python 3.11 alone; a second call is quick.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.unipixel.stamp

# Two test processes on two cores: waiting threads must not spin.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint types format tiny docs setup clean

demo: $(READY)
	$(RUN) examples/demo.py

test: lint types
	$(RUN) -m pytest -q -n 2

lint: $(READY)
	$(RUN) -m ruff check --quiet .
	$(RUN) -m ruff format --check --quiet .

types: $(READY)
	$(RUN) -m mypy --no-error-summary

format: $(READY)
	$(RUN) -m ruff check --fix --quiet .
	$(RUN) -m ruff format --quiet .

# 1 or 2, of one thread each; they share every batch (more: batch.micro of the recipes tiny_1 to tiny_3).
PROCESSES ?= 2

# Large tensors come and go at every step: let the C library keep their pages (docs/log.md).
tiny: export MALLOC_MMAP_THRESHOLD_ := 8589934592
tiny: export MALLOC_TRIM_THRESHOLD_ := 8589934592
tiny: $(READY)
	$(RUN) -m torch.distributed.run --standalone --nproc-per-node $(PROCESSES) -m unipixel.training.tiny -o build/unipixel-tiny

docs: $(READY)
	$(RUN) -m mkdocs build --strict --quiet

setup: $(READY)

# The stamp is written last: an interrupted installation is taken up again.
$(READY): pyproject.toml constraints.txt
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
