# What a fresh machine with Python 3.11 or later needs to try, test and change deepselfie.

.DEFAULT_GOAL := help
BIN := .venv/bin
# The first Python that is new enough.
PYTHON = $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
FAILED = { echo "The installation failed. With a network and room on the disk, try 'make clean' and then this again."; exit 1; }

demo: .venv/demo ## run a whole bot on this machine, with a web page to try it on
	@$(BIN)/deepselfie demo $(ARGS)

test: .venv/dev browser bluesky docker prometheus ## run all tests, end to end too
	$(BIN)/pytest $(ARGS)

check: .venv/dev ## lint, formatting, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/dev ## measure how fast it is here
	$(BIN)/python -m benchmarks.latency

# Set PORTRAITS to a folder of real portraits, and the judge is tried on them as well.
JUDGE := build/default-model
ABOUT := Tells portraits that a drawn network of people would have liked from those it would not, by what the first \
	@deepselfie was found to like. It has seen no real selfie and no real like.
default-model: .venv/dev ## make model/default.onnx anew, from nothing; half an hour
	$(BIN)/deepselfie model simulate $(JUDGE)/network --photos 14400 --posts 20 --seed 2015 --correlation 0.75
	$(BIN)/deepselfie model label $(JUDGE)/network
	$(BIN)/deepselfie model train $(JUDGE)/network --out $(JUDGE)/run --alike take
	$(BIN)/deepselfie model export $(JUDGE)/run/best.pt --dataset $(JUDGE)/network --int8 --out model/default.onnx \
		--name drawn --version 1.0.0 --licence 'MIT; backbone EfficientNet-Lite0: Apache-2.0' \
		--description '$(ABOUT)' \
		--caution 'I learned from drawn portraits only, so take this as a game.' \
		--reference-name 'the drawn portraits I was tested on'
	$(BIN)/deepselfie model evaluate model/default.onnx $(JUDGE)/network --slice tone
	@test -z "$(PORTRAITS)" || $(BIN)/python -m benchmarks.rules "$(PORTRAITS)"

screenshot: .venv/dev browser ## take the README's picture of the page anew
	SCREENSHOT=docs/page.png $(BIN)/pytest tests/test_page.py

clean: ## remove all that was installed and cached here
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "deepselfie needs Python 3.11 or later; none was found. Install one, then try again."; exit 1; }
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || $(MAKE) --no-print-directory venv-package

# Debian and Ubuntu keep a part of Python's venv in a package of its own.
.PHONY: venv-package
venv-package:
	@rm -rf .venv
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -qqy python3-venv; \
	else echo "Python's venv is missing: run 'sudo apt-get install python3-venv', then try again."; exit 1; fi
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing what the demo needs into .venv …"
	@$(INSTALL) '.[demo]' || $(FAILED)
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing what the tests need into .venv …"
	@$(INSTALL) '.[dev]' || $(FAILED)
	@touch $@ .venv/demo

# The web page is tested in a real browser, where there is one or root can install one. Playwright's driver
# needs libatomic, which a minimal Debian lacks.
.PHONY: browser
browser:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=; command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing=chromium; \
		ldconfig -p | grep -q libatomic.so.1 || missing="$$missing libatomic1"; \
		if [ -n "$$missing" ]; then \
			echo "Installing for the tests of the web page: $$missing …"; \
			apt-get update -qq && apt-get install -qqy --no-install-recommends $$missing >/dev/null || true; fi; fi
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	echo "NO CHROMIUM: the tests of the web page will be skipped. Install chromium to run them."

# What the real Bluesky network of the tests needs, where that network is and root can install something.
.PHONY: bluesky
bluesky:
	@if [ ! -x ../shared/bluesky/network ]; then \
		echo "NO BLUESKY NETWORK: there is no ../shared/bluesky/network; the tests on it will be skipped."; exit 0; fi; \
	missing=; ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing=postgresql; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing for the tests on Bluesky: $$missing …"; \
		apt-get update -qq && apt-get install -qqy --no-install-recommends $$missing >/dev/null && exit 0; fi; \
	echo "NO BLUESKY NETWORK: the tests on it will be skipped. Install $$missing to run them."

# What the tests of the containers need, where an engine can be made and root may.
.PHONY: docker
docker:
	@docker image inspect python:3.11-slim-bookworm redis:7-bookworm >/dev/null 2>&1 && \
		{ command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1; } && exit 0; \
	if [ "$$(id -u)" = 0 ] && [ -x ../shared/docker/engine ]; then \
		../shared/docker/engine up && exit 0; fi; \
	command -v docker >/dev/null && docker info >/dev/null 2>&1 && exit 0; \
	echo "NO DOCKER: the tests of the containers will be skipped. Install Docker Engine and Docker Compose to run them."

# The alarms are tested with Prometheus' own tool, and by a Prometheus that watches a bot, where root can install it.
.PHONY: prometheus
prometheus:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v promtool >/dev/null; then \
		echo "Installing for the tests of the alarms: prometheus …"; \
		apt-get update -qq && apt-get install -qqy --no-install-recommends prometheus >/dev/null || true; fi
	@command -v promtool >/dev/null || \
		echo "NO PROMETHEUS: the tests of the alarms will be skipped. Install prometheus to run them."

.PHONY: demo test check bench default-model screenshot clean help
