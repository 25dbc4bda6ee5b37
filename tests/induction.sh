#!/bin/sh
# induction.sh: shows an induction head growing where it can, and not growing where it can't.
#
#     tests/induction.sh [STEPS]      3000 steps by default: two to three minutes
#
# The text: every story is a string of 8 to 26 letters, each at most once, repeated to the end. What
# comes next can only be known by finding the same letter earlier and looking at what followed it.
# That takes two layers: the first copies to each position which letter stood before it, the second
# looks for a position whose earlier letter is its own. One layer sees letters and distances, but
# not what followed what; unless its keys are smeared, which puts the letter before into each key.
# (Muon brings one layer further, to 0.74 after 1500 steps, though no head of it copies.)
# The same training, by Adam, with 2 layers, with 1, and with 1 and smeared keys; `gpt heads` scores each.
# Writes build/induction-K.safetensors and build/induction-K.csv for K = 2, 1, smeared. Exit status 1
# unless the first and the last copy (induction scores that add up to 0.25, since heads may share the
# work, and a loss below 0.5 on what repeats) and the one between does neither (loss above 1.5).
cd "$(dirname "$0")/.." || exit 1
: "${gpt:=build/gpt}"
mkdir -p build
awk '
function chance() { return (seed = seed * 16807 % 2147483647) / 2147483647 } # every awk has a rand() of its own
BEGIN {
    seed = 1
    for (story = 0; story < 50000; story++) {
        if (story) print "<|endoftext|>"
        letters = "abcdefghijklmnopqrstuvwxyz"
        string = text = ""
        for (n = 8 + int(chance() * 19); n > 0; n--) {
            k = 1 + int(chance() * length(letters))
            string = string substr(letters, k, 1)
            letters = substr(letters, 1, k - 1) substr(letters, k + 1)
        }
        while (length(text) < 60) text = text string
        print text
    }
}' > build/induction.txt || exit 1

status=0
for kind in 2 1 smeared; do
    model=build/induction-$kind layers=1 pos=learned
    if [ $kind = 2 ]; then layers=2; fi
    if [ $kind = smeared ]; then pos=smeared; fi
    echo "== layers $layers, positions $pos"
    "$gpt" train --data build/induction.txt --layers $layers --heads 2 --dim 128 --pos $pos --context 64 \
        --steps "${1:-3000}" --batch 32 --optimizer adam --lr 0.002 --weight-decay 0.01 --out $model.safetensors || exit 1
    "$gpt" heads $model.safetensors --repeat 20 --csv $model.csv > $model.txt || exit 1
    cat $model.txt
    awk -v kind=$kind '/^layer/ { sum += $6 } /^loss/ { loss = $7 } END {
        good = kind != 1 ? sum > 0.25 && loss < 0.5 : sum < 0.25 && loss > 1.5
        print (good ? "ok" : "FAIL") " induction-" kind ": heads together " sum ", loss " loss
        exit !good
    }' $model.txt || status=1
done
exit $status
