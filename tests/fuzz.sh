# fuzz.sh: libFuzzer, with AddressSanitizer and UndefinedBehaviorSanitizer, on what reads files and
# words from outside: checkpoints and adapters, texts, options. `make fuzz`; arguments: seconds for
# each (60), or 10000000x for so many executions; and the name of one: load, text or options. What was
# learned stays in build/fuzz/corpus-...; a finding is kept there as crash-...
set -u
cd "$(dirname "$0")/.." || exit 1
limit=${1:-60} chosen=${2:-} bad=0
case $limit in *x) limit=-runs=${limit%x} ;; *) limit=-max_total_time=$limit ;; esac
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
. "$root/tests/fuzz_seeds.sh"
# Two tables with a place for every character of Unicode, filled and searched for every execution,
# would take most of the time. Up to U+103FF there are still characters of 1, 2, 3 and 4 bytes; up to
# U+08FF of 1, 2 and 3, much quicker: for counted executions. And a header that claims 16 MB gets them.
points=0x10400
case $limit in -runs*) points=0x900 ;; esac
sed "s/CODE_POINTS = 0x110000/CODE_POINTS = ${POINTS:-$points}/; s/\*n > 1 << 24/*n > 1 << 13/" "$root/gpt.c" > gpt-small.c
if [ "$(diff "$root/gpt.c" gpt-small.c | grep -c '^>')" != 2 ]; then
    echo 'FAIL: CODE_POINTS or the limit of a header is no longer where it was'
    exit 1
fi

for name in load text options; do
    case $name in *"$chosen"*) ;; *) continue ;; esac
    # which numbers were compared helps with headers; in texts only with the tables mentioned above
    compares='' longest=6600
    case $name in text) compares=-fno-sanitize-coverage=trace-cmp longest=1700 ;; options) longest=400 ;; esac
    # shellcheck disable=SC2086
    $clang -g -O2 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $compares \
        -DGPT="\"$root/build/fuzz/gpt-small.c\"" "$root/tests/fuzz_$name.c" -o fuzz-$name -lm 2> said ||
        { echo "FAIL $name: does not compile"; head -n 5 said; bad=1; continue; }
    mkdir -p corpus-$name
    # what die() leaves behind is freed by fuzz.h; the timeout is long, for a busy machine
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=1:malloc_context_size=2 \
        ./fuzz-$name "$limit" -max_len=$longest -timeout=300 -rss_limit_mb=2000 -malloc_limit_mb=1500 -reload=0 \
        -dict=$name.dict -print_final_stats=1 -close_fd_mask=2 corpus-$name $name > said-$name 2>&1
    status=$?
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' said-$name)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' said-$name)
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' said-$name | tail -n 1)
    if [ $status = 0 ]; then
        kept=$(find corpus-$name -type f | grep -c "")
        echo "ok $name: ${runs:-0} executions, ${speed:-0} a second, ${cover:-0} edges covered, $kept inputs kept, no findings"
    else echo "FAIL $name: ${runs:-0} executions, see build/fuzz/said-$name"; tail -n 12 said-$name; bad=1; fi
done
exit $bad
