# gradients.sh: gpt check, in double, for every kind of model, with every way to multiply that this
# CPU has; and for odd shapes. The build in float must agree to two digits.
. "$root/tests/lib.sh"

run_check() { # PROGRAM OPTIONS...: prints nothing when every gradient is right
    "$@" > out 2> err && grep -q '^every gradient is right' out && ! grep -q '^BAD' out && return
    echo "    gpt check $*: $(cat err) $(grep '^BAD' out | head -n 2 | tr '\n' ' ')"
}

for path in plain sse avx2 avx512; do
    if ! "$gpt_double" check --model mlp --matmul $path > out 2> err; then
        if grep -q "this CPU or compiler can't" err; then
            skip "all models, $path" "this CPU has no $path"
            continue
        fi
    fi
    for model in transformer mlp; do
        for pos in sin learned rotary smeared none; do
            for norm in pre post; do
                for act in relu gelu; do
                    for tie in yes no; do
                        run_check "$gpt_double" check --model $model --pos $pos --norm $norm --act $act \
                            --tie $tie --matmul $path
                    done
                done
            done
        done
        [ $model = transformer ] || break
    done > problems
    if [ -s problems ]; then
        echo "FAIL all models, $path: $(grep -c . problems) of 80 are wrong"
        head -n 5 problems
    else
        ok "all 80 models, $path"
    fi
done

for shape in '--layers 1 --heads 1 --dim 3 --hidden 1 --context 1 --act gelu' \
    '--layers 1 --heads 1 --dim 5 --hidden 3 --context 2' \
    '--layers 3 --heads 5 --dim 5 --hidden 7 --context 9' \
    '--layers 2 --heads 3 --dim 15 --context 9 --pos rotary' '--layers 1 --heads 4 --dim 4 --pos rotary' \
    '--layers 2 --heads 3 --dim 15 --context 9 --pos smeared' '--context 2 --pos smeared' \
    '--context 1 --pos smeared' \
    '--layers 1 --heads 2 --dim 6 --hidden 8 --context 70' \
    '--model mlp --dim 8' '--model mlp --heads 7 --dim 5 --norm post' \
    '--layers 2 --heads 3 --dim 51 --hidden 97 --context 35 --act gelu --norm post'; do
    # shellcheck disable=SC2086
    run_check "$gpt_double" check $shape --seed 2 > problems
    if [ -s problems ]; then FAIL "$shape" "$(cat problems)"; else ok "$shape"; fi
done

for norm in pre post; do
    run_check "$gpt" check --norm $norm --act gelu > problems
    if [ -s problems ]; then FAIL "float, $norm" "$(cat problems)"; else ok "float, $norm"; fi
done

# in tensors of four numbers, float's wide steps may cross nothing but kinks of ReLU
for seed in 1 2 3 4; do run_check "$gpt" check --pos rotary --layers 1 --heads 1 --dim 4 --context 3 --seed $seed; done > problems
if [ -s problems ]; then FAIL 'kinks everywhere' "$(cat problems)"; else ok 'kinks everywhere'; fi

# a tied head's table gets two gradients, and a table of sinusoids none
"$gpt_double" check --pos sin --tie yes > out
if grep -q 'lm_head' out; then FAIL 'tied: no head of its own' 'there is an lm_head'
else ok 'tied: no head of its own'; fi
finds 'sinusoids are not trained' '^- *transformer.wpe.weight' out
"$gpt_double" check --pos rotary > out
finds 'nor is what rotates' '^- *transformer.wpe.weight' out

# and what is wrong is found: here one of the tensors
sed 's/g = m->p.g\[at\];/g = m->p.g[at] + (t == m->p.tensor);/' "$GPT" > wrong.c
$CC -O1 wrong.c -o wrong -lm 2> err || FAIL 'a gradient made wrong' 'does not compile'
./wrong check --layers 1 --heads 1 --dim 4 --context 3 --act gelu > out
finds 'a gradient made wrong is found' '^BAD *transformer.wte.weight' out
finds 'a gradient made wrong is counted' '^1 tensor has a wrong gradient' out
