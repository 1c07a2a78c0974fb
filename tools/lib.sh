# shellcheck shell=bash
# What the scripts of this folder share; to be sourced, not run.

# fail MESSAGE: one line on stderr, exit 1.
fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

# usage_error MESSAGE: one line on stderr, exit 2.
usage_error() {
    printf '%s: %s (see --help)\n' "${0##*/}" "$1" >&2
    exit 2
}

# missing PACKAGE...: those that are not installed, one per line.
missing() {
    local package
    for package; do
        [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            printf '%s\n' "$package"
    done
}

# need PACKAGE...: installs what is missing, and says what; exits 1 if it cannot.
need() {
    local packages log
    command -v dpkg-query >/dev/null || fail "needs Debian 12, or these by other means: $*"
    mapfile -t packages < <(missing "$@")
    ((${#packages[@]})) || return 0
    if ((EUID != 0)); then
        fail "missing packages; run as root: apt-get install ${packages[*]}"
    fi
    printf 'installing %s\n' "${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    log=$(apt-get -qq update 2>&1) || fail "apt-get update failed: $log"
    log=$(apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "${packages[@]}" 2>&1) ||
        fail "apt-get install ${packages[*]} failed: $log"
}

# quietly LOG COMMAND...: shows the output, which it keeps in LOG, only if the command fails; then exits 1.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 && return 0
    cat "$log" >&2
    fail "failed: $*"
}

# allow_descriptors COUNT: raises the limit on open files to COUNT at least, or exits 1.
allow_descriptors() {
    local now
    now=$(ulimit -n)
    [[ $now == unlimited ]] || ((now >= $1)) || ulimit -n "$1" 2>/dev/null || ulimit -Sn "$1" 2>/dev/null ||
        fail "needs $1 open files, ulimit -n allows $now (hard limit $(ulimit -Hn))"
}
