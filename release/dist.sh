#!/bin/sh
# Builds the wheel and the sdist of a commit, and SHA256SUMS beside them: the same bytes wherever and
# whenever, since only the commit's files are taken, and its time for every time in the archives.
# What is not committed is not in them. Compression is that of the Python that runs it.
set -eu
cd "$(dirname "$0")/.."

case $# in 1 | 2) ;; *) echo "usage: release/dist.sh NEW-FOLDER [COMMIT]" >&2; exit 2 ;; esac
out=$(realpath -m "$1")
python=${PYTHON:-python3}
if [ -e "$out" ] && { [ ! -d "$out" ] || [ -n "$(ls -A "$out")" ]; }; then
    echo "dist.sh: $1 is there and not empty; nothing was built, give a new folder" >&2
    exit 2
fi
commit=$(git rev-parse --verify --quiet "${2:-HEAD}^{commit}") || {
    echo "dist.sh: ${2:-HEAD} is no commit of this repository" >&2
    exit 2
}

SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct "$commit")
export SOURCE_DATE_EPOCH
umask 022
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
git archive --format=tar "$commit" | tar -x -C "$scratch/tree"
mkdir -p "$out"
# Not isolated: hatchling is the one of requirements/build.txt, and nothing is fetched.
"$python" -m build --no-isolation --outdir "$out" "$scratch/tree" > "$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    echo "dist.sh: the build failed; are the packages of requirements/build.txt installed?" >&2
    exit 1
}
cd "$out"
sha256sum -- *.tar.gz *.whl > SHA256SUMS
echo "built from $commit:"
cat SHA256SUMS
