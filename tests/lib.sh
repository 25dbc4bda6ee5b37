# lib.sh: what the tests in sh share. test.sh runs them in an empty folder, with $gpt and
# $gpt_double the program in float and double, $GPT its source, $root the repository.
# shellcheck shell=sh disable=SC2034
set -u
: "${gpt:?run ./test.sh NAME instead}"
bad=0
small='--layers 2 --heads 2 --dim 16 --hidden 32 --context 16 --batch 4'

ok() { echo "ok $1"; }
FAIL() { # FAIL NAME WHY, and what the last command said
    bad=1
    echo "FAIL $1: $2"
    if [ -s err ]; then sed -e 's/^/    /' -e 5q err; fi
}
skip() { echo "skipped $1: $2"; }
has() { command -v "$1" > /dev/null 2>&1; }

# check NAME COMMAND...: it succeeds
check() {
    check_name=$1
    shift
    if "$@" > out 2> err; then ok "$check_name"; else FAIL "$check_name" "$* gave status $?"; fi
}

# same NAME FILE FILE: byte by byte, and not empty
same() {
    if [ -s "$2" ] && cmp -s "$2" "$3"; then ok "$1"; else FAIL "$1" "$(cmp "$2" "$3" 2>&1 | head -n 1)"; fi
}

# finds NAME PATTERN FILE: a line of the file matches
finds() {
    if grep -q -e "$2" "$3"; then ok "$1"; else FAIL "$1" "no line like /$2/ in $3: $(head -n 1 "$3")"; fi
}

# close NAME A B TOLERANCE
close() {
    if awk "BEGIN { d = $2 - ($3); exit !(d <= $4 && d >= -($4)) }" 2> /dev/null
    then ok "$1"; else FAIL "$1" "$2 and $3 differ by more than $4"; fi
}

# make_text FILE [STORIES]: stories of a few kinds of sentences, the same ones everywhere
make_text() {
    awk -v stories="${2:-60}" 'function draw(n) { seed = (seed * 16807) % 2147483647; return seed % n }
    BEGIN {
        seed = 42
        split("cat dog bird fox frog", who); split("ran sat sang hid slept", did)
        split("house tree hill river", place)
        for (i = 0; i < stories; i++) {
            if (i) print "<|endoftext|>"
            for (n = 3 + draw(5); n > 0; n--)
                printf "The %s %s by the %s.%s", who[1 + draw(5)], did[1 + draw(5)],
                    place[1 + draw(4)], (n > 1 ? " " : "\n")
        }
    }' > "$1"
}
