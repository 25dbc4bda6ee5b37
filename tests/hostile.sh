# hostile.sh: checkpoints, adapters, texts and command lines that were damaged at random, a few
# thousand of each, under the sanitizers where the compiler has them. fuzz.sh does it for longer.
. "$root/tests/lib.sh"
. "$root/tests/fuzz_seeds.sh"
times=${FUZZ_TIMES:-2000}
sed 's/CODE_POINTS = 0x110000/CODE_POINTS = 0x10400/' "$GPT" > small.c # quicker; fuzz.sh says why
echo 'int main(void) { return 0; }' > empty.c
sanitize='-g -fsanitize=address,undefined -fno-sanitize-recover=all'
compiler=$CC
has clang && compiler=clang # it sees more
# shellcheck disable=SC2086
$compiler $sanitize empty.c -o empty 2> /dev/null && ./empty ||
    { skip 'the sanitizers' 'the compiler has none: only crashes are noticed'; sanitize=; compiler=$CC; }
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export ASAN_OPTIONS
for name in load text options; do
    # shellcheck disable=SC2086
    $compiler -O1 $sanitize -DFUZZ_ALONE -DGPT="\"$(pwd)/small.c\"" "$root/tests/fuzz_$name.c" -o fuzz-$name -lm 2> err ||
        { FAIL "$name" 'does not compile'; continue; }
    if ./fuzz-$name "$times" "$name"/* > out 2> err; then ok "$name: $(cat out) files"
    else FAIL "$name" "status $?"; tail -n 8 out; fi
done

# what claims to be large is refused at once, by what it says, not by running out of memory
huge='{"__metadata__":{"format":"pt","model":"transformer","n_layer":"1000","n_head":"1","n_embd":"16384","n_inner":"65536","n_ctx":"65536","pos":"learned","norm":"pre","act":"relu","tie":"yes","batch":"1","steps":"1","minutes":"0","lr":"0.1","optimizer":"muon","warmup":"0","weight_decay":"0","seed":"1","eval_every":"1","step":"0","best_step":"0","best_loss":"0","random":"0000000000000000","text":"0000000000000000","vocab_size":"3","vocab":"ab"},"transformer.wte.weight":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4000000000000000000]}}'
{ printf "\\$(printf %o $((${#huge} % 256)))\\$(printf %o $((${#huge} / 256)))\\0\\0\\0\\0\\0\\0"; printf '%s' "$huge"; } > huge
begin=$(date +%s)
(ulimit -v 500000 2> /dev/null; for _ in 1 2 3 4 5 6 7 8 9 10; do "$gpt" info huge; done) > out 2> err
status=$?
if [ $status = 1 ] && [ "$(grep -c '^gpt: huge' err)" = 10 ] && [ "$(grep -c '' err)" = 10 ] && ! grep -q memory err
then ok "10^18 numbers are refused, ten times in $(($(date +%s) - begin)) s"
else FAIL '10^18 numbers' "status $status"; fi
finds 'a claim of many layers sizes nothing' 'too short for 1000 layers' err
