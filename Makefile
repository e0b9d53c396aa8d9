# Every target sets itself up: it needs Python >= 3.11, make and a package registry, nothing else.
# `make controlplane` and `make e2e` also need Go >= 1.26 (no prebuilt kube-apiserver is to be had from the registries).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Wheels only and every hash known: nothing is compiled or run at install time.
INSTALL := $(PIP) install --quiet --require-hashes --only-binary :all:
ARGS ?=

.PHONY: help demo test check e2e e2e-bench chaos bench bench-compare growth endurance sim crashpoints hiddenevents frozenservers seeded-bugs interleavings controlplane crds lock dist sbom licences clean

help:  ## Say what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/created
	@echo "installing warmclaim and its run-time packages"
	@$(INSTALL) -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --quiet --no-build-isolation --no-deps --no-index --editable .
	@touch $@

$(VENV)/archive: $(VENV)/run requirements/archive.txt
	@echo "installing pyarrow and duckdb"
	@$(INSTALL) -r requirements/archive.txt
	@touch $@

# An S3 server for the tests, in a folder and a process of its own: its packages and ours do not go together.
$(VENV)/s3server/installed: requirements/s3server.txt | $(VENV)/created
	@echo "installing the tests' S3 server"
	@rm -rf $(@D)
	@$(INSTALL) --no-deps --target $(@D) -r $<
	@touch $@

# The writer of SBOMs, in a venv of its own: what it brings is nothing of ours.
$(VENV)/sbom/installed: requirements/sbom.txt | $(VENV)/created
	@echo "installing the SBOM writer"
	@rm -rf $(@D)
	@$(BIN)/python -m venv --without-pip $(@D)
	@$(PIP) --python $(@D)/bin/python install --quiet --require-hashes --only-binary :all: -r $<
	@touch $@

$(VENV)/test: $(VENV)/run requirements/test.txt $(VENV)/s3server/installed $(VENV)/sbom/installed
	@echo "installing the test packages"
	@$(INSTALL) -r requirements/test.txt
	@touch $@

$(VENV)/lint: $(VENV)/test requirements/lint.txt
	@echo "installing the checkers"
	@$(INSTALL) -r requirements/lint.txt
	@touch $@

demo: $(VENV)/archive  ## A warm pool and a burst of claims, on an embedded API server (ARGS="--pool 200 --burst 100")
	$(BIN)/warmclaim demo $(ARGS)

test: $(VENV)/test  ## All tests that need no cluster
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/lint  ## Style, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/basedpyright

controlplane:  ## Build etcd, the kube binaries, KWOK, Helm, Prometheus and its operator from Go modules, once per version
	$(PYTHON) e2e/controlplane/build.py

e2e: $(VENV)/test controlplane  ## Burst tests on a real kube-apiserver with KWOK nodes
	$(BIN)/python -m pytest e2e -m e2e $(ARGS)

chaos: $(VENV)/test controlplane  ## Kill, stop and disturb real processes in bursts: ROUNDS=n, SEED=x, ARGS="--first-fault leader-kill"
	$(BIN)/python -m e2e.chaos --rounds $(or $(ROUNDS),5) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: $(VENV)/test  ## Benchmarks: figures and ratios, kept in out/bench; none can fail on time; OBJECTS=10000 lists 1 GB
	$(if $(OBJECTS),BENCH_LIST_OBJECTS=$(OBJECTS) )$(BIN)/python -m pytest tests/bench -m bench -s -q --timeout 0 $(ARGS)

bench-compare: $(VENV)/test  ## What changed between two files of figures: A=out/bench/OLD.json B=out/bench/NEW.json
	@$(BIN)/python -m tests.bench.compare "$(A)" "$(B)"

e2e-bench: $(VENV)/test controlplane  ## Is each performance budget met? After `make bench`; BUDGETS=B1,B3 PAIRS=n
	$(BIN)/python -m e2e.bench $(if $(BUDGETS),--budgets $(BUDGETS)) $(if $(PAIRS),--pairs $(PAIRS)) $(ARGS)

growth: $(VENV)/run  ## Does a claim cost the same at 100,000 sandboxes? ARGS="real --sizes 300x1,10000x100"
	$(BIN)/python -m warmclaim.growth $(or $(ARGS),simulated)

endurance: $(VENV)/run  ## Days of claims in minutes: does memory stay flat? DAYS=n, ARGS="--claim-every-s 2"
	$(BIN)/python -m warmclaim.testing.endurance $(if $(DAYS),--days $(DAYS)) $(ARGS)

sim: $(VENV)/run  ## Simulate the hand-over under faults: SEEDS=n FIRST=k, or SEED=x to replay one
	$(BIN)/python -m warmclaim.testing.sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200) --first $(or $(FIRST),0) --jobs 2)

seeded-bugs: $(VENV)/test  ## Plant each known mistake; the simulation must find it (ARGS="--bug NAME --search")
	$(BIN)/python -m tests.seeded_bugs --jobs 2 $(ARGS)

interleavings: $(VENV)/run  ## Two leaders at once, in every order of their calls (ARGS="--lost-answers all --jobs 2")
	$(BIN)/python -m warmclaim.testing.explore.interleavings $(ARGS)

EXPLORE = $(BIN)/python -m warmclaim.testing.explore
EXPLORED = --jobs 2 $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

crashpoints: $(VENV)/run  ## Crash the manager at every write: SCENARIO=name, ARGS="--pairs --context quiet"
	$(EXPLORE).crash_points $(EXPLORED)

hiddenevents: $(VENV)/run  ## Hide every event from the manager: SCENARIO=name
	$(EXPLORE).hidden_events $(EXPLORED)

frozenservers: $(VENV)/run  ## Restart it onto a server frozen at every version: SCENARIO=name
	$(EXPLORE).frozen_servers $(EXPLORED)

crds: $(VENV)/run  ## Write config/crd again from the typed definitions
	$(BIN)/warmclaim crds --write config/crd

lock: | $(VENV)/created  ## Resolve requirements/*.txt again
	requirements/lock.sh

dist: $(VENV)/run  ## The wheel and the sdist of the last commit, the same bytes wherever they are built
	@rm -rf dist
	@PYTHON=$(abspath $(BIN))/python release/dist.sh dist

# The tree of the image, installed by the same script; LOCK=requirements/tracing.txt adds the OTLP exporter.
LOCK ?= requirements/run.txt
sbom: dist $(VENV)/sbom/installed  ## What the image holds, as dist/warmclaim.cdx.json (CycloneDX): hashes, licences, who needs whom
	@rm -rf out/image out/image.json
	@mkdir -p out
	@PYTHON=$(BIN)/python release/install.sh dist/*.whl $(LOCK) out/image out/image.json
	@SOURCE_DATE_EPOCH=$$(git show --no-patch --format=%ct HEAD) \
		$(VENV)/sbom/bin/python release/sbom.py out/image out/image.json -o dist/warmclaim.cdx.json
	@echo "wrote dist/warmclaim.cdx.json"

licences: sbom  ## The licence of each package of the image
	@$(BIN)/python release/licences.py dist/warmclaim.cdx.json

clean:  ## Remove what the targets made here (not the built control plane)
	rm -rf $(VENV) out dist build .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
