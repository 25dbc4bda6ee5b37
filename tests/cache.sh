#!/bin/sh
# cache.sh: time per character with and without the KV cache as the text grows, as CSV.
#
#     tests/cache.sh [--context N] [other options of the model]
#
# For the picture: awk -f figures/draw.awk -v kind=lines -v x=characters -v y=cached,uncached F.csv
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
# shellcheck disable=SC2046,SC2086
${CC:-cc} -O3 ${CFLAGS:-} $(cat build/openmp 2> /dev/null) tests/cache.c -o build/cache -lm || exit 1
build/cache "$@"
