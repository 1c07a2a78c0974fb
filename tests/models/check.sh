#!/usr/bin/env bash
# Checks a protocol's model exhaustively with spin, and that each of its mutants is rejected.
#
#     tests/models/check.sh MODEL.pml
#
# The mutants are the names that the model's opening comment lists, a line each, as "    NAME  what is wrong".
# Exit: 0 all as it should be, 1 not so, 77 spin is not installed.
set -u
model=$(realpath "$1")
command -v spin >/dev/null || { echo "spin is not installed: skipped"; exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

# verify [-DMUTANT]: prints what the verifier says; states are kept as 64-bit hashes.
verify() {
    spin -a "$@" "$model" && gcc -O2 -w -DSAFETY -DHC4 -o pan pan.c && ./pan -m200000
}

verdict=$(verify) || { printf '%s\n' "$verdict"; exit 1; }
grep -E 'errors:|states, stored|elapsed' <<<"$verdict"
if ! grep -q 'errors: 0' <<<"$verdict" || grep -q 'max search depth too small' <<<"$verdict"; then
    printf '%s\n' "$verdict"
    exit 1
fi

failures=0
mutants=$(sed -nE '/^\/\*/,/\*\//s/^ \*     ([A-Z_]+)  .*/\1/p' "$model")
[ -n "$mutants" ] || { echo "the model lists no mutants"; exit 1; }
for mutant in $mutants; do
    if verify "-D$mutant" | grep -qE 'errors: [1-9]'; then
        echo "$mutant: rejected"
    else
        echo "$mutant: NOT rejected"
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
