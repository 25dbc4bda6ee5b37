# faults.sh: bad luck. Killed at random moments, a training loses nothing that it had saved: what is on
# disk loads, and goes on to the same bytes as a run that was left alone. `make faults`; the argument is
# how often (200; 5 in the test suite). Then a disk that fills up and a folder that is read-only, where
# one can be mounted, and, for make faults, the cases of errors.sh and signals.sh: no space left, nobody
# reads the output, no memory, Ctrl-C, SIGTERM.
set -u
if [ "${gpt:-}" ]; then times=${1:-5} suite=yes # from test.sh
else
    cd "$(dirname "$0")/.." || exit 1
    times=${1:-200} suite=no root=$(pwd)
    rm -rf build/faults
    mkdir -p build/faults
    cd build/faults || exit 1
    gpt=$root/build/faults/gpt gpt_double=$gpt GPT=${GPT:-$root/gpt.c} LC_ALL=C
    export root gpt gpt_double GPT LC_ALL
    # shellcheck disable=SC2046,SC2086
    ${CC:-cc} -O3 ${CFLAGS:-} $(cat "$root/build/openmp" 2> /dev/null || echo -fopenmp) "$GPT" -o "$gpt" -lm || exit 1
fi
. "$root/tests/lib.sh"
make_text text.txt 60
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
# saves at every step, twice when the loss is the best so far
steps=120
[ "$times" -ge 20 ] || steps=60
options="--data text.txt --layers 2 --heads 2 --dim 32 --context 32 --batch 2 --steps $steps --eval-every 1 --seed 5"
# shellcheck disable=SC2086
"$gpt" train $options --out whole.safetensors > out 2> err || { FAIL 'a run that is left alone' 'failed'; exit 1; }
took=$(sed -n 's/.* seconds //p' out | tail -n 1 | awk '{ print int(1000 * $1) }') # milliseconds

ended() { # it came to its end: the same as the run that was left alone?
    finished=$((finished + 1))
    cmp -s whole.safetensors part.safetensors && cmp -s whole.safetensors.last part.safetensors.last ||
        { wrong=$((wrong + 1)); echo "round $round: another end than the run that was left alone"; }
    rm -f part.*
}
seed=$$ killed=0 lost=0 early=0 finished=0 wrong=0 loaded=0 round=0
while [ $killed -lt "$times" ] && [ $round -lt $((10 * times)) ]; do
    round=$((round + 1))
    if [ ! -f part.safetensors.last ]; then
        # shellcheck disable=SC2086
        "$gpt" train $options --out part.safetensors > out 2> err &
    else
        "$gpt" train --data text.txt --resume part.safetensors.last > out 2> err &
    fi
    pid=$!
    # at any moment of a third of a run
    seed=$(((seed * 16807 + 11) % 2147483647))
    sleep "$(awk "BEGIN { print 0.005 + $seed % 1000 / 1000 * ($took / 3000) }")"
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    case $? in
    137) killed=$((killed + 1)) ;;
    0) ended; continue ;;
    *) wrong=$((wrong + 1)); echo "round $round: $(cat err)" ;;
    esac
    if [ -f part.safetensors.last ]; then
        loaded=$((loaded + 1))
        for file in part.safetensors part.safetensors.last; do
            "$gpt" info $file > out 2> err || { lost=$((lost + 1)); echo "round $round: $(cat err)"; }
        done
    else early=$((early + 1)); fi # before its first save
done
if [ -f part.safetensors.last ]; then
    "$gpt" train --data text.txt --resume part.safetensors.last > out 2> err
    ended
fi
said="killed $killed times ($early before the first save), $loaded times read what was there, $finished runs came to their end"
if [ $lost = 0 ] && [ $wrong = 0 ] && [ $finished -gt 0 ] && [ "$killed" = "$times" ] && [ $loaded -gt 0 ]
then ok "$said: nothing lost, every end the same bytes"
else FAIL 'killed' "$said: $lost files lost, $wrong ends differ"; fi

# a small disk of our own that fills up, and that is then read-only
mkdir -p disk
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1200k none disk 2> /dev/null; then
    trap 'umount disk' EXIT
    # shellcheck disable=SC2086
    "$gpt" train $options --out disk/m --stop-at 5 > out 2> err || FAIL 'a training on a small disk' "status $?"
    cp disk/m.last kept.last
    cp disk/m kept
    head -c 2000000 /dev/zero > disk/filler 2> /dev/null
    "$gpt" train --data text.txt --resume disk/m.last > out 2> err
    status=$?
    if [ $status = 1 ] && [ "$(grep -c '' err)" = 1 ] && grep -q '^gpt: .*No space left' err
    then ok 'a disk that is full: one line, status 1'; else FAIL 'a disk that is full' "status $status"; fi
    same 'a disk that is full: the state is what it was' disk/m.last kept.last
    same 'a disk that is full: so are the weights' disk/m kept
    rm disk/filler
    "$gpt" train --data text.txt --resume disk/m.last > out 2> err || FAIL 'room again' "status $?"
    same 'room again: goes on to the same end' disk/m.last whole.safetensors.last
    mount -o remount,ro disk
    # shellcheck disable=SC2086
    "$gpt" train $options --out disk/m > out 2> err
    status=$?
    if [ $status = 1 ] && [ "$(grep -c '' err)" = 1 ] && grep -q '^gpt: .*Read-only file system' err
    then ok 'a folder that is read-only: one line, status 1'; else FAIL 'a folder that is read-only' "status $status"; fi
    check 'a folder that is read-only: what is there can be read' "$gpt" sample disk/m --chars 20
    umount disk
    trap - EXIT
else skip 'a disk that is full, a folder that is read-only' 'only root can mount one to try it on'; fi

if [ $suite = no ]; then
    for test in errors signals; do
        rm -rf $test
        mkdir $test
        (cd $test && sh "$root/tests/$test.sh") > $test.txt 2>&1
        grep '^skipped' $test.txt
        grep -A 5 '^FAIL' $test.txt
        grep -q '^FAIL' $test.txt && bad=1
        echo "$test.sh: $(grep -c '^ok' $test.txt) ok, $(grep -c '^FAIL' $test.txt) failed"
    done
fi
exit "$bad"
