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
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

# ---- the demo: raw video -> shards -> TAE -> latents -> text-to-video -> a clip and a report

RAW := data/demo/raw/truth.jsonl
SHARDS := data/demo/curated/report/curation.json
TAE := runs/demo/tae/finished.json
TAE_SCORE := runs/demo/tae/eval.json
LATENTS := data/demo/latents/val/index.json
T2V := runs/demo/t2v/finished.json
T2V_SCORE := runs/demo/t2v/eval/eval.json
CLIP := outputs/clip.mp4
REPORT := report/index.html

NEAR := --size 1.3 --pace 0.4

MINUTES := 1 3 4 1 1 9 1 1 1
STEPS := $(words $(MINUTES))

# $(call step,number,title,command): say what comes and how long it takes, run it, mark its target as new.
define step
	@printf '\n[%s/%s] %s (about %s min) : %s\n' '$(1)' '$(STEPS)' '$(2)' '$(word $(1),$(MINUTES))' '$(strip $(3))'
	@printf '      %s min gone, about %s min left in all\n' "$$(( ($$(date +%s) - $(START)) / 60 ))" \
	  "$$(( $(foreach minutes,$(wordlist $(1),$(STEPS),$(MINUTES)),$(minutes) +) 0 ))"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(strip $(3))
	@touch $@
endef

# A finished run whose config or data has changed since is moved aside and begun anew; a stopped one is continued.
anew = $(if $(wildcard $@),--restart true)

demo: $(REPORT) $(CLIP)
	@printf '\nThe clip:    %s\nThe report:  %s\nAll runs:    make dashboard\n' '$(CLIP)' '$(REPORT)'

$(RAW): | .venv/.installed
	$(call step,1,Make raw video,python -m evaluation.toy_world make --out data/demo/raw --clips 1200 --seed 0 $(NEAR))

$(SHARDS): $(RAW) configs/curation/demo.yaml
	$(call step,2,Curate it into shards,python -m curation.run -c configs/curation/demo.yaml)

$(TAE): $(SHARDS) configs/tae.yaml
	$(call step,3,Train the TAE,lightning fit -c configs/tae.yaml $(anew))

$(TAE_SCORE): $(TAE)
	$(call step,4,Measure the TAE,python -m evaluation.run tae)

$(LATENTS): $(TAE)
	$(call step,5,Encode clips and captions,python -m inference.run encode --shards data/demo/curated/shards \
	  --tae runs/demo/tae/model --out data/demo/latents --replace)

$(T2V): $(LATENTS) configs/t2v.yaml
	$(call step,6,Train text-to-video,lightning fit -c configs/t2v.yaml $(anew))

$(T2V_SCORE): $(T2V)
	$(call step,7,Measure text-to-video,python -m evaluation.run t2v --prompts 64 $(NEAR))

$(CLIP): $(T2V)
	$(call step,8,Generate a clip,python -m inference.run t2v "a red ball moves left" --out $(CLIP))

$(REPORT): $(TAE_SCORE) $(T2V_SCORE) $(CLIP)
	$(call step,9,Write the report,python -m evaluation.run report --out $(REPORT))

# Each is written last by its command: after Ctrl-C it is whole or absent, so make shall not delete it.
.PRECIOUS: $(RAW) $(SHARDS) $(TAE) $(TAE_SCORE) $(LATENTS) $(T2V) $(T2V_SCORE) $(CLIP) $(REPORT)

# ---- checks

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright

test: lint
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-all: lint
	$(BIN)/python -m pytest -n 2

# ---- the rest

dashboard: .venv/.installed
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --workers 1

clean:
	rm -rf data/demo runs/demo report outputs/clip.*
