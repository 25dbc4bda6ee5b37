# golden.sh: 20 steps in double on a fixed text end at a known loss, to 12 digits, on every machine,
# with every way to multiply. If the arithmetic changes on purpose, so does the number below, which
# matrix.sh reads, too.
. "$root/tests/lib.sh"
make_text text.txt 60
options="--layers 2 --heads 2 --dim 16 --hidden 32 --context 16 --batch 4 --pos sin --norm pre --act gelu --tie yes"
more="--lr 0.01 --warmup 5 --weight-decay 0.1 --steps 20 --eval-every 10 --seed 3"
golden=2.73287279212218
for path in plain sse avx2 avx512; do
    # shellcheck disable=SC2086
    if ! "$gpt_double" train --data text.txt $options $more --matmul $path --out $path.safetensors > out 2> err; then
        if grep -q "this CPU or compiler can't" err; then skip "loss after 20 steps, $path" "this CPU has no $path"
        else FAIL "loss after 20 steps, $path" 'the training failed'; fi
        continue
    fi
    loss=$(head -c 4000 $path.safetensors | tr -d '\000' | sed -n 's/.*"best_loss":"\([^"]*\)".*/\1/p')
    close "loss after 20 steps, $path" "${loss:-no}" $golden 1e-12
done
