# `make run` needs Python 3.11 or newer and nothing else. `make help` lists the targets.
#
# Each target installs its packages into .venv and leaves a stamp there; until pyproject.toml changes, it
# runs neither pip nor the network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: run install test lint docs images bench bench-peers bench-record soak lock sbom audit help

run: $(VENV)/installed ## start the demo on http://127.0.0.1:8080/
	@exec $(BIN)/imgproxy serve --demo

install: $(VENV)/installed ## install imgproxy into .venv

test: $(VENV)/installed-test ## run every test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: $(VENV)/installed-lint ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed ## write the reference tables in docs/ anew
	$(BIN)/python -m docs.generate

images: $(VENV)/installed-test ## make the example images and the screenshot in docs/ (needs chromium)
	$(BIN)/python -m docs.images

bench: $(VENV)/installed-test $(VENV)/installed-bench ## measure, and print ratios (20 minutes; BENCH=--help)
	$(BIN)/python -m bench $(BENCH)

bench-peers: $(VENV)/installed-bench ## measure what one would pick instead, too
	$(BIN)/python -m bench peers $(BENCH)

bench-record: $(VENV)/installed-test $(VENV)/installed-bench ## measure everything, and keep it in bench/README.md
	$(BIN)/python -m bench all --markdown bench/README.md --json bench/results.json $(BENCH)

soak: $(VENV)/installed-test $(VENV)/installed-fuzz ## attack at random for an hour or two, and look for what grows
	$(BIN)/python -m pytest -m soak

lock: $(VENV)/installed-supply ## write anew which versions the image installs, with their hashes
	$(lock) pyproject.toml --output-file requirements.lock
	$(lock) --group build --output-file requirements-build.lock

sbom: $(VENV)/installed-supply ## list what the image installs in sbom.json, as CycloneDX
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
		--output-reproducible --output-file sbom.json

audit: $(VENV)/installed-supply ## ask PyPI for known vulnerabilities of what the image installs
	$(BIN)/pip-audit --strict --require-hashes --disable-pip \
		--requirement requirements.lock --requirement requirements-build.lock

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

# All files of each version, for every platform and every Python from the oldest of pyproject.toml on.
lock = $(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --custom-compile-command 'make lock' \
	--python-version $(shell sed -n 's/^requires-python = ">=\(.*\)"/\1/p' pyproject.toml)

# Where libvips has its headers installed, pip would build pyvips against that old library, and the build
# would take the place of the one that pyvips-binary brings. So pip is shown no headers; and as it may have
# kept such a build from earlier, what came out is asked for its version.
define install
	@echo "installing $(if $1,what $(1) needs,imgproxy) into $(VENV)"
	@PKG_CONFIG_LIBDIR= PKG_CONFIG_PATH= $(BIN)/python -m pip install \
		--quiet --disable-pip-version-check --editable '.$(if $1,[$(1)])'
	@$(right_libvips) || $(BIN)/python -m pip install \
		--quiet --disable-pip-version-check --force-reinstall --no-deps 'pyvips-binary>=8.18.7'
	@$(right_libvips) || { echo "libvips is too old: is there another pyvips in $(VENV)?" >&2; exit 1; }
	@touch $@
endef

right_libvips = $(BIN)/python -c 'from imgproxy.engine import vips; exit(vips.version() < vips.OLDEST)'

$(VENV)/installed: pyproject.toml | $(VENV)/made
	$(call install)

$(VENV)/installed-%: pyproject.toml $(VENV)/installed
	$(call install,$*)

$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON): install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, \
	$(PYTHON) is %d.%d: name another, as in `make run PYTHON=python3.13`" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@
