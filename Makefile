# Every target sets up $(VENV) by itself, once, and again only when pyproject.toml or the constraints change.
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# mypy's cache keeps saying that a module is missing after it was added, so `check` goes without.
# Tiny models are faster on one thread, and on a busy machine spinning threads are ten times slower.
export OMP_NUM_THREADS ?= 1
# the theme announces its successor on every build
export NO_MKDOCS_2_WARNING := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo worth test check docs site tutorials format test-oldest test-student gpu

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY)  ## a virtual environment with tenstep and everything its tests need

demo: $(READY)  ## the whole pipeline on bundled data, offline, in minutes; replaces demo-out/, open its review.html
	rm -rf demo-out
	$(BIN)/tenstep demo --out demo-out

worth: $(READY)  ## what curation is worth: three students of a biased teacher, in some minutes; replaces worth-out/
	rm -rf worth-out
	$(BIN)/tenstep demo --worth --out worth-out

test: $(READY)  ## all tests that this machine can run, with the coverage gate
	$(BIN)/python -m pytest -q --cov --cov-report=term:skip-covered

check: $(READY)  ## lint, format, types, published schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --no-incremental
	$(BIN)/python -m pytest -q tests/test_schemas_publish.py

docs: $(READY)  ## the documentation, built and served at http://127.0.0.1:8000
	$(BIN)/mkdocs serve

site: $(READY)  ## the documentation into .site; a dead link or an unknown name is an error
	$(BIN)/mkdocs build --quiet

tutorials: $(READY)  ## rewrite what commands print on the pages of docs/, from a run of each page; many minutes
	$(BIN)/python scripts/tutorials.py

gpu: $(READY)  ## the tests that need CUDA, then what a step and an answer cost at the 11B model's size
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/python -m benchmarks.qlora

format: $(READY)  ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-oldest:  ## the student's tests on the older pin set, in a second environment
	$(MAKE) test-student VENV=.venv-oldest CONSTRAINTS=constraints-unsloth.txt

test-student: $(READY)
	$(BIN)/python -m pytest -q tests/test_distill_*.py

$(READY): pyproject.toml $(CONSTRAINTS)
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { python=$$(scripts/find_python.sh) && "$$python" -m venv --clear $(VENV); }
	@echo "Installing into $(VENV) (2 GB without CUDA; the first time takes minutes)"
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[distill,evaluate,review,select,jpeg2000,ray,s3,gs,teachers,dev]'
	@touch $@
