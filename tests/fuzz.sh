# fuzz.sh: libFuzzer, with AddressSanitizer and UndefinedBehaviorSanitizer, on what reads files and
# words from outside: checkpoints, texts, options. `make fuzz`; arguments: seconds for each (60), and
# the name of one. What was learned stays in build/fuzz; a finding is kept there as crash-...
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:-60} chosen=${2:-} bad=0
clang=${CLANG:-clang}
mkdir -p build/fuzz
echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' > build/fuzz/probe.c
$clang -fsanitize=fuzzer build/fuzz/probe.c -o build/fuzz/probe 2> /dev/null ||
    { echo 'skipped: clang with libFuzzer is not here (apt-get install clang)'; exit 77; }
root=$(pwd)
cd build/fuzz || exit 1
$clang -O2 "$root/gpt.c" -o gpt -lm 2> /dev/null || exit 1
gpt=$root/build/fuzz/gpt gpt_double=$gpt
. "$root/tests/lib.sh"

# seeds: small files of every kind, and the words that they are made of
mkdir -p load text options
make_text text.txt 12
printf 'aé €\n' > little.txt
for kind in '--pos learned' '--pos sin --norm post --act gelu' '--pos none --tie no' '--model mlp'; do
    # shellcheck disable=SC2086
    "$gpt" train --data text.txt --out load/seed $kind --layers 1 --heads 1 --dim 2 --hidden 2 --context 2 \
        --batch 1 --steps 1 > /dev/null 2>&1
    n=$((${n:-0} + 1))
    mv load/seed load/seed$n
    mv load/seed.last load/last$n
done
cp text.txt text/seed1
printf 'one\r\n<|endoftext|>\r\ntwo' > text/seed2
printf '\357\273\277caf\303\251\n<|endoftext|>\n\360\237\220\223\n' > text/seed3
printf 'train\n--dim\n64\n--heads=4\n--pos\nsin\n--lr\n1e-3' > options/seed1
printf 'sample\nmodel\n--temperature\n0.5\n--top-k\n5\n--past-end' > options/seed2
tr -c 'a-z0-9_.\\-' '\n' < load/seed1 2> /dev/null | LC_ALL=C grep -a -E '^[a-z0-9_.]{3,30}$' | sort -u |
    sed 's/.*/"&"/' > load.dict
printf '"<|endoftext|>"\n"\\x0a<|endoftext|>\\x0a"\n"\\x0d\\x0a"\n"\\xef\\xbb\\xbf"\n' > text.dict
"$gpt" help train | sed -n 's/^  --\([a-z-]*\) .*/"--\1"/p' > options.dict

for name in load text options; do
    case $name in *"$chosen"*) ;; *) continue ;; esac
    $clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all "$root/tests/fuzz_$name.c" \
        -o fuzz-$name -lm 2> said || { echo "FAIL $name: does not compile"; head -n 5 said; bad=1; continue; }
    mkdir -p corpus-$name
    # a program that dies half-way frees nothing: leaks are looked for in sanitizers.sh
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=1 \
        ./fuzz-$name -max_total_time="$seconds" -max_len=6000 -timeout=5 -rss_limit_mb=2000 -malloc_limit_mb=1500 \
        -dict=$name.dict -print_final_stats=1 -verbosity=1 corpus-$name $name > said-$name 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' said-$name)
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' said-$name | tail -n 1)
    if [ $status = 0 ]; then echo "ok $name: ${runs:-0} executions, ${cover:-0} edges covered, no findings"
    else echo "FAIL $name: ${runs:-0} executions, see build/fuzz/said-$name"; tail -n 12 said-$name; bad=1; fi
done
exit $bad
