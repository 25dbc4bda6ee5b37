# lab.sh: GPT=build/lab/gpt.c ./test.sh lab N grades lab N, `lab all` every lab.
# A line `ok` or `FAIL` per part, the points, and a row id,lab,points: appended to the file that CSV names, or
# printed last. ID names the student, else the file does.
set -u
: "${GPT:=build/lab/gpt.c}" "${CC:=cc}"
case $GPT in /*) ;; *) GPT=$PWD/$GPT ;; esac
case ${CSV:=} in '' | /*) ;; *) CSV=$PWD/$CSV ;; esac
cd "$(dirname "$0")/.." || exit 2
case ${1:-} in
[1-7]) labs=$* ;;
all) labs='1 2 3 4 5 6 7' ;;
*)
    echo "which lab? GPT=build/lab/gpt.c ./test.sh lab N, with N from 1 to 7, or all"
    exit 2
    ;;
esac
[ "${ID:-}" ] || ID=$(basename "$GPT" .c)
export ID CSV
dir=$(mktemp -d "${TMPDIR:-/tmp}/lab.XXXXXX") || exit 2
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
check='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
echo 'int main(void) { return 0; }' > "$dir/empty.c"
# shellcheck disable=SC2086
if ! { $CC $check "$dir/empty.c" -o "$dir/empty" && "$dir/empty"; } > /dev/null 2>&1; then check=; fi

# build LABS: a program in which these labs have the student's functions beside those of gpt.c
build() {
    awk -v mode=grade -v labs="$1" -f tests/lab.awk gpt.c "$GPT" > "$dir/both.c" || return
    # shellcheck disable=SC2086
    $CC -O0 -g -w $check -DREAL=double -DGPT="\"$dir/both.c\"" tests/lab.c -o "$dir/lab" -lm
}
bad=0
if build "$labs" > "$dir/said" 2>&1; then
    # shellcheck disable=SC2086
    "$dir/lab" $labs
    bad=$?
else
    for lab in $labs; do # one that does not compile costs no other
        if [ "$lab" != "$labs" ] && build "$lab" > "$dir/said" 2>&1; then "$dir/lab" "$lab"; bad=1; continue; fi
        bad=1
        echo "FAIL lab $lab: $GPT does not compile"
        grep -e 'error' -e ': the function ' "$dir/said" | head -n 5 | sed 's/^/    /'
        echo "lab $lab: 0 points"
        if [ "$CSV" ]; then echo "$ID,$lab,0" >> "$CSV"; else echo "$ID,$lab,0"; fi
    done
fi
exit $bad
