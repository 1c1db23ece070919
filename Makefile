# What a contributor runs. PYTHON: the interpreter of an environment with the extra `test`.
PYTHON ?= .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help lint test fast docs

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 8

lint:  ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

test:  ## all tests
	$(PYTHON) -m pytest

fast:  ## the tests that neither train nor convert
	$(PYTHON) -m pytest -m "not slow"

docs:  ## build the site into build/site (extra `docs`); a broken link is an error
	$(PYTHON) -m mkdocs build --strict
