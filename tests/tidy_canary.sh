#!/usr/bin/env bash
# The canary of tidy.sh: each broken rule must be noticed.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
failures=0

# breaks WHAT FILE LINE: appends LINE to FILE in a fresh copy; tidy.sh must complain.
breaks() {
    rm -rf "${copy:?}/tree"
    mkdir "$copy/tree"
    cp -r "$root"/{runtime,io,include,examples,tests,README.md} "$copy/tree/"
    printf '%b\n' "$3" >>"$copy/tree/$2"
    if "$root/tests/tidy.sh" "$copy/tree" >"$copy/out" 2>&1; then
        echo "not noticed: $1"
        failures=$((failures + 1))
    fi
}

"$root/tests/tidy.sh" "$root" || exit 1 # else every break would seem to be noticed
breaks 'runtime includes io' runtime/task.c '#include "../io/op.h"'
breaks 'a part that knows tasks' runtime/deque.c '#include "task.h"'
breaks 'a thread-local past the seam' runtime/task.c 'static _Thread_local int x;'
breaks 'a clock past the seam' io/op.c 'int f(void) { return clock_gettime(0, 0); }'
breaks 'a header that needs another' include/weft/loop.h 'weft_undefined_type f(void);'
breaks 'a header that is no C++' include/weft/base.h 'int new_(int *class);\nint f(int template);'
breaks 'a long file' runtime/list.h "$(yes '/* */' | head -600)"
breaks 'a long function' io/op.c "int f(void) {\n$(yes '    ;' | head -75)\n}"
breaks 'an example that the README does not show' examples/echo.c '/* */'
[ "$failures" -eq 0 ]
