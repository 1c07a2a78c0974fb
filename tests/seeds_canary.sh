#!/usr/bin/env bash
# The canary of seeds.sh: programs with a seeded bug, each of which it must catch, and one without.
#
#     tests/seeds_canary.sh
set -u
seeds=$(dirname "$0")/seeds.sh
export WEFT_SEED_SCALE=0.1
unset WEFT_SLOW

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
missed=0

# WANTED-STATUS NAME SCRIPT: runs SCRIPT in place of a program that prints two lines and sleeps a second.
canary() {
    printf '#!/bin/sh\n%s\n' "$3" >"$scratch/$2"
    chmod +x "$scratch/$2"
    "$seeds" "$scratch/$2" "$scratch/expected" >"$scratch/report"
    local status=$?
    [ $status -eq "$1" ] && return
    echo "FAIL $2: exit status $status, not $1"
    sed 's/^/    /' "$scratch/report"
    missed=$((missed + 1))
}

cat >"$scratch/expected" <<'END'
# seconds 1 4
# stderr never aw[a-z]+
a (literal) line.
~ took [0-9]+ s
END
warn='echo never awaited >&2'

canary 0 correct "echo 'a (literal) line.'; sleep 0.1; echo took 12 s; $warn"
canary 1 literal_is_no_pattern "echo 'a (literal) lines'; sleep 0.1; echo took 12 s; $warn"
canary 1 pattern_differs "echo 'a (literal) line.'; sleep 0.1; echo took x s; $warn"
canary 1 pattern_is_anchored "echo 'a (literal) line.'; sleep 0.1; echo it took 12 s or so; $warn"
canary 1 lines_swapped "echo took 12 s; sleep 0.1; echo 'a (literal) line.'; $warn"
canary 1 line_missing "echo 'a (literal) line.'; sleep 0.1; $warn"
canary 1 line_too_many "echo 'a (literal) line.'; sleep 0.1; echo took 12 s; echo; $warn"
canary 1 no_warning "echo 'a (literal) line.'; sleep 0.1; echo took 12 s"
canary 1 early "echo 'a (literal) line.'; echo took 12 s; $warn"
canary 1 late "echo 'a (literal) line.'; sleep 0.6; echo took 12 s; $warn"
canary 1 failing "echo 'a (literal) line.'; sleep 0.1; echo took 12 s; $warn; exit 1"
canary 1 crashing "echo 'a (literal) line.'; sleep 0.1; echo took 12 s; $warn; kill -SEGV \$\$"

[ $missed -eq 0 ]
