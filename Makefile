# make run: serve on port 8000, setting up what is missing. make test: run all tests.
# make torture: break the service for two minutes while clients write.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: run test lint torture
run: .venv/ready .env
	@exec sh -c "exec $$(sed -n 's/^web: //p' Procfile)"

test: .venv/ready-for-tests
	pytest

torture: .venv/ready
	python benchmarks/torture.py

lint: .venv/ready-for-tests
	ruff check .
	ruff format --check .

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
