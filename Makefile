# The whole workflow, each step one command; `make` alone lists them. Needs make and Python 3.11 or later.
VENV := .venv
BIN := $(VENV)/bin
# Candidates beside the `python3` of the PATH, for machines where that one is too old; or name one: make PYTHON=/path/to/python
PYTHONS := $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11
IMAGE := kvs:3.0
REVISION = $(or $(shell git rev-parse HEAD 2>/dev/null),unknown)
LOCK := uv pip compile setup.cfg --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Hundreds of Python processes take part in `make test`. Where this is set, each compiles anew whatever it imports, and
# those that run the tests rewrite all of these: a fifth of all it takes.
unexport PYTHONDONTWRITEBYTECODE

.NOTPARALLEL:
.PHONY: help up test test-api sim ablations test-docker test-deploy test-ui picture steps upgrade chaos attack soak fuzz image check format bench bench-compare bench-reshard bench-gossip bench-peers lock clean

help: ## list the commands
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/make \1|\2/p' Makefile | awk -F '|' '{ printf "  %-18s %s\n", $$1, $$2 }'

up: $(VENV)/.project ## run a cluster on 127.0.0.2, .3, ... until Ctrl-C; NODES=4 (up to 20), REPL_FACTOR unset, CLUSTER=kvs; data in ./data
	@exec env NODES="$(NODES)" REPL_FACTOR="$(REPL_FACTOR)" CLUSTER="$(CLUSTER)" $(BIN)/python tools/up.py

test: $(VENV)/.tools ## run every test that needs nothing else; ARGS="-k view -x" goes to pytest
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not docker and not deploy and not api and not ui" $(ARGS)

test-api: $(VENV)/.tools ## have Schemathesis ask three nodes by their own /openapi.json, and judge every answer; SEED=1
	@env SEED="$(SEED)" $(BIN)/python -m pytest -m api tests/api $(ARGS)

test-docker: $(VENV)/.tools image ## build the image and run the tests on containers; LOCKED=1 with tokens, secret, TLS, limits
	@env LOCKED="$(LOCKED)" $(BIN)/python -m pytest -m "docker and not long" $(ARGS)

test-deploy: $(VENV)/.tools image ## check the alerts and the dashboard of deploy/ with Debian's Prometheus, on processes and containers
	@command -v promtool >/dev/null && command -v prometheus >/dev/null || { \
		echo "make: no prometheus found: apt-get install --no-install-recommends prometheus" >&2; exit 1; }
	$(BIN)/python -m pytest -m deploy $(ARGS)

test-ui: $(VENV)/.tools image ## drive the page in Debian's Chromium, on containers that are killed and filled too; pictures of each state go to build/ui; LOCKED=1
	@command -v chromium >/dev/null || { \
		echo "make: no chromium found: apt-get install --no-install-recommends chromium" >&2; exit 1; }
	@env LOCKED="$(LOCKED)" $(BIN)/python -m pytest -m ui $(ARGS)

picture: $(VENV)/.tools ## make the pictures of the page and of a terminal in docs/pictures anew, of a cluster at work (some minutes); MINUTES=8
	@env MINUTES="$(MINUTES)" $(BIN)/python -m tests.ui

steps: $(VENV)/.tools image ## harm one node at each step of a view change, in containers (half an hour); LOCKED=1
	@env LOCKED="$(LOCKED)" $(BIN)/python -m pytest tests/docker/test_steps.py $(ARGS)

upgrade: $(VENV)/.tools image ## replace containers of the release before one by one under load, and go back (three minutes)
	$(BIN)/python -m pytest tests/docker/test_upgrade.py $(ARGS)

chaos: $(VENV)/.tools image ## harm containers under load, minutes of each kind; KINDS="kill stop pause cut empty move full hang", SECONDS=180, NODES=4, REPL_FACTOR=2, LOCKED=1
	@env LOCKED="$(LOCKED)" KINDS="$(KINDS)" SECONDS="$(SECONDS)" NODES="$(NODES)" REPL_FACTOR="$(REPL_FACTOR)" $(BIN)/python -m tests.docker

attack: $(VENV)/.tools image ## attack a locked store from a container beside it, and see what its clients see; MINUTES=10, ONLY=words of a name
	@env MINUTES="$(MINUTES)" ONLY="$(ONLY)" $(BIN)/python -m tests.docker.attacks

sim: $(VENV)/.tools ## simulate whole clusters on virtual time; SEEDS=100, FIRST=seed, STEP=20 for each 20th, TRACE=1 shows every message of one
	@env SEEDS="$(SEEDS)" FIRST="$(FIRST)" STEP="$(STEP)" TRACE="$(TRACE)" $(BIN)/python -m tests.sim

ablations: $(VENV)/.tools ## switch off one safety rule after the other, and show that somebody notices; ONLY=fence,leases, SEEDS=300, RECORD=1
	@env ONLY="$(ONLY)" SEEDS="$(SEEDS)" FIRST="$(FIRST)" RECORD="$(RECORD)" $(BIN)/python -m tests.sim.ablations

soak: $(VENV)/.tools image ## simulate seeds on one core, and harm containers in every way on the other; MINUTES=3, REPL_FACTOR=2, LOCKED=1
	@env LOCKED="$(LOCKED)" MINUTES="$(MINUTES)" FIRST="$(FIRST)" REPL_FACTOR="$(REPL_FACTOR)" $(BIN)/python -m tests.soak

image: ## build the docker image kvs:3.0
	@docker info >/dev/null 2>&1 || { echo "make: no docker daemon answers: install docker, or start it" >&2; exit 1; }
	docker build --build-arg REVISION=$(REVISION) -t $(IMAGE) .

check: $(VENV)/.tools ## lint, formatting, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.tools ## format the code and sort the imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

fuzz: $(VENV)/.fuzz ## look for input that breaks something, guided by the code that it reaches; MINUTES=10, ONLY="http frames", JOBS, AGAIN=file
	@env MINUTES="$(MINUTES)" ONLY="$(ONLY)" JOBS="$(JOBS)" AGAIN="$(AGAIN)" $(BIN)/python -m tests.fuzz

bench: $(VENV)/.tools ## measure: prints a table, writes JSON and a chart
	$(BIN)/python -m bench $(ARGS)

bench-compare: $(VENV)/.tools ## compare the speed with another checkout or revision, in alternation; BASE=path-or-revision, ROUNDS=5
	$(BIN)/python -m bench.compare $(BASE) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ARGS)

bench-reshard: $(VENV)/.tools ## measure changes of nodes with a million keys, at rest and beside clients (some ten minutes)
	$(BIN)/python -m bench.reshard $(ARGS)

bench-gossip: $(VENV)/.tools ## measure gossip alone at 10 to 10,000 nodes (10 to 20 minutes, 5 GB); ARGS="--nodes 10 100"
	$(BIN)/python -m bench.gossip $(ARGS)

bench-peers: $(VENV)/.tools ## measure beside Redis, etcd and the machine's limits, which root has it install (15 minutes); ARGS="--quick"
	@bench/peers/install.sh
	$(BIN)/python -m bench.peers $(ARGS)

lock: ## write the locked requirements anew from setup.cfg; UPGRADE=--upgrade takes the newest versions (needs uv)
	$(LOCK) $(UPGRADE) --extra build --extra server -o requirements.txt >/dev/null
	$(LOCK) $(UPGRADE) --extra build --extra server --extra test --extra dev -c requirements.txt -o requirements-dev.txt >/dev/null
	$(LOCK) $(UPGRADE) --extra sbom -c requirements.txt -o requirements-sbom.txt >/dev/null
	$(LOCK) $(UPGRADE) --extra fuzz -c requirements-dev.txt -o requirements-fuzz.txt >/dev/null

clean: ## remove the environment and all caches; ./data stays
	rm -rf $(VENV) build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made anew when the lock changes, so that it never holds more than the lock says.
$(VENV)/.locked: requirements.txt
	@python=; for name in $(PYTHONS); do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "make: no Python 3.11 or later found ($$(python3 --version 2>&1)): install one, or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "make: $$python cannot make virtual environments: install its venv package (Debian: apt install python3-venv)" >&2; \
		exit 1; \
	fi; \
	echo "$$python -m venv $(VENV)"; $$python -m venv --clear $(VENV)
	$(PIP_INSTALL) --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.project: $(VENV)/.locked setup.cfg pyproject.toml
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tools: $(VENV)/.project requirements-dev.txt
	$(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@

# Not with the other tools: there is none for each Python and each machine that runs the tests.
$(VENV)/.fuzz: $(VENV)/.tools requirements-fuzz.txt
	$(PIP_INSTALL) --require-hashes -r requirements-fuzz.txt
	@touch $@
