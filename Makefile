# Set up, test and build. Needs make, git and some Python 3; everything else goes into .venv/ and .tools/ of this checkout.
#   PYTHON=/path/to/python   the interpreter to make .venv with (else the first one >= 3.12 that works)
#   TESTS=tests/test_x.py    what to test
#   ISAS="SSE4_2 AVX2" SEEDS="1000"   what test-robust varies
#   NEIGHBOURS="bambi hssm"   the libraries on top of PyMC that test-neighbours runs
#   WORKERS=4                processes for the tests (0: none besides pytest's own)

PYTHON ?=
TESTS ?= tests
WORKERS ?= auto
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
UV := sh .ci/uv
# without the plugins of whatever is installed: pytest rewrites the assertions of all of their packages (Hypothesis,
# Zarr), in each process anew, which takes half of its start
PYTEST := PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/pytest -p xdist.plugin -p pytest_cov.plugin -n $(WORKERS) --maxprocesses 8 --dist worksteal
# instruction sets of this machine that XLA can be told to stay within, and other seeds, for test-robust
ISAS ?= $(shell for isa in SSE4_2 AVX AVX2 AVX512; do grep -qiwE "$$isa|$${isa}F" /proc/cpuinfo && echo $$isa; done)
SEEDS ?= 1000 2000
ROBUST ?= $(addprefix tests/,algorithms approximation data families inference models optimizers training \
    foundation/test_precision.py targets/batches test_correctness.py)
# the slow tests in parts, each in fresh processes: numba keeps what it compiles, some MB a test
SLOW := slow and not neighbour and not browser
OF_MODELS := tests/targets
AS_USERS := tests/test_determinism.py tests/test_determinism_matrix.py tests/test_examples.py
OTHERS := tests $(addprefix --ignore=,$(OF_MODELS) $(AS_USERS))
# libraries on top of PyMC: Bambi has our own versions; each other one has an environment of its own
NEIGHBOURS ?= bambi hssm pymc-marketing
# what is compiled is called a few times: LLVM's best code costs a fifth of the tests and saves nothing.
# Every number of a page and the bits of runs are tried as users have them (AS_USERS); what ends where, by test-robust
HASTY := --xla_backend_optimization_level=0
# what one test has compiled serves the next, the other workers and the next run: an eighth of the quick tests' time
REUSED := JAX_COMPILATION_CACHE_DIR="$(CURDIR)/build/compiled" JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
    JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
# a process a core: threads of BLAS and XLA that wait for each other's cores took a third of the time of searches.
# And no graph's nodes remember the lines that made them
ALONE := OPENBLAS_NUM_THREADS=1 NPROC=1 PYTENSOR_FLAGS="traceback__limit=0,$$PYTENSOR_FLAGS"
# tests start many processes, each of which imports some 3,000 modules: 4 s with their byte code, 12 s without
export UV_COMPILE_BYTECODE := 1
export PYTHON
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-slow test-all test-robust test-lowest test-neighbours test-notebooks lint format types docs wheel bench bench-peers bench-accuracy clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
	    | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# -- environment: one stamp for the interpreter, one for each dependency group, so that a second make is quick --

$(VENV)/.created: .ci/find-python .python-version
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || { \
	    python=$$(sh .ci/find-python) || { python=$$(cat .python-version); \
	        echo "No Python 3.12 or newer found (PYTHON=... names one): uv tries to fetch $$python"; }; \
	    $(UV) venv --clear --python "$$python" $(VENV); }
	@touch $@

$(VENV)/.group-%: pyproject.toml $(VENV)/.created
	$(UV) pip install --quiet --python $(BIN)/python --editable . --group $*
	@touch $@

env: $(VENV)/.group-dev ## everything a developer needs, in .venv/

# -- use --

demo: $(VENV)/.group-demo ## run the demonstration
	$(BIN)/python docs/examples/demo.py $(ARGS)

# -- check --

test: $(VENV)/.group-test ## the quick tests
	$(REUSED) $(ALONE) XLA_FLAGS="$$XLA_FLAGS $(HASTY)" $(PYTEST) $(TESTS) $(ARGS)

test-slow: $(VENV)/.group-test ## only the slow tests
ifeq ($(TESTS),tests)
	@failed=0; for part in "$(OF_MODELS)" "$(AS_USERS)" "$(OTHERS)"; do \
	    given='export OPENBLAS_NUM_THREADS=1'; [ "$$part" = "$(AS_USERS)" ] || given='export $(REUSED) $(ALONE) XLA_FLAGS="$$XLA_FLAGS $(HASTY)"'; \
	    echo "== $$part =="; (eval "$$given"; $(PYTEST) -m "$(SLOW)" $$part $(ARGS)) || failed=1; done; exit $$failed
else
	$(PYTEST) -m "$(SLOW)" $(TESTS) $(ARGS) || [ $$? -eq 5 ] # 5: none was found
endif

test-all: $(VENV)/.group-test ## every test
	$(PYTEST) -m "not neighbour and not browser" $(TESTS) $(ARGS)

test-robust: $(VENV)/.group-test ## tests with tolerances, in the rounding of other processors and from other seeds
	@failed=; for isa in $(ISAS); do echo "== $$isa =="; \
	    XLA_FLAGS="$$XLA_FLAGS --xla_cpu_max_isa=$$isa" $(PYTEST) $(ROBUST) $(ARGS) || failed="$$failed $$isa"; done; \
	for seed in $(SEEDS); do echo "== VI_TEST_SEED=$$seed =="; \
	    VI_TEST_SEED=$$seed $(PYTEST) $(ROBUST) $(ARGS) || failed="$$failed $$seed"; done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

test-lowest: $(VENV)/.created ## the quick tests on the lowest versions that pyproject.toml allows
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-lowest
	$(UV) pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable . --group test
	.venv-lowest/bin/pytest -n $(WORKERS) --maxprocesses 8 $(TESTS) $(ARGS)

test-neighbours: $(addprefix test-neighbour-,$(NEIGHBOURS)) ## with the libraries that build on PyMC, NEIGHBOURS="bambi hssm pymc-marketing"

test-neighbour-bambi: $(VENV)/.group-test
	$(BIN)/pytest -m neighbour tests/neighbours/test_bambi.py tests/neighbours/test_bambi_families.py $(ARGS)

test-neighbour-%: .venv-neighbours/%/.created
	.venv-neighbours/$*/bin/pytest -m neighbour tests/neighbours/test_$(subst -,_,$*).py $(ARGS)

.venv-neighbours/%/.created: $(VENV)/.created tests/neighbours/requirements.txt pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-neighbours/$*
	$(UV) pip install --quiet --python .venv-neighbours/$*/bin/python --editable . \
	    "$$(grep -E '^$*[^-a-z]' tests/neighbours/requirements.txt)" 'pytest>=8.4'
	@touch $@

.PRECIOUS: .venv-neighbours/%/.created

test-notebooks: $(VENV)/.group-test $(VENV)/.group-notebooks ## in JupyterLab, in the system's Chromium
	$(BIN)/pytest -m browser tests/notebooks $(ARGS)

lint: $(VENV)/.group-lint ## formatting and lint rules, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python .ci/lint_exceptions.py

format: $(VENV)/.group-lint ## format, and repair what can be repaired
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.group-lint ## static types
	$(BIN)/mypy

docs: $(VENV)/.group-docs ## the documentation, warnings are errors; in build/docs
	$(BIN)/python -m sphinx -W --keep-going -b html -d build/doctrees docs build/docs

# -- build and measure --

wheel: $(VENV)/.created ## source distribution and wheel, in dist/
	rm -rf dist build/lib build/bdist.*
	$(UV) build --quiet --python $(BIN)/python --out-dir dist

bench: $(VENV)/.group-demo ## the benchmarks (ARGS=... goes to the script)
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

bench-peers: .venv-peers/.created ## the benchmarks with the peers beside, in .venv-peers/
	.venv-peers/bin/python tests/benchmarks/run.py $(ARGS)

bench-accuracy: .venv-peers/.created $(VENV)/.group-demo ## errors and seconds on posteriordb (ARGS="--posteriordb PATH ...")
	$(BIN)/python tests/benchmarks/posteriordb/accuracy.py --peers .venv-peers/bin/python $(ARGS)

.venv-peers/.created: $(VENV)/.created tests/benchmarks/requirements-peers.txt pyproject.toml
	$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-peers
	$(UV) pip install --quiet --python .venv-peers/bin/python --editable . --group demo -r tests/benchmarks/requirements-peers.txt
	@touch $@

clean: ## remove what was built, keep the environments
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov
	find vi callbacks tests docs .ci -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove the environments too
	rm -rf .venv .venv-lowest .venv-neighbours .venv-peers .tools
