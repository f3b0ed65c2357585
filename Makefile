# Everything a new machine with Python 3.11, make and git needs: `make demo` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test check extension matrix window bench clean

demo: $(VENV)/.ready  ## a silent shot gets its sound: look into demo/
	$(BIN)/footfall demo --out demo

test: $(VENV)/.ready  ## format, lint, types, import walls and tests
	scripts/check

extension: $(VENV)/.ready  ## dist/: the two zips for Blender 4.2-5.0 and 5.1 upward
	$(BIN)/python scripts/build_extension.py

matrix: $(VENV)/.ready  ## the Blender tests on bpy 4.2 and 4.5
	scripts/version_matrix

window: $(VENV)/.ready  ## the tests in a real Blender window
	scripts/window_tests

bench: $(VENV)/.ready  ## the README's table of speed and memory
	$(BIN)/footfall bench

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[worker,blender,dev]'
	touch $@

clean:
	rm -rf build dist demo out *.egg-info
