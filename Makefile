.PHONY: help demo test check audit format lock docs bench faults compose-test clean

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo:  ## The whole bot in this terminal: memory bus, SQLite, local chat, simulated push
	@scripts/venv runtime
	@.venv/bin/securitybot demo

test:  ## Every test but the long ones, with what they need (RabbitMQ and MariaDB from the system's packages)
	@scripts/venv dev
	@scripts/test-servers
	@.venv/bin/pytest -n auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=90

check:  ## Formatting, lint, types and the import contracts
	@scripts/venv dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

audit:  ## Known vulnerabilities of what the lock files pin (AUDIT=required: fail where that cannot be asked)
	@scripts/venv dev
	@.venv/bin/python -m scripts.audit

format:  ## Let ruff format and mend what it can
	@scripts/venv dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock:  ## Pin the newest allowed versions, with hashes
	@scripts/venv dev
	.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-strip-extras --upgrade --extra all pyproject.toml --group build -o requirements/runtime.txt
	.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-annotate --no-strip-extras --upgrade --extra all --group build --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

docs:  ## The documentation as a site in build/site, its configuration reference written anew
	@scripts/venv dev
	@mkdir -p build && .venv/bin/python -m scripts.configuration_reference > build/configuration.md && mv build/configuration.md docs/
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet
	@echo build/site/index.html

bench:  ## Latency, throughput and memory, on a real broker and database
	@scripts/venv dev
	@scripts/test-servers
	@.venv/bin/python -m bench.pipeline

faults:  ## kill -9, outages and poison in their long form, then the long run (half an hour; figures at the end)
	@scripts/venv dev
	@scripts/test-servers
	@SECURITYBOT_FAULTS=long .venv/bin/pytest tests/faults --timeout 900
	@.venv/bin/python -m tests.faults.long

compose-test:  ## The stack in containers: up, killed, scaled, restored (minutes; needs Docker, or root and dockerd)
	@scripts/venv dev
	@SECURITYBOT_TEST_COMPOSE=1 .venv/bin/pytest tests/compose --durations=0 --timeout 600

clean:  ## Remove what make made
	rm -rf .venv build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
