# long.sh: long and large. A million tiny steps without growth of memory or of the time for a step; a
# text of 2 GB; a context of 4096; 5,000 Chinese characters; one character; less text than a window.
# sh tests/long.sh [NAME] [STEPS] [MB]; NAME is one of steps corpus context chinese one short. About
# half an hour, and 7 GB of memory for the text.
set -u
cd "$(dirname "$0")/.." || exit 1
chosen=${1:-} steps=${2:-1000000} megabytes=${3:-2000} root=$(pwd)
mkdir -p build/long
cd build/long || exit 1
gpt=$root/build/gpt gpt_double=$gpt LC_ALL=C
export LC_ALL
. "$root/tests/lib.sh"
asked() { case $1 in *"$chosen"*) ;; *) return 1 ;; esac; }
peak() { sed -n 's/^Maximum resident set size (kbytes): //p; s/^\tMaximum resident set size (kbytes): //p' "$1"; }
make_text text.txt 60
tiny='--layers 1 --heads 1 --dim 4 --hidden 4 --context 4 --batch 1'

if asked steps; then # a tenth of the steps takes how long, at the beginning and at the end?
    : > out # or the loop below reads one of an earlier run
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=1 "$gpt" train --data text.txt --out s $tiny --steps "$steps" --eval-every $((steps / 10)) \
        --log s.csv > out 2> err &
    pid=$!
    while kill -0 $pid 2> /dev/null; do # its memory, every second after the first evaluation
        ! grep -q '^step' out || awk '/^VmRSS/ { print $2 }' /proc/$pid/status 2> /dev/null
        sleep 1
    done > memory
    wait $pid || FAIL "$steps steps" "status $?"
    if said=$(awk '{ m[NR] = $1 } END { for (i = 0; i <= 4; i++) printf "%s ", m[int(1 + i * (NR - 1) / 4)]
        exit !(NR && m[NR] <= m[1] + 500) }' memory)
    then ok "$steps steps: memory at the beginning, a quarter, half, three quarters, the end: ${said}KB"
    else FAIL "$steps steps" "memory grew: ${said}KB"; fi
    awk -F, 'NR > 1 { t = $6 == "" ? 0 : $6; printf "%s %.1f", NR == 2 ? "   microseconds for a step, by tenths:" : "",
        1e6 * (t - last) / ($1 - step); last = t; step = $1 }
        END { printf "; in all %.1f s for %d steps\n", last, step }' s.csv
fi
if asked corpus; then
    awk 'BEGIN { for (i = 0; i < 16000; i++) printf "Story %d: the %s cat sat on the mat, and the dog saw it.\n<|endoftext|>\n",
        i, substr("abcdefgh", 1 + i % 8, 1) }' > million.txt # about 1 MB
    size=$(wc -c < million.txt)
    i=0
    while [ $((i * size)) -lt $((megabytes * 1000000)) ]; do cat million.txt; i=$((i + 1)); done > large.txt
    measure='env time -v'
    has time && [ -x /usr/bin/time ] || measure=
    # shellcheck disable=SC2086
    if $measure "$gpt" train --data large.txt --out c $tiny --steps 3 --eval-every 3 --model mlp --stop-at 1 > out 2> err
    then ok "a text of $(wc -c < large.txt) bytes: $(sed -n 's/^text [^:]*: //p' out); peak $(peak err) KB"
    else FAIL "a text of $megabytes MB" "$(grep '^gpt' err)"; fi
    rm -f large.txt
fi
if asked context; then
    make_text context.txt 600
    check 'context 4096' "$gpt" train --data context.txt --out x --layers 1 --heads 2 --dim 16 --context 4096 --batch 2 --steps 3
    check 'context 4096: sample' "$gpt" sample x --chars 50 --past-end
fi
if asked chinese; then # U+4E00 and the 4,999 that follow, twenty times
    awk 'BEGIN { for (k = 0; k < 20; k++) for (i = 0; i < 5000; i++) {
        c = 19968 + (i * 7 + k * k) % 5000
        printf "%c%c%c%s", 224 + int(c / 4096), 128 + int(c / 64) % 64, 128 + c % 64, i % 50 == 49 ? "\n" : "" } }' > chinese.txt
    check 'a vocabulary of 5,000 Chinese characters' "$gpt" train --data chinese.txt --out z --layers 1 --heads 2 --dim 16 \
        --context 32 --batch 4 --steps 5
    finds 'all of them are in it' 'vocabulary 5002 ' out
    check 'a vocabulary of 5,000 Chinese characters: info' "$gpt" info z
    check 'a vocabulary of 5,000 Chinese characters: sample' "$gpt" sample z --prompt '一' --chars 30
fi
if asked one; then
    awk 'BEGIN { for (i = 0; i < 5000; i++) printf "a" }' > a.txt
    check 'a text of one character' "$gpt" train --data a.txt --out a --layers 1 --heads 2 --dim 16 --context 16 --batch 4 --steps 50
    finds 'a text of one character: soon known' 'step 50 .* valid 0\.' out
    check 'a text of one character: sample' "$gpt" sample a --chars 20
fi
if asked short; then
    printf 'A cat sat on a mat.' > s.txt
    if "$gpt" train --data s.txt --out b > out 2> err; then FAIL 'less text than a window' 'it was accepted'; fi
    finds 'less text than a window: says what to do' '^gpt: .*--context [0-9]* needs.*try --context [0-9]' err
    try=$(sed -n 's/.*try --context \([0-9]*\).*/\1/p' err)
    check 'and that works' "$gpt" train --data s.txt --out b --context "${try:-0}" --steps 3
fi
exit "$bad"
