# make run: serve on port 8000, setting up what is missing. make test: run all tests.
# make torture: break the service for a minute while clients write.
# make fuzz: send thousands of calls made from the OpenAPI document to a server of its own.
# make bench: compare with other stacks, in ROUNDS of about 50 seconds; needs wrk and PostgreSQL.
PYTHON ?= python3
ROUNDS ?= 9
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: run test lint torture fuzz bench
run: .venv/ready .env
	@exec sh -c "exec $$(sed -n 's/^web: //p' Procfile)"

test: .venv/ready-for-tests
	pytest -n 2

lint: .venv/ready-for-tests
	ruff check .
	ruff format --check .

torture: .venv/ready
	python benchmarks/torture.py

fuzz: .venv/ready-for-tests
	python test_openapi.py

bench: $(patsubst %, benchmarks/.venvs/%/ready, todo fastapi django)
	benchmarks/.venvs/todo/bin/python benchmarks/bench.py $(ROUNDS)

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
	@umask 077 && key=$$(python -c 'import secrets; print(secrets.token_urlsafe(48))') && \
	sed "s/^APP_SECRET_KEY=.*/APP_SECRET_KEY=$$key/" .env.example > .env.new && mv .env.new .env
