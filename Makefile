# Two commands do everything, set-up included: `make demo` and `make test`.
# PIP_ARGS goes to pip, e.g. to choose torch's build: PIP_ARGS="--extra-index-url <PyTorch's index>".

PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/emotion
WHISPER := $(CACHE)/whisper-base.pt
FACES := $(CACHE)/centerface.onnx
PROTOS := $(wildcard proto/emotion/v1/*.proto)

.PHONY: help demo test check lint types stubs proto audit bench acceptance clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e '.[dev]'
	@touch $@

# For transcripts, once on a machine. Where it cannot be had that is told, and all else works.
$(WHISPER): | $(READY)
	-$(BIN)/emotion models pull base

# The face detector, once, too; without it OpenCV's older one finds upright faces alone.
$(FACES): | $(READY)
	-$(BIN)/emotion models pull faces

demo: $(READY) $(WHISPER) $(FACES)  ## start the server, send it a sentence, a recording and a screenshot, stop it
	$(BIN)/emotion demo

# Two files at a time, with a thread each: twice as fast on two cores, and no hungrier on more.
test: $(READY) $(WHISPER) $(FACES)  ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: lint types stubs test  ## what CI runs: lint, types, fresh stubs, tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

stubs: $(READY)
	rm -rf build/stubs && mkdir -p build/stubs
	$(call protoc,build/stubs)
	@for file in build/stubs/emotion/v1/*; do \
		cmp "$$file" "proto/emotion/v1/$$(basename $$file)" || { echo "stale: run 'make proto'"; exit 1; }; \
	done

proto: $(READY)  ## generate the stubs from proto/
	$(call protoc,proto)

# google/rpc and google/longrunning lie in googleapis-common-protos, one of them under its own name.
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
LONGRUNNING = google/longrunning/operations.proto=$(SITE)/google/longrunning/operations_proto.proto

define protoc
$(BIN)/python -m grpc_tools.protoc -Iproto -I$(LONGRUNNING) -I$(SITE) \
	--python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) $(PROTOS)
endef

audit: $(READY)  ## known vulnerabilities of the installed packages; needs a network
	$(PYTHON) .ci/audit

bench: $(READY)  ## measure; writes bench/results/ and bench/RESULTS.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e '.[bench]'
	$(BIN)/python -m bench

acceptance: $(READY)  ## an issue's 'Must show' at full size: make acceptance ISSUE=service
	$(BIN)/python -m bench.acceptance $(ISSUE)

clean:  ## remove the venv and everything built
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache
