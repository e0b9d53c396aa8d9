#!/bin/sh
# Resolves the lock files: requirements format, every hash, no registry address.
# One resolution for all platforms and Python >= 3.11; the others are held to the versions of run.txt.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: \
    -r requirements/lock.txt
lock() {
    out=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" -o "requirements/$out.txt"
}
lock run pyproject.toml
lock build --group build
lock lock --group lock
lock sbom --group sbom
lock s3server --group s3server
lock tracing pyproject.toml --extra tracing -c requirements/run.txt
lock archive pyproject.toml --extra archive -c requirements/run.txt
lock loadtest pyproject.toml --extra loadtest -c requirements/run.txt
lock test pyproject.toml --group test -c requirements/run.txt
lock lint pyproject.toml --group test --group lint -c requirements/run.txt
