# The verbs of the course. `make book` and `make test` work on a fresh machine with Python 3.11 to 3.13.
# Without make (Windows), see "Without make" in README.md.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PORT   ?= 8000

PAGES  := _config.yml book/_toc.yml $(wildcard book/front/* book/back/* book/assets/* book/site/* tools/web/*.mjs tools/web/package-lock.json)
SOURCES := $(wildcard book/chapters/*.md book/exercises/*.md) $(shell find utils tools -name '*.py') $(wildcard utils/figures/built/*.js) requirements.txt

.DEFAULT_GOAL := help
.PHONY: help book lite pdf test notebooks exercises lab serve format clean

help:  ## list the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(VENV)/.installed: requirements.txt
	@echo "Installing the pinned packages into $(VENV) (once; PyTorch makes it large, some minutes)"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --disable-pip-version-check --progress-bar off --quiet -r requirements.txt
	@touch $@

_build/.notebooks: $(VENV)/.installed $(SOURCES)
	@echo "Notebooks: running what changed"
	$(PY) -m tools.notebooks build
	$(PY) -m tools.exercises build
	@mkdir -p _build && touch $@

_build/html/index.html: _build/.notebooks $(PAGES) $(wildcard notebooks/*.ipynb exercises/*.ipynb solutions/*.ipynb)
	$(PY) -m tools.site
	@touch $@

book: _build/html/index.html  ## build the website into _build/html
	@echo "The website is in _build/html: open _build/html/index.html, or type make serve"

lite: book  ## add the notebooks that run in the browser (JupyterLite) to the website
	$(PY) -m tools.lite

pdf: book  ## print the website into one PDF (needs Chromium or Chrome; a few minutes)
	$(PY) -m tools.pdf

test: $(VENV)/.installed  ## run every check there is
	$(PY) -m tools.verify

notebooks: $(VENV)/.installed  ## run the chapters that changed
	$(PY) -m tools.notebooks build

exercises: $(VENV)/.installed  ## build the solutions and exercises that changed
	$(PY) -m tools.exercises build

lab: $(VENV)/.installed  ## open JupyterLab in the course
	$(VENV)/bin/jupyter lab

serve: book  ## serve the website at http://localhost:8000
	$(PY) -m http.server $(PORT) --directory _build/html

format: $(VENV)/.installed  ## sort imports and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:  ## remove what was built
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
