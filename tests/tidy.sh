#!/usr/bin/env bash
# The rules of the tree that a machine can check. `tidy.sh [ROOT]`: ROOT is the tree to look at.
#
#   layers     runtime/ never includes io/; the parts that know no tasks include only what lies below them
#   seam       pthreads, futexes, clocks and thread-locals only where world.h says
#   headers    every public header compiles alone, as C11 and as C++17
#   size       files at most 600 lines, functions at most 70
#   readme     the server in README.md is examples/echo.c
#   coverage   every public function is called in some test
#   public     the prototypes of a public header come with thread rules
set -u
root=${1:-$(cd "$(dirname "$0")/.." && pwd)}
cd "$root" || exit 2
failures=0
complain() { printf '%s\n' "$@"; failures=$((failures + 1)); }

# includes FILE: the files of runtime/ and io/ that it includes, by name.
includes() { sed -nE 's/^#include "(.*)"/\1/p' "$1"; }

# ---- layers
for file in runtime/*.[ch]; do
    for included in $(includes "$file"); do
        case $included in *io/*) complain "$file includes $included: runtime/ never includes io/" ;; esac
    done
done
base='atomics.h assert.h list.h sanitize.h world.h'
for part in deque ring_queue inbox timer_wheel slab stack fiber timer; do
    for file in runtime/$part.[ch]; do
        [ -e "$file" ] || continue
        for included in $(includes "$file"); do
            case " $base deque.h ring_queue.h inbox.h timer_wheel.h slab.h fiber.h $part.h " in
            *" $included "*) ;;
            *) complain "$file includes $included: this part knows no tasks" ;;
            esac
        done
    done
done

# ---- the seam
for file in runtime/*.c runtime/*.h io/*.c io/*.h; do
    case ${file#runtime/} in
    world.h | world_posix.c | world_process.c | world_mutexes.c) continue ;;
    run.c | overflow.c) allowed='pthread_sigmask|_Thread_local|pthread_atfork' ;;
    sleep.c) allowed='clock_nanosleep' ;;
    fiber.c) allowed='pthread_(attr|getattr|self)[a-z_]*' ;;
    *) allowed='^$' ;;
    esac
    found=$(grep -noE '\b(pthread_[a-z_]+|clock_[a-z]+|_Thread_local|__thread|SYS_futex|usleep|nanosleep)\b' "$file" |
        grep -vE ":($allowed)\$")
    [ -z "$found" ] || complain "$file reaches past world.h:" "$found"
done

# ---- headers
for header in include/weft/*.h; do
    ${CC:-gcc} -std=c11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c "$header" ||
        complain "$header does not compile alone as C11"
    if command -v g++ >/dev/null; then
        g++ -std=c++17 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$header" ||
            complain "$header does not compile alone as C++17"
    fi
    prototypes=$(grep -cE '^[a-z].*\bweft_[a-z_]+\(.*' "$header")
    rules=$(grep -c 'Thread:' "$header")
    [ "$rules" -ge $((prototypes / 2)) ] || complain "$header: $prototypes prototypes, $rules thread rules"
done

# ---- coverage
for function in $(cat include/weft/*.h | grep -E '^[a-z].*\(' | grep -vE '^(static|typedef|template|return|#)' |
    grep -oE '\bweft_[a-z0-9_]+\(' | sort -u); do
    cat tests/*.[ch] tests/*/*.[ch] | grep -qF "$function" || complain "no test calls ${function%(}"
done

# ---- size
for file in runtime/*.[ch] io/*.[ch] include/weft/*.h examples/*.c examples/seeds/*.[ch] tests/*.[ch] tests/*/*.[ch]; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || complain "$file has $lines lines"
    long=$(awk '/^[A-Za-z_].*\)[[:space:]]*\{[[:space:]]*$/ {start = NR; name = $0}
                /^\}/ {if (start && NR - start > 70) print "  " start ": " NR - start " lines: " name; start = 0}' "$file")
    [ -z "$long" ] || complain "$file has long functions:" "$long"
done

# ---- readme
awk '/^```c$/ {inside = 1; next} /^```$/ {exit} inside' README.md | cmp -s - examples/echo.c ||
    complain "the first listing of README.md is not examples/echo.c"
[ "$(wc -l <examples/echo.c)" -le 30 ] || complain "examples/echo.c has more than 30 lines"

[ "$failures" -eq 0 ]
