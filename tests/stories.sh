#!/bin/sh
# Tests data/stories.c and its grammar: the committed corpus comes out again byte for
# byte, and is what data/README.md says. Prints the numbers, then ok; or one line FAIL and
# exits with 1. CC, CFLAGS and AWK are honoured.
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc} AWK=${AWK:-awk}
LC_ALL=C; export LC_ALL
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

fail() { echo "FAIL stories: $*"; exit 1; }
grammar="data/words.grammar data/phrases.grammar data/plots.grammar"

# stories arguments...: runs the generator on the committed grammar
stories() {
    # shellcheck disable=SC2086
    "$dir/stories" "$@" $grammar 2>"$dir/err" || fail "stories $*: $(sed 1q "$dir/err")"
}

# between NAME VALUE LOW HIGH
between() {
    $AWK -v x="$2" -v a="$3" -v b="$4" 'BEGIN { exit !(x >= a && x <= b) }' ||
        fail "$1 is $2, not from $3 to $4"
    echo "$1 $2"
}

# shellcheck disable=SC2086
$CC -O2 $CFLAGS data/stories.c -o "$dir/stories" -lm || fail "data/stories.c doesn't build"

# The same bytes.
stories --seed 1 --bytes 1990000 --recall "$dir/recall.csv" \
    --score train --score valid >"$dir/stories.txt"
cmp -s "$dir/stories.txt" data/stories.txt || fail "data/stories.txt isn't what its grammar writes"
cmp -s "$dir/recall.csv" data/recall.csv || fail "data/recall.csv isn't what its grammar writes"
grep '^score' "$dir/err"
between "nats/char" \
    "$(sed -n 's/^score valid .*nats\/char \([0-9.]*\).*/\1/p' "$dir/err")" 0.2 0.55

# Plain text of the right size.
between bytes "$(wc -c <data/stories.txt | tr -d ' ')" 1500000 2000000
odd=$(tr -d '\n -~' <data/stories.txt | wc -c)
[ "$odd" -eq 0 ] || fail "$odd bytes are not printable ASCII"
grep -n '  \| $' data/stories.txt >"$dir/odd" && fail "spaces: line $(sed 1q "$dir/odd")"

# One story a line, its lines joined by a tab.
$AWK '/^<\|endoftext\|>$/ { print s; s = ""; next } { s = s (s == "" ? "" : "\t") $0 }
      END { if (s != "") exit 1 }' data/stories.txt >"$dir/one" || fail "the last separator is missing"
between stories "$(wc -l <"$dir/one" | tr -d ' ')" 2000 10000
[ -z "$(sort "$dir/one" | uniq -d | sed 1q)" ] || fail "two stories are alike"
between shortest "$($AWK '{ print length($0) }' "$dir/one" | sort -n | sed 1q)" 300 900
between longest "$($AWK '{ print length($0) }' "$dir/one" | sort -n | sed -n '$p')" 300 900
between "different words" \
    "$(tr -cs "A-Za-z" '\n' <data/stories.txt | tr A-Z a-z | sort -u | wc -l | tr -d ' ')" 1000 99999

# No sentence of 40 characters or more in over 2 percent of the stories.
tr '\t' ' ' <"$dir/one" | sed 's/\([.!?]"*\) /\1\
/g' | $AWK 'length($0) >= 40' | sort | uniq -c | sort -rn | sed 1q >"$dir/common"
share=$($AWK -v n="$(wc -l <"$dir/one")" '{ printf "%.2f", 100 * $1 / n }' "$dir/common")
between "percent of stories with the commonest long sentence" "${share:-0}" 0 2

# The recall characters: each is where the table says, there are many, and most are near.
n=$(wc -l <"$dir/one")
tail -n "$((n / 10))" "$dir/one" >"$dir/valid"
$AWK -F, '
    FNR == NR { if (FNR > 1) { want[$1] = $2; n++; near += $3 <= 200 } next }
    {
        for (k = 1; k <= length($0); k++) {
            at = base + k                        # token 0 is an end-of-text
            if (at in want) { seen++; wrong += substr($0, k, 1) != want[at] }
        }
        base += length($0) + 1
    }
    END { print n, n / FNR, 100 * near / n, (seen != n) + wrong }
' data/recall.csv "$dir/valid" >"$dir/recall"
read -r characters each near wrong <"$dir/recall"
[ "$wrong" -eq 0 ] || fail "data/recall.csv doesn't fit the text: $wrong characters are wrong"
between "recall characters" "$characters" 1000 99999
between "recall characters per story" "$each" 5 150
between "percent of them within 200" "$near" 80 100

# The score is what a calculation by hand says: one of four words, then one of two with
# weights 3 and 1, and a remembered word, which costs nothing. 400 times "a" makes the
# length legal.
a=$(printf '%0400d' 0 | tr 0 a)
cat >"$dir/tiny.grammar" <<END
story:
  <x=word><x> {3* up|down} <x> <number> $a
word(word):
  one | two | six | ten
number:
  [x#no] never | b | c | d | e | f | g | h | i
END
"$dir/stories" --quiet --stories 64 --score all "$dir/tiny.grammar" 2>"$dir/err" || fail "tiny grammar"
got=$(sed -n 's/^score .* nats \([0-9.]*\) .*/\1/p' "$dir/err")
# All 64 texts there are come out once each: 32 with "up" at 3/4, 32 with "down" at 1/4.
between "nats of 64 stories of a tiny grammar (64 times 4.30273 by hand)" "$got" 275.3 275.5

# Another seed gives other stories, a longer run begins like a short one, errors are one
# line.
stories --seed 2 --stories 3 >"$dir/two"
cmp -s "$dir/two" "$dir/stories.txt" && fail "--seed changes nothing"
stories --seed 1 --stories 3 >"$dir/three"
head -n "$(wc -l <"$dir/three")" data/stories.txt | cmp -s - "$dir/three" || fail "story 1 to 3 differ"
# refuses TEXT arguments...
refuses() {
    text=$1; shift
    "$dir/stories" "$@" >"$dir/out" 2>"$dir/err" && fail "$* is accepted"
    grep -F -e "$text" "$dir/err" >/dev/null || fail "$*: $(sed 1q "$dir/err")"
}
refuses "cannot read" nowhere.grammar
refuses "no rule nothing" --start nothing "$dir/tiny.grammar"
printf 'story:\n  <story>\n' >"$dir/round.grammar"
refuses "in circles" "$dir/round.grammar"
refuses "there are 10 stories" --score 5-11 "$dir/tiny.grammar"
for line in 'a: b' 'a:
  {b' 'a:
  b}' 'a:
  <b' 'a:
  <b>' 'a:
  <b=c>' 'a(b c):
  d' 'a:
  [b c' 'a:
  0* b' '  b'; do
    printf '%s\n' "$line" >"$dir/bad.grammar"
    "$dir/stories" "$dir/bad.grammar" >"$dir/out" 2>"$dir/err"
    [ $? -eq 1 ] && [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "bad grammar: $line: $(cat "$dir/err")"
done

# tests/recall.awk joins by offset, sorts into distances, and notices a text that doesn't
# fit.
printf 'offset,character,back,candidates,kind\n2,a,2,9,name\n4,b,51,9,name\n5,c,300,9,name\n' \
    >"$dir/r.csv"
printf 'position,offset,character,loss\n0,1,",",9\n1,2,a,1\n2,3,x,9\n3,4,b,2\n0,5,c,6\n' >"$dir/m.csv"
$AWK -f tests/recall.awk "$dir/r.csv" "$dir/m.csv" "$dir/m.csv" 2>/dev/null | tr '\n' ' ' >"$dir/out"
[ "$(cat "$dir/out")" = "distance,m,m 1-50,1.0000,1.0000 51-100,2.0000,2.0000 201+,6.0000,6.0000 \
all,3.0000,3.0000 in sight,1.0000,1.0000 " ] || fail "recall.awk: $(cat "$dir/out")"
sed 's/^1,2,a/1,2,z/' "$dir/m.csv" >"$dir/z.csv"
$AWK -f tests/recall.awk "$dir/r.csv" "$dir/z.csv" >/dev/null 2>&1 && fail "recall.awk: wrong text"
sed 2,3d "$dir/m.csv" >"$dir/z.csv"
$AWK -f tests/recall.awk "$dir/r.csv" "$dir/z.csv" >/dev/null 2>&1 && fail "recall.awk: missing lines"
echo "ok stories"
