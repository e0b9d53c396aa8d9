#!/bin/sh
# Installs the wheel and its locked packages into a new folder: the tree that the image holds, that
# the SBOM lists, and that the tests run read-only. Needs no root and runs no code of a package.
# REPORT becomes pip's account of it, with the hash of each file it took.
set -eu

[ $# -eq 4 ] || { echo "usage: release/install.sh WHEEL LOCK NEW-FOLDER REPORT" >&2; exit 2; }
wheel=$(realpath "$1") lock=$2 tree=$(realpath -m "$3") report=$4
python=${PYTHON:-python3}
[ -f "$wheel" ] || { echo "install.sh: there is no wheel $1; make dist builds it" >&2; exit 2; }
[ -f "$lock" ] || { echo "install.sh: there is no lock file $lock" >&2; exit 2; }
[ ! -e "$tree" ] || { echo "install.sh: $3 is there; nothing was done, give a new folder" >&2; exit 2; }

# The wheel in the same call and by its hash too, so that pip refuses a lock that does not satisfy it.
own=$(mktemp)
trap 'rm -f "$own"' EXIT
hash=$(sha256sum "$wheel" | cut -d ' ' -f 1)
echo "warmclaim @ file://$wheel --hash=sha256:$hash" > "$own"
"$python" -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all: \
    --no-compile --target "$tree" --report "$report" -r "$lock" -r "$own"

# Console scripts name the Python that installed them; the image starts modules.
rm -rf "$tree/bin"
# Bytecode that no time stamp can make stale: a read-only tree could not be given a new one.
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$tree" "$tree"
