#!/bin/sh
# ablation.sh: switches off one head after the other, and says who misses it.
#
#     tests/ablation.sh MODEL [TEXT]    TEXT is data/stories.txt by default
#
# Prints CSV, a record per head: how much the loss rises on the validation part of the text, and on
# the second half of random characters that are repeated, where a model can only copy. Beside them
# the head's induction score. The first record, without layer and head, is the whole model's losses.
: "${gpt:=build/gpt}"
model=${1:?usage: ablation.sh MODEL [TEXT]} text=${2:-data/stories.txt}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

losses() { # the loss on the text, the loss on the second half, with further options
    "$gpt" eval "$model" --data "$text" "$@" > "$work/eval" &&
        "$gpt" heads "$model" "$@" > "$work/heads" || exit 1
    awk '/^loss first/ { second = $7 } /^loss [0-9]/ { text = $2 } END { print text, second }' \
        "$work/eval" "$work/heads"
}
"$gpt" heads "$model" --csv "$work/heads.csv" > "$work/out" || exit 1
whole=$(losses) || exit 1
echo layer,head,induction,text_rise,copy_rise
echo ",,,$whole" | tr ' ' ,
sed 1d "$work/heads.csv" | sort -t , -k 1,1n -k 2,2n | while IFS=, read -r layer head induction rest; do
    without=$(losses --ablate "$layer.$head") || exit 1
    echo "$layer $head $induction $whole $without" |
        awk '{ printf "%d,%d,%s,%.4f,%.4f\n", $1, $2, $3, $6 - $4, $7 - $5 }'
done
