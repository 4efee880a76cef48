# The two commands that a fresh machine needs: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
VENV_BEAM ?= .venv-beam
# More arguments for pytest: make test ARGS=--durations=20
ARGS ?=
# Two files of tests at a time; not those whose processes wait for each other.
TWO = -n 2 --dist loadfile
# Tests that have a target of their own.
ELSEWHERE = --ignore=tests/parity --ignore=tests/beam --ignore=tests/aot

.PHONY: aot aot-test demo test test-all fuzz parity beam lint docs clean $(VENV)

demo: $(or $(wildcard $(VENV)/installed),$(VENV)/package)
	$(VENV)/bin/python scripts/experiment.py --config configs/quickstart.py --budget=270s --workdir runs/demo \
		--config.data.limit=2000 --config.data.split=0.24,0.06,0.7 --config.arms=real+augmentation,add+augmentation

# What takes less than some seconds each: minutes. All else is marked `slow`.
test: $(VENV)
	$(VENV)/bin/python -m pytest tests $(ELSEWHERE) -m 'not slow' $(TWO) $(ARGS)

# All of it: the better part of an hour.
test-all: $(VENV)
	$(VENV)/bin/python -m pytest tests $(ELSEWHERE) --ignore=tests/engine/test_distributed.py $(TWO) $(ARGS)
	$(VENV)/bin/python -m pytest tests/engine/test_distributed.py

# Bad settings, command lines and files, as many times as usual; other ones each time.
FUZZ ?= 20
fuzz: $(VENV)
	FUZZ=$(FUZZ) $(VENV)/bin/python -m pytest tests/fuzz tests/weights/test_hostile.py --timeout=36000 $(ARGS)

# Comparisons with reference packages, and on published weights; torchvision has no CPU build of
# its own to depend on.
parity: $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt torch==2.13.0 prdc scikit-learn
	$(VENV)/bin/pip install -q --no-deps torchvision==0.28.0
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[features]'
	$(VENV)/bin/python -m pytest tests/parity $(TWO)

# Preparing pictures on Apache Beam, which holds other packages back.
beam: $(VENV_BEAM)/installed
	$(VENV_BEAM)/bin/python -m pytest tests/beam

# Every training config compiled for TPUs that are not here: hours on two cores.
TARGETS ?= v5e-1,v5e-8
aot: $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[aot]'
	$(VENV)/bin/python benchmarks/aot.py --targets $(TARGETS) $(ARGS)

# A small program of each kind, compiled for TPUs: minutes.
aot-test: $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[aot]'
	$(VENV)/bin/python -m pytest tests/aot $(ARGS)

# The pages of docs/, as docs/_build/index.html.
docs: $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt -e '.[docs]'
	$(VENV)/bin/sphinx-build -q -W --keep-going docs docs/_build

lint: $(VENV)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright

$(VENV): $(VENV)/installed

# What the demo needs; and the tools of those who change the code, too. Stamps, so that an
# installation that broke off is begun again.
$(VENV)/installed: EXTRAS = [dev]
$(VENV)/package $(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -c constraints.txt -e '.$(EXTRAS)'
	touch $@

$(VENV_BEAM)/installed: pyproject.toml constraints-beam.txt
	$(PYTHON) -m venv $(VENV_BEAM)
	$(VENV_BEAM)/bin/pip install -q -c constraints-beam.txt -e '.[beam]' beartype pytest pytest-timeout
	touch $@

clean:
	rm -rf $(VENV) $(VENV_BEAM) runs
