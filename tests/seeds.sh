#!/usr/bin/env bash
# Runs one program of examples/seeds and compares what it prints, and how long it takes.
#
#     tests/seeds.sh PROGRAM EXPECTED
#
# EXPECTED begins with directives, any number of them:
#     # seconds MIN MAX   how long the program may run, in seconds of the listing
#     # stderr REGEX      some line on stderr matches this extended regular expression
# and goes on with the lines of stdout. A line that begins with "~ " is an extended regular expression for
# the whole line; every other line is literal. Stderr is not compared otherwise.
#
# A second of the listing lasts WEFT_SEED_SCALE (0.1) seconds. With WEFT_SLOW set, as for sanitizers, the
# program may be late by four times as much. It is never allowed to be early.
#
# Exit: 0 as expected, 1 different, 2 wrong usage.
set -u
export LC_ALL=C
export WEFT_SEED_SCALE=${WEFT_SEED_SCALE:-0.1}

usage() { echo "usage: $0 PROGRAM EXPECTED${1:+ ($1)}" >&2; exit 2; }
[ $# -eq 2 ] || usage
if [ ! -f "$1" ] || [ ! -x "$1" ]; then usage "$1 is no program"; fi
[ -r "$2" ] || usage "cannot read $2"
program=$1
expected_file=$2

failures=0
fail() { echo "FAIL $(basename "$program"): $*"; failures=$((failures + 1)); }

# ---- what is expected

earliest=
latest=
stderr_patterns=()
expected=()
in_directives=yes
while IFS= read -r line || [ -n "$line" ]; do
    if [ $in_directives = yes ]; then
        case $line in
        '# seconds '*) read -r _ _ earliest latest <<<"$line"; continue ;;
        '# stderr '*) stderr_patterns+=("${line#\# stderr }"); continue ;;
        esac
        in_directives=no
    fi
    expected+=("$line")
done <"$expected_file"

# ---- the run

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

started_us=${EPOCHREALTIME/./}
timeout 60 "$program" >"$scratch/stdout" 2>"$scratch/stderr" </dev/null
status=$?
took_us=$((${EPOCHREALTIME/./} - started_us))

# ---- the comparison

matches() { # LINE EXPECTED
    case $2 in
    '~ '*) [[ $1 =~ ^(${2#\~ })$ ]] ;;
    *) [ "$1" = "$2" ] ;;
    esac
}

compare_stdout() {
    local actual i count different=no
    mapfile -t actual <"$scratch/stdout"
    count=$((${#actual[@]} > ${#expected[@]} ? ${#actual[@]} : ${#expected[@]}))
    for ((i = 0; i < count; i++)); do
        if ((i >= ${#actual[@]} || i >= ${#expected[@]})) || ! matches "${actual[i]}" "${expected[i]}"; then
            different=yes
        fi
    done
    [ $different = no ] && return
    fail "stdout differs from $expected_file"
    for ((i = 0; i < count; i++)); do
        if ((i < ${#actual[@]} && i < ${#expected[@]})) && matches "${actual[i]}" "${expected[i]}"; then
            echo "      ${actual[i]}"
            continue
        fi
        ((i < ${#expected[@]})) && echo "    - ${expected[i]}"
        ((i < ${#actual[@]})) && echo "    + ${actual[i]}"
    done
}

compare_stderr() {
    local pattern
    for pattern in ${stderr_patterns[@]+"${stderr_patterns[@]}"}; do
        grep -Eq -e "$pattern" "$scratch/stderr" || fail "no line on stderr matches: $pattern"
    done
}

compare_time() {
    [ -n "$earliest" ] || return
    local verdict
    verdict=$(awk -v us="$took_us" -v scale="$WEFT_SEED_SCALE" -v min="$earliest" -v max="$latest" \
        -v lenience="$([ -n "${WEFT_SLOW:-}" ] && echo 4 || echo 1)" 'BEGIN {
            took = us / 1e6 / scale
            max = min + (max - min) * lenience
            if (took < min || took > max)
                printf "took %.2f seconds of the listing, allowed are %g to %g", took, min, max
        }')
    [ -z "$verdict" ] || fail "$verdict"
}

if [ $status -eq 124 ]; then
    fail "still running after 60 s"
elif [ $status -ne 0 ]; then
    fail "exit status $status"
fi
compare_stdout
compare_stderr
compare_time

if [ $failures -ne 0 ] && [ -s "$scratch/stderr" ]; then
    echo "    stderr:"
    sed 's/^/      /' "$scratch/stderr"
fi
[ $failures -eq 0 ]
