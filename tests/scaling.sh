#!/bin/sh
# scaling.sh: the same number of characters for models of seven sizes; how does the loss fall?
#
#     tests/scaling.sh [STEPS [TEXT]]    600 steps of 4096 characters, data/stories.txt
#
# Prints CSV for figures/draw.awk -v kind=lines -v x=parameters -v y=loss -v xlog=1 -v fit=1: all
# parameters, the loss on the validation part, the parameters of the layers alone (without the
# tables of characters and positions), and what was trained. Wider models get smaller steps.
: "${gpt:=build/gpt}"
steps=${1:-600} text=${2:-data/stories.txt}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

echo parameters,loss,layer_parameters,layers,dim,lr,seconds
#    layers dim heads lr
while read -r layers dim heads lr; do
    "$gpt" train --data "$text" --layers "$layers" --dim "$dim" --heads "$heads" --lr "$lr" \
        --pos learned --context 128 --batch 32 --steps "$steps" --eval-every "$steps" \
        --out "$work/model.safetensors" > "$work/log" || exit 1
    awk -v layers="$layers" -v dim="$dim" -v lr="$lr" '
        /^model/ { all = $2; gsub(",", "", all) }
        /^step/ { loss = $6; seconds = $NF }
        END { printf "%d,%s,%d,%d,%d,%s,%s\n", all, loss, layers * (12 * dim * dim + 13 * dim),
            layers, dim, lr, seconds }' "$work/log"
done << 'END'
1 14 2 0.006
2 24 2 0.005
2 40 4 0.004
3 56 4 0.004
3 88 4 0.003
4 112 4 0.002
5 128 4 0.002
END
