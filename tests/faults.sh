# faults.sh: killed at random moments, a training loses nothing that it had saved: what is on disk
# loads and goes on to the same bytes as a run that was left alone. `make faults`; the argument is
# how often (200). Full disk, closed output and lack of memory are in errors.sh, signals in signals.sh.
set -u
cd "$(dirname "$0")/.." || exit 1
times=${1:-200}
root=$(pwd)
rm -rf build/faults
mkdir -p build/faults
cd build/faults || exit 1
gpt=$root/build/faults/gpt
# shellcheck disable=SC2086,SC2046
${CC:-cc} -O3 ${CFLAGS:-} $(cat "$root/build/openmp" 2> /dev/null || echo -fopenmp) "${GPT:-$root/gpt.c}" -o "$gpt" -lm || exit 1
. "$root/tests/lib.sh"
make_text text.txt 60
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
# saves at every step, twice when the loss is the best so far
options="--data text.txt --layers 2 --heads 2 --dim 32 --context 32 --batch 2 --steps 400 --eval-every 1 --seed 5"
# shellcheck disable=SC2086
"$gpt" train $options --out whole.safetensors > out 2> err || { cat err; exit 1; }
seed=$$ killed=0 lost=0 early=0 finished=0 wrong=0 round=0
while [ $round -lt "$times" ]; do
    round=$((round + 1))
    if [ ! -f part.safetensors.last ]; then
        # shellcheck disable=SC2086
        "$gpt" train $options --out part.safetensors > out 2> err &
    else
        "$gpt" train --data text.txt --resume part.safetensors.last > out 2> err &
    fi
    pid=$!
    seed=$(((seed * 16807 + 11) % 2147483647))
    sleep "0.$(printf %03d $((5 + seed % 250)))" # from 5 to 255 milliseconds
    if kill -9 $pid 2> /dev/null; then killed=$((killed + 1)); fi
    wait $pid 2> /dev/null
    status=$?
    if [ $status = 0 ]; then # it came to its end: compare, and begin again
        finished=$((finished + 1))
        cmp -s whole.safetensors part.safetensors && cmp -s whole.safetensors.last part.safetensors.last ||
            { wrong=$((wrong + 1)); echo "round $round: another end than the run that was left alone"; }
        rm -f part.*
    elif [ -f part.safetensors.last ]; then
        for file in part.safetensors part.safetensors.last; do
            "$gpt" info $file > out 2> err || { lost=$((lost + 1)); echo "round $round: $(cat err)"; }
        done
    else
        early=$((early + 1)) # before its first save
    fi
done
if [ -f part.safetensors.last ]; then
    "$gpt" train --data text.txt --resume part.safetensors.last > out 2> err
    finished=$((finished + 1))
    cmp -s whole.safetensors part.safetensors && cmp -s whole.safetensors.last part.safetensors.last ||
        { wrong=$((wrong + 1)); echo "at the end: another end than the run that was left alone"; }
fi
echo "killed $killed times ($early before the first save), $finished runs came to their end: $lost checkpoints lost, $wrong ends differ"
[ $lost = 0 ] && [ $wrong = 0 ] && [ $finished -gt 0 ] && [ $killed -gt 0 ]
