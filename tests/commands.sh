# commands.sh: what the commands print, on small models: stable lines, CSV, one meaning everywhere.
. "$root/tests/lib.sh"
make_text text.txt 60
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out model.safetensors --log log.csv $small --steps 300 --eval-every 100 \
    --warmup 10 --lr 0.01 > train.txt 2> err || FAIL 'train' "status $?"
if [ -s err ]; then FAIL 'train says nothing on stderr when piped' 'it does'; else ok 'train says nothing on stderr when piped'; fi
number='[0-9][0-9.e+-]*'
finds 'train: text' 'text.txt: 7769 characters, 60 stories, vocabulary 24' train.txt
for key in uniform unigram bigram bigram-counted; do finds "train: $key" "^$key $number\$" train.txt; done
finds 'train: steps' "^step 100 train $number valid $number lr $number tokens/s $number seconds $number\$" train.txt
finds 'train: best' "^best step [0-9]* valid $number" train.txt
finds 'log: header' '^step,train,valid,lr,tokens_per_second,seconds$' log.csv
if [ "$(awk -F, 'NF != 6' log.csv | wc -l)" -eq 0 ] && [ "$(grep -c '' log.csv)" -ge 4 ]
then ok 'log: six columns'; else FAIL 'log: six columns' "$(grep -c '' log.csv) rows"; fi
for step in 100 200 300; do finds "log: step $step" "^$step,$number,$number,$number,$number,$number\$" log.csv; done

# learning happened: below what pairs of letters know, and far below letters alone
bigram=$(sed -n 's/^bigram //p' train.txt)
best=$(sed -n 's/^best step [0-9]* valid \([0-9.]*\).*/\1/p' train.txt)
if awk "BEGIN { exit !(${best:-9} < ${bigram:-0} - 0.3) }"; then ok "a transformer learns more than pairs"
else FAIL 'a transformer learns more than pairs' "valid $best, bigram $bigram"; fi
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out mlp.safetensors --model mlp $small --steps 300 --eval-every 100 \
    --warmup 10 --lr 0.01 > mlp.txt 2> err || FAIL 'train --model mlp' "status $?"
mlp=$(sed -n 's/^best step [0-9]* valid \([0-9.]*\).*/\1/p' mlp.txt)
if awk "BEGIN { exit !(${mlp:-0} > ${bigram:-0} && ${mlp:-9} < ${bigram:-0} + 0.1) }"
then ok 'an MLP learns pairs and no more'; else FAIL 'an MLP learns pairs and no more' "valid $mlp, bigram $bigram"; fi
check 'an MLP has no heads that must divide' "$gpt" train --data text.txt --out odd.safetensors --model mlp --dim 6 --heads 4 \
    --layers 1 --steps 3
check 'and its checkpoint is read' "$gpt" info odd.safetensors

# the entropies, counted by awk
awk 'BEGIN { RS = "\n<[|]endoftext[|]>\n|\n$" } { s[NR] = $0 } END {
    first = NR - int(NR / 10) + 1
    previous = "E"
    for (i = first; i <= NR; i++) {
        text = s[i]
        for (k = 1; k <= length(text) + 1; k++) {
            c = k <= length(text) ? substr(text, k, 1) : "E!"
            one[c]++; two[previous, c]++; from[previous]++; n++
            previous = c == "E!" ? "E" : c
        }
    }
    for (c in one) h1 -= one[c] / n * log(one[c] / n)
    for (pair in two) { split(pair, part, SUBSEP); h2 -= two[pair] / n * log(two[pair] / from[part[1]]) }
    printf "%.6f %.6f\n", h1, h2 }' text.txt > entropies 2> /dev/null
"$gpt" eval model.safetensors --data text.txt > eval.txt 2> err || FAIL eval "status $?"
read -r one two < entropies
close 'eval: unigram' "$(sed -n 's/^unigram //p' eval.txt)" "${one:-no}" 2e-6
close 'eval: bigram' "$(sed -n 's/^bigram //p' eval.txt)" "${two:-no}" 2e-6
close 'train and eval agree on bigram' "${bigram:-no}" "${two:-no}" 6e-5

# eval, its last line, and the loss of every token
finds 'eval: last line' "^loss $number bits/char $number perplexity $number tokens 870\$" eval.txt
loss=$(sed -n 's/^loss \([0-9.]*\) .*/\1/p' eval.txt)
close 'eval: the loss that train reported' "${loss:-no}" "${best:-no}" 2e-6
close 'eval: bits are nats divided by ln 2' "$(sed -n 's/.*bits.char \([0-9.]*\) .*/\1/p' eval.txt)" "${loss:-0} / 0.69314718056" 2e-6
close 'eval: perplexity is e to the loss' "$(sed -n 's/.*perplexity \([0-9.]*\) .*/\1/p' eval.txt)" "exp(${loss:-0})" 1e-5
"$gpt" eval model.safetensors --data text.txt --tokens tokens.csv > out 2> err || FAIL 'eval --tokens' "status $?"
if [ "$(grep -c '' tokens.csv)" = 871 ]; then ok 'eval --tokens: a row per token'; else FAIL 'eval --tokens: a row per token' "$(grep -c '' tokens.csv)"; fi
close 'eval --tokens: their mean is the loss' "$(awk -F, 'NR > 1 { sum += $NF; n++ } END { printf "%.6f", sum / n }' tokens.csv)" "${loss:-no}" 3e-6
for threads in 1 3; do OMP_NUM_THREADS=$threads "$gpt" eval model.safetensors --data text.txt > eval$threads; done
same 'eval: the same with 1 and 3 threads' eval1 eval3

# sample
"$gpt" sample model.safetensors --prompt 'The cat' --chars 60 --seed 4 > s1 2> err || FAIL sample "status $?"
finds 'sample begins with its prompt' '^The cat' s1
if [ "$(head -n 1 s1 | tr -d '\n' | wc -c)" -le 67 ] && [ "$(wc -c < s1)" -gt 30 ]; then ok 'sample: at most --chars'; else FAIL 'sample: at most --chars' "$(wc -c < s1) bytes"; fi
for k in 0 1 5; do
    for temperature in 0 0.5 1.5; do
        options="--top-k $k --temperature $temperature --chars 150 --past-end --seed 9"
        # shellcheck disable=SC2086
        { "$gpt" sample model.safetensors $options; "$gpt" sample model.safetensors $options --no-cache > plain; } > cached
        same "sample: $options: the cache changes nothing" cached plain
    done
done
"$gpt" sample model.safetensors --temperature 0 --chars 100 --past-end --seed 1 > s1
"$gpt" sample model.safetensors --temperature 0 --chars 100 --past-end --seed 2 > s2
same 'sample: temperature 0 knows no chance' s1 s2
"$gpt" sample model.safetensors --top-k 1 --chars 100 --past-end --seed 3 > s2
same 'sample: nor does top-k 1' s1 s2
"$gpt" sample model.safetensors --samples 3 --chars 50 --seed 11 > three
for seed in 11 12 13; do
    [ $seed = 11 ] || echo '<|endoftext|>'
    "$gpt" sample model.safetensors --chars 50 --seed $seed
done > single
same 'sample: number k uses seed + k' three single
"$gpt" sample model.safetensors --chars 0 --prompt 'The' > s1
if [ "$(cat s1)" = The ]; then ok 'sample: no characters'; else FAIL 'sample: no characters' "$(cat s1)"; fi
long=$(head -n 1 text.txt)
"$gpt" sample model.safetensors --chars 40 --prompt "$long$long$long" > s1 2> err || FAIL 'a prompt of many windows' "status $?"
finds 'a prompt of many windows' '^The' s1
"$gpt" sample model.safetensors --chars 3000 --past-end > s1
if [ "$(wc -c < s1)" -gt 3000 ]; then ok 'a text of many windows'; else FAIL 'a text of many windows' "$(wc -c < s1) bytes"; fi
finds 'sample --past-end writes the separator' '^<|endoftext|>$' s1
"$gpt" sample model.safetensors --chars 100000 > s1
if grep -q endoftext s1 || [ "$(wc -c < s1)" -gt 90000 ]; then FAIL 'sample stops at the end of the story' "$(wc -c < s1) bytes"
else ok 'sample stops at the end of the story'; fi

# info, help, version
"$gpt" info model.safetensors > info.txt 2> err || FAIL info "status $?"
for line in 'layers 2' 'heads 2' 'dim 16' 'hidden 32' 'context 16' 'step 300' 'parameters 4960' 'transformer.h.1.attn.c_attn.weight *(16,48)' 'transformer.wte.weight *(24,16)'; do
    finds "info: $line" "^$line" info.txt
done
"$gpt" --version > version.txt 2> err || FAIL --version "status $?"
finds '--version: float or double' 'float' version.txt
finds '--version: compiler and OpenMP' 'compiler .*OpenMP' version.txt
"$gpt_double" --version > version.txt
finds '--version: double' 'double' version.txt
"$gpt" help > help.txt || FAIL help "status $?"
for command in train sample eval check info; do
    finds "help names $command" "^gpt $command" help.txt
    "$gpt" help $command > help1 2> err || FAIL "help $command" "status $?"
    finds "help $command" '^  --matmul' help1
done
"$gpt" help train > help1
for option in data valid out resume log model layers heads dim hidden context pos norm act tie batch steps minutes stop-at lr warmup weight-decay seed eval-every; do
    finds "help train: --$option" "^  --$option " help1
done
for flag in --help -h; do
    "$gpt" $flag > help1 2> err || FAIL "$flag" "status $?"
    same "$flag" help.txt help1
done

# Windows line ends and a byte-order mark are read as what they mean, with a note
{ printf '\357\273\277'; sed "s/\$/$(printf '\r')/" text.txt; } > windows.txt
# shellcheck disable=SC2086
"$gpt" train --data windows.txt --out windows.safetensors $small --steps 300 --eval-every 100 \
    --warmup 10 --lr 0.01 > out 2> err || FAIL 'windows.txt' "status $?"
same 'CRLF and a byte-order mark: the same model' model.safetensors windows.safetensors
if [ "$(grep -c '' err)" = 1 ] && grep -q 'byte-order mark' err && grep -q CRLF err
then ok 'CRLF and a byte-order mark: one note'; else FAIL 'CRLF and a byte-order mark: one note' "$(grep -c '' err) lines"; fi

# 5,000 characters of Chinese, and a text of one character
awk 'BEGIN { for (k = 0; k < 30000; k++) { c = 19968 + k * 7919 % 5000
    printf "%c%c%c", 224 + int(c / 4096), 128 + int(c / 64) % 64, 128 + c % 64; if (k % 40 == 39) print "" } }' > chinese.txt
# shellcheck disable=SC2086
"$gpt" train --data chinese.txt --out chinese.safetensors $small --steps 3 > out 2> err || FAIL 'Chinese' "status $?"
finds 'Chinese: vocabulary' 'vocabulary 5,\{0,1\}002 ' out
check 'Chinese: sample' "$gpt" sample chinese.safetensors --chars 30 --prompt '一'
check 'Chinese: the sample is UTF-8' iconv -f UTF-8 -t UTF-16 out
check 'Chinese: eval' "$gpt" eval chinese.safetensors --data chinese.txt
head -c 3000 /dev/zero | tr '\0' a > one.txt
# shellcheck disable=SC2086
"$gpt" train --data one.txt --out one.safetensors $small --steps 100 --warmup 5 > out 2> err || FAIL 'one character' "status $?"
"$gpt" sample one.safetensors --chars 20 --prompt aaa --temperature 0 > s1
finds 'one character: what else could it write' '^aaaaaaaaaaaaaaaaaaaaaaa$' s1

# no context at all, and a long one
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out c1.safetensors $small --context 1 --steps 5 > out 2> err || FAIL 'context 1' "status $?"
check 'context 1: sample' "$gpt" sample c1.safetensors --chars 30 --past-end
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out c4.safetensors $small --context 4096 --batch 1 --steps 2 > out 2> err || FAIL 'context 4096' "status $?"
check 'context 4096: sample' "$gpt" sample c4.safetensors --chars 30 --past-end
check 'context 4096: eval' "$gpt" eval c4.safetensors --data text.txt

# resuming: elsewhere, without an end, with another seed
shape='--data text.txt --layers 1 --heads 2 --dim 8 --context 8 --batch 2'
# shellcheck disable=SC2086
"$gpt" train $shape --steps 8 --eval-every 4 --out a.safetensors > out 2> err || FAIL 'a.safetensors' "status $?"
"$gpt" train --data text.txt --resume a.safetensors.last --steps 12 --out b.safetensors --log b.csv > resumed 2> err ||
    FAIL 'resume --out' "status $?"
check 'resume --out: what it says it wrote is there' "$gpt" info "$(sed -n 's/^best.* in //p' resumed)"
finds 'resume --out: it is the new file' ' in b.safetensors$' resumed
# the best weights stay, however their file is called, when going on makes worse ones
cp a.safetensors best
"$gpt" train --data text.txt --resume ./a.safetensors.last --steps 12 --lr 9 --warmup 0 --out a.safetensors > out 2> err || FAIL 'resume, worse' "status $?"
same 'resume: worse weights do not replace the best' best a.safetensors
# shellcheck disable=SC2086
"$gpt" train $shape --steps 8 --eval-every 4 --out a.safetensors > out 2> err || FAIL 'a.safetensors again' "status $?"
finds 'resume --log: a new file has a header' '^step,train' b.csv
# another run's weights are not this run's best
# shellcheck disable=SC2086
"$gpt" train $shape --steps 4 --eval-every 4 --seed 2 --out other.safetensors > out 2> err || FAIL 'other.safetensors' "status $?"
"$gpt" train --data text.txt --resume a.safetensors.last --steps 12 --lr 9 --warmup 0 --out other.safetensors > resumed 2> err ||
    FAIL 'resume --out another run' "status $?"
said=$(sed -n 's/^best .*valid \([0-9.]*\) in other.safetensors$/\1/p' resumed)
"$gpt" eval other.safetensors --data text.txt > out
close 'resume --out another run: its file has what is said' "$(sed -n 's/^loss \([0-9.]*\) .*/\1/p' out)" "${said:-0}" 0.000002
cp other.safetensors kept
cp a.safetensors.last other.safetensors.last
"$gpt" train --data text.txt --resume other.safetensors.last > out 2> err || FAIL 'resume what has ended, beside another model' "status $?"
same 'resume what has ended: nothing is written' kept other.safetensors
# Muon keeps one moment, Adam two: going on with Adam forgets it, or one step would throw the model off
# shellcheck disable=SC2086
"$gpt" train $shape --dim 32 --steps 200 --eval-every 50 --stop-at 100 --out o.safetensors > out 2> err || FAIL 'o.safetensors' "status $?"
before=$(sed -n 's/^step 100 .*valid \([0-9.]*\) .*/\1/p' out)
"$gpt" train --data text.txt --resume o.safetensors.last --optimizer adam --eval-every 1 --stop-at 102 > out 2> err || FAIL 'resume --optimizer' "status $?"
after=$(sed -n 's/^step 102 .*valid \([0-9.]*\) .*/\1/p' out)
if awk "BEGIN { exit !(${after:-9} < ${before:-0} + 1) }"; then ok 'resume --optimizer adam goes on where Muon stopped'
else FAIL 'resume --optimizer adam' "valid $before, then $after"; fi
"$gpt" train --data text.txt --resume a.safetensors.last > out 2> err || FAIL 'resume what has ended' "status $?"
finds 'resume what has ended: a line says so' 'a.safetensors.last is at step 8, --steps is 8' err
"$gpt" train --data text.txt --resume a.safetensors.last --steps 0 --stop-at 9 --out c.safetensors > out 2> err || FAIL 'resume --steps 0' "status $?"
"$gpt" info c.safetensors.last > out
finds 'resume --steps 0 means 2000' '^steps 2000$' out
for seed in 1 2; do
    "$gpt" train --data text.txt --resume a.safetensors.last --steps 12 --seed $seed --out d$seed.safetensors > out 2> err || FAIL 'resume --seed' "status $?"
done
if cmp -s d1.safetensors.last d2.safetensors.last; then FAIL 'resume --seed' 'changes nothing'; else ok 'resume --seed draws other windows'; fi
# shellcheck disable=SC2086
"$gpt" train $shape --minutes 1e-9 --out e.safetensors > no-time 2> err || FAIL 'no time at all' "status $?"
check 'no time at all: there is something to sample from' "$gpt" sample e.safetensors --chars 9
if grep -q inf no-time; then FAIL 'no time at all: no best of infinity' "$(tail -n 1 no-time)"; else ok 'no time at all: no best of infinity'; fi
"$gpt" help train > help1
finds 'help shows the default that the table has' 'hidden N.*\[0, 0 to' help1

# numbers in a checkpoint that can't be
LC_ALL=C sed 's/"step":"300"/"step":"-30"/' model.safetensors.last > bad.last
"$gpt" train --data text.txt --resume bad.last --out f.safetensors > out 2> err && FAIL 'step -30' 'was accepted'
finds 'step -30 is refused' 'no valid step' err
