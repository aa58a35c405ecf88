# Every line that a step runs is a command that you can type yourself once `make install` has passed.
# A step is done when its target file exists and is newer than what it was made from; its command writes that file
# last. Stopped in the middle? The same `make demo` goes on: no target and no folder is ever deleted here.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
START := $(shell date +%s)
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install demo test test-all lint dashboard clean

help:
	@echo 'make demo       from made-up raw video to a generated clip and a report, all on this machine (about 30 min)'
	@echo 'make test       style, types, import rules and the quick tests'
	@echo 'make test-all   the slow tests as well'
	@echo 'make lint       style, types and import rules alone'
	@echo 'make dashboard  the MLflow pages of all runs, on http://127.0.0.1:5000'
	@echo 'make install    the virtual environment .venv alone'
	@echo 'make clean      delete what the demo made: data/demo, runs/demo, outputs, report'

# ---- the virtual environment

install: .venv/.installed

.venv/.installed: pyproject.toml requirements.lock
	@test -n '$(PYTHON)' || { echo 'error: Python 3.11 or newer is needed and none was found. Install it, or name it:' \
	  'make PYTHON=/path/to/python3.11 ...' >&2; exit 2; }
	@echo 'Install into .venv (about 5 min, 7 GB; most of it is torch)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $@

# ---- the demo: raw video -> shards -> TAE -> latents -> text-to-video -> a clip and a report

MINUTES := 2 3 7 1 10 2 1 1 1
DEMO := data/demo
STEPS := $(words $(MINUTES))

# $(call step,number,title,command): say what runs and how long it takes, run it, mark its target as new.
define step
	@printf '\n[%s/$(STEPS)] %s (about %s min; %s min gone, about %s min left): %s\n' \
	  '$(1)' '$(2)' '$(word $(1),$(MINUTES))' "$$(( ($$(date +%s) - $(START)) / 60 ))" \
	  "$$(( $(foreach minutes,$(wordlist $(1),$(STEPS),$(MINUTES)),$(minutes) +) 0 ))" '$(strip $(3))'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(strip $(3))
	@touch $@
endef
