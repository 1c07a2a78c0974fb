#!/usr/bin/env bash
# Runs real code in every order and memory that a random search finds, and checks that each of its mutants fails.
#
#     tests/models/check_relacy.sh WORLD.o MODEL.c [ROUNDS]      WORLD.o: world.cpp, compiled
#
# The model's opening comment names what is compiled with it, and its mutants: a sed command within one function.
#     Code: FILE... FLAG...
#     NAME  FILE FUNCTION  s/.../.../
# Exit: 0 all as it should be, 1 not so, 77 WORLD.o is not there: relacy is not installed.
set -u
[ $# -ge 2 ] || { echo "usage: check_relacy.sh WORLD.o MODEL.c [ROUNDS]" >&2; exit 2; }
[ -e "$1" ] || { echo "relacy is not installed: skipped"; exit 77; }
world=$(realpath "$1") model=$(realpath "$2") 
rounds=("${@:3}")
root=$(realpath "$(dirname "$model")/../..")
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

code=$(sed -nE 's/^ \* Code: +//p' "$model")
[ -n "$code" ] || { echo "the model names no code"; exit 1; }

# The compiler calls __tsan_* for every access; that it is for TSan the code need not know.
flags=(-std=gnu11 -O1 -g -w -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -U__SANITIZE_THREAD__ -DWEFT__SIMULATED
    -Dmalloc=model_malloc -Dcalloc=model_calloc -Dfree=model_free -Dabort=model_abort
    -ffunction-sections -fdata-sections -I"$root/tests/models")
files=("$model")
for word in $code; do
    case $word in
    -*) flags+=("$word") ;;
    *) files+=("$word") ;;
    esac
done

# build TREE DIRECTORY [FILE]: DIRECTORY/program, of the code in TREE. With a FILE that is no header, only this one
# differs from the real code, whose objects are in `real`.
build() {
    local file object path
    mkdir -p "$2"
    for file in "${files[@]}"; do
        object=${file//\//-}.o path=$1/$file
        [[ $file == /* ]] && path=$file
        if [[ ${3-} == *.c && $file != "$3" ]]; then
            cp "real/$object" "$2/"
        else
            gcc "${flags[@]}" -I"$1" -I"$1/include" -c -o "$2/$object" "$path" || return 1
        fi
    done
    g++ -no-pie -Wl,--gc-sections -o "$2/program" "$2"/*.o "$world" -l:libboost_context.a
}

build "$root" real || exit 1
if ! real/program "${rounds[@]}" >verdict; then
    sed -E 's/ at 0x([0-9a-f]+).*/ \1/' verdict | while IFS= read -r line; do
        case $line in
        *' ['*'] '*) printf '%s %s\n' "${line% *}" "$(addr2line -pfse real/program "${line##* }")" ;;
        *) printf '%s\n' "$line" ;;
        esac
    done
    exit 1
fi
sed '/^$/d' verdict

failures=0 mutants=0
survives() {
    echo "$name: $1"
    failures=$((failures + 1))
}
while read -r name file function command; do
    mutants=$((mutants + 1))
    rm -rf mutant
    mkdir mutant
    cp -r "$root"/{runtime,io,include} mutant
    sed -i -E "/^[^ ].*\\b$function\\(/,/^}/{ $command
}" "mutant/$file" || exit 1
    if cmp -s "$root/$file" "mutant/$file"; then
        survives "the command changes nothing"
    elif ! build mutant mutant/objects "$file"; then
        survives "does not compile"
    elif (mutant/objects/program "${rounds[@]}" >verdict 2>&1 || exit 1) 2>/dev/null; then
        survives "NOT rejected"
    else
        verdict=$(sed -n 1p verdict)
        printf '%s: rejected: %s\n' "$name" "${verdict:-it crashes}"
    fi
done < <(sed -nE '/^\/\*/,/\*\//s/^ \*     ([A-Z_]+)  +(.*)/\1 \2/p' "$model")
[ "$mutants" -gt 0 ] || { echo "the model lists no mutants"; exit 1; }
[ "$failures" -eq 0 ]
