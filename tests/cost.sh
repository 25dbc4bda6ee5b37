#!/bin/sh
# cost.sh: what does a character cost in training, and does arithmetic predict it? `make cost` runs one step of models
# that differ in context, width or depth. A multiply-add counts 2; forward, per character, V = 72:
#     linear layers 2 L 12 C^2    attention 2 L C T (the causal half)    head 2 V C    and backward costs twice that.
# The prediction takes the speed of the first line, in operations per second, for all others.
set -u
cd "$(dirname "$0")/.." || exit 1
echo 'context,dim,layers,operations_per_character,microseconds,predicted'
for shape in "128 128 4" "256 128 4" "512 128 4" "1024 128 4" "2048 128 4" "4096 128 4" \
    "128 64 4" "128 256 4" "128 512 4" "128 128 1" "128 128 2" "128 128 8"; do
    # shellcheck disable=SC2086
    set -- $shape
    build/bench --repeat 1 --context "$1" --dim "$2" --layers "$3" --batch $((8192 / $1)) |
        awk -v T="$1" -v C="$2" -v L="$3" '/^train/ {
            print T, C, L, 3 * (2 * L * (12 * C * C + C * T) + 2 * 72 * C), 1e6 / $3 }'
done | awk '{ if (NR == 1) rate = $4 / $5
    printf "%d,%d,%d,%d,%.2f,%.2f\n", $1, $2, $3, $4, $5, $4 / rate; fflush() }'
