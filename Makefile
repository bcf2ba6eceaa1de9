# make run: serve on port 8000, setting up what is missing. make test: run all tests.
# make torture: break the service while clients write, on each database.
# make fuzz: send thousands of calls made from the OpenAPI document to a server of its own.
# make random: do 500 things at random in two tabs of the page while all around them fails.
# make bench: compare with other stacks, in ROUNDS of about a minute, with PIN=pin pinned; needs wrk and PostgreSQL.
PYTHON ?= python3
ROUNDS ?= 9
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Two tests at a time, but not before Python 3.11.5, which may end when two threads compile at once.
AT_ONCE = $$(python -c 'import sys; print(2 if sys.version_info >= (3, 11, 5) else 0)')

.PHONY: run test lint torture fuzz random bench
run: .venv/ready .env
	@exec sh -c "exec $$(sed -n 's/^web: //p' Procfile)"

test: .venv/ready-for-tests
	pytest -n $(AT_ONCE)

lint: .venv/ready-for-tests
	ruff check .
	ruff format --check .

torture: .venv/ready
	python benchmarks/torture.py

fuzz: .venv/ready-for-tests
	python -m tests.test_openapi

random: .venv/ready-for-tests
	pytest tests/page_at_random.py

bench: $(patsubst %, benchmarks/.venvs/%/ready, todo fastapi django)
	benchmarks/.venvs/todo/bin/python benchmarks/bench.py $(ROUNDS) $(PIN)

benchmarks/.venvs/%/ready: benchmarks/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --requirement $<
	@touch $@

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --requirement requirements.txt
	@touch $@

.venv/ready-for-tests: .venv/ready requirements-dev.txt
	pip install --quiet --requirement requirements-dev.txt
	@touch $@

# Written whole or not at all, readable by its owner alone.
.env:
	@umask 077 && key=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(48))') && \
	sed "s/^APP_SECRET_KEY=.*/APP_SECRET_KEY=$$key/" .env.example > .env.new && mv .env.new .env
