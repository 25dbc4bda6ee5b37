# labs.sh: do the labs ask, and does their grader see, what they should? gpt.c itself gets every point, the
# starter none, and each of the usual mistakes is named by its name.
. "$root/tests/lib.sh"
unset CSV ID LAB_SECONDS
grade() { # FILE LABS: what the grader says, in the file `said`
    # shellcheck disable=SC2086
    GPT=$1 sh "$root/tests/lab.sh" $2 > said 2>&1
}

# ---- the starter, and back again ----
awk -f "$root/tests/lab.awk" "$GPT" > starter.c
awk -v mode=grade -v labs= -f "$root/tests/lab.awk" "$GPT" starter.c > back.c
same 'the bodies put back give gpt.c, byte for byte' back.c "$GPT"
awk -v mode=list -f "$root/tests/lab.awk" "$GPT" > functions
for lab in 1 2 3 4 5 6 7; do
    if ! grep -q "^$lab " functions; then FAIL "lab $lab" 'it asks for no function'; fi
done
diff "$GPT" starter.c | grep '^>' | grep -v \
    -e '^>     fprintf(stderr, "lab [1-7]: [a-z_]* is not written yet.n");$' \
    -e '^>     exit(3);$' > err
if [ -s err ]; then FAIL 'the starter has nothing new but the calls' 'other lines'
else ok 'the starter has nothing new but the calls'; fi
for compiler in gcc clang; do
    if ! has $compiler; then skip "$compiler compiles the starter" 'it is not installed'; continue; fi
    check "$compiler compiles the starter without a warning" $compiler -Werror -Wall -Wextra -Wpedantic -Wno-unused \
        -Wno-unused-parameter -c starter.c -o starter.o
done
awk -f "$root/tests/lab.awk" "$GPT" | sed 's/$/\r/' > windows.c
awk -v mode=grade -v labs= -f "$root/tests/lab.awk" "$GPT" windows.c > back.c
same 'line ends of Windows are understood' back.c "$GPT"

# ---- all points, and none ----
grade "$GPT" all
if [ $? = 0 ] && [ "$(grep -c '^lab [1-7]: 20 of 20 points$' said)" = 7 ]
then ok 'gpt.c gets every point'
else cp said err; FAIL 'gpt.c gets every point' "$(grep -A1 '^FAIL' said | head -n 2)"; fi
grade starter.c all
if [ "$(grep -c '^lab [1-7]: 0 of 20 points$' said)" = 7 ] &&
    ! grep -v -e '^FAIL.* is not written yet$' -e '^lab ' -e '^starter,[1-7],0$' said > err
then ok 'the starter gets none, and says why'; else FAIL 'the starter gets none, and says why' 'other lines'; fi

# ---- files that do not compile ----
sed '/^static int draw(/,/^}/s/;/ /' "$GPT" > broken.c
grade broken.c '5 6'
if grep -q '^lab 6: 20 of 20 points$' said && grep -q '^FAIL lab 5: .* does not compile$' said &&
    grep -q 'broken.c:[0-9]*:.*error' said
then ok 'a lab that does not compile costs no other'
else cp said err; FAIL 'a lab that does not compile costs no other' 'it does'; fi
sed 's/^static int draw(/static int drew(/' "$GPT" > missing.c
CSV=rows.csv ID=ada grade missing.c 5
finds 'a function that is missing is named' 'the function draw is missing' said
finds 'the row has the name, the lab and the points' '^ada,5,0$' rows.csv

# ---- the usual mistakes ----
# mistake GROUP PART SENTENCE EDIT: gpt.c after the edit, graded, says SENTENCE where PART fails. A group is one
# file with a mistake in each of many functions: the parts of one function know nothing of the others.
mistakes=0
mistake() {
    [ -f "$1.c" ] || cp "$GPT" "$1.c"
    sed "$4" "$1.c" > edited.c
    if cmp -s "$1.c" edited.c; then FAIL "mistake in $2" "the edit changes nothing: $4"; fi
    mv edited.c "$1.c"
    printf '%s|%s\n' "$2" "$3" >> "$1.expected"
    mistakes=$((mistakes + 1))
}
edit() { printf '/^[a-zA-Z].*[ *]%s(/,/^}/s/%s/%s/' "$1" "$2" "$3"; } # FUNCTION OLD NEW

mistake a 'softmax of 1000' "subtract the row's largest number" \
    "$(edit softmax_any '(p\[i\] - most) \* scale' 'p[i] * scale')"
mistake b 'softmax' 'The row does not add up to 1' "$(edit softmax_any '= 1 \/ sum' '= 1 + 0 * sum')"
mistake c 'softmax' 'The scale was left out' "$(edit softmax_any '(p\[i\] - most) \* scale' '(p[i] - most)')"
mistake d 'softmax, total' 'must be added to the logarithm again' "$(edit softmax_any 'most \* scale + ' '')"
mistake e 'softmax of 1000' "subtract the row's largest number" "$(edit softmax_any 'largest(p, n)' 'p[0]')"
mistake a 'norm_forward' 'Epsilon belongs inside the root' \
    "$(edit norm_forward_any 'root(squares \/ (real)C + (real)1e-5)' '(root(squares \/ (real)C) + (real)1e-5)')"
mistake b 'norm_forward' 'divided by C - 1' "$(edit norm_forward_any 'squares \/ (real)C' 'squares \/ (real)(C - 1)')"
mistake c 'norm_forward' 'the mean was not taken away first' \
    "$(edit norm_forward_any '(x\[c\] - m) \* (x\[c\] - m)' 'x[c] * x[c]')"
mistake d 'norm_forward' 'Epsilon is missing' "$(edit norm_forward_any ' + (real)1e-5' '')"
mistake a 'norm_backward, dx' 'The second call wrote over the first' \
    "$(edit norm_backward_rows_any 'dx\[c\] += s' 'dx[c] = s')"
mistake b 'norm_backward, gain and bias' 'Only the last row counts' \
    "$(edit norm_backward_rows_any 'dgain\[c\] += ' 'dgain[c] = ')"
mistake c 'norm_backward, dx' 'The average of dn was not taken away' "$(edit norm_backward_rows_any ' - sum - ' ' - ')"
mistake d 'norm_backward, dx' 'The gain is missing' "$(edit norm_backward_rows_any 'dy\[c\] \* gain\[c\]' 'dy[c]')"
mistake a 'activation_backward' 'the 3 is missing' "$(edit activation_backward_any '3 \* GELU_K3' 'GELU_K3')"
mistake b 'activation_backward' 'This is the slope itself' "$(edit activation_backward_any 'd\[i\] \*= ' 'd[i] = ')"
mistake b 'activation_forward' 'The cubic part of z is missing' \
    "$(edit activation_forward_any 'GELU_K + .*x\[i\])));' 'GELU_K)));')"
mistake a 'cross_entropy_forward' 'Every row took the target of row 0' \
    "$(edit cross_entropy_forward 'targets\[r\]' 'targets[0]')"
mistake b 'cross_entropy_forward' 'The probability has become 0' \
    "$(edit cross_entropy_forward \
    'loss\[r\] += total' 'loss[r] = -(real)log((double)logits[(size_t)r * V + targets[r]])')"
mistake c 'cross_entropy_forward' 'These are bits' \
    "$(edit cross_entropy_forward \
    'loss\[r\] += total' 'loss[r] = (real)((loss[r] + total) \/ log(2))')"
mistake a 'cross_entropy_backward' 'The share is missing' "$(edit cross_entropy_backward '\*= share' '*= 1')"
mistake b 'cross_entropy_backward' 'Nothing happened at the target' "$(edit cross_entropy_backward '-= 1' '-= 0')"

mistake a 'attention_weights' 'Row 0 has weight on position 1: is the mask s <= t?' \
    "$(edit attention_weights 's = t0 + i + 1' 's = t0 + i + 2')"
mistake b 'attention_weights' 'divide by sqrt(D), not sqrt(C)' \
    "$(edit attention_weights 'root((real)D)' 'root((real)C)')"
mistake c 'attention_weights' 'The scale is missing' "$(edit attention_weights '1 \/ root((real)D)' '1')"
mistake d 'attention_weights' 'still gets e^0 = 1' "$(edit attention_weights '-INFINITY' '0')"
mistake e 'attention_weights, later blocks' 'the mask is s <= t0 + i' \
    "$(edit attention_weights 's = t0 + i + 1' 's = i + 1')"
mistake a 'attention_forward' 'The keys were added up instead of the values' \
    "$(edit attention_forward '= q + 2 \* C' '= q + C')"
mistake b 'attention_forward, p and off' 'puts out 0' \
    "$(edit attention_forward 'off \&\& off\[h\]' 'off \&\& !h \&\& h')"
mistake c 'attention_forward' 'Every head used head 0' \
    "$(edit attention_forward 'T \* 3 \* C + h \* D' 'T * 3 * C + 0 * D')"
mistake d 'attention_forward' 'Every story shows the first one' \
    "$(edit attention_forward 'qkv + (size_t)(bh \/ H)' 'qkv + (size_t)(bh \/ H * 0)')"

mistake a 'softmax_backward' 'The sum of p dp is missing' \
    "$(edit softmax_backward_any 'dp\[i\] - sum' 'dp[i] - 0 * sum')"
mistake b 'softmax_backward' 'The scale is missing' "$(edit softmax_backward_any 'scale \* p' 'p')"
mistake a 'attention_backward, dK' '1/sqrt(D) is missing' "$(edit attention_backward '1 \/ root((real)D)' '1')"
mistake b 'attention_backward, a long window' 'Only the last block of queries counts' \
    "$(edit attention_backward 'rows(dk, W)' 'rows(NULL, 0)')"
mistake c 'attention_backward, dQ' 'dQ takes the keys' "$(edit attention_backward 'rows(k, W)' 'rows(q, W)')"
mistake d 'attention_backward, dV' 'begin with zeros' "$(edit attention_backward '^    memset(.*' '')"

mistake a 'sublayer_forward, attention' 'The residual connection is missing' "$(edit sublayer_forward '^    add(.*' '')"
mistake b 'sublayer_forward, MLP' 'attention has norm1, the MLP norm2' \
    "$(edit sublayer_forward \
    'attends ? m->layer\[l\].norm1 : m->layer\[l\].norm2' 'attends ? m->layer[l].norm2 : m->layer[l].norm1')"
mistake c 'sublayer_forward, post-norm' 'Pre-norm and post-norm changed places' \
    "$(edit sublayer_forward 'norm == PRE' 'norm != PRE')"
mistake d 'sublayer_forward, attention' 'with pre-norm the sum goes on' \
    "$(edit sublayer_forward 'return pre ? k->sum : k->y' 'return pre ? k->y : k->sum')"
mistake a 'sublayer_backward, post-norm' 'The residual connection is missing' \
    "$(edit sublayer_backward 'else add(a->dx, a->ds, n)' 'else (void)n')"
mistake b 'sublayer_backward, pre-norm' 'The residual connection is missing' \
    "$(edit sublayer_backward 'if (pre) norm_backward' 'if (pre) memset(a->dx, 0, sizeof(real) * n), norm_backward')"
mistake c 'sublayer_backward, pre-norm' 'The norm was not gone back through' \
    "$(edit sublayer_backward 'if (pre) norm_backward(.*' 'if (pre) add(a->dx, a->dy, n);')"

mistake a 'draw, temperature' 'divided by the temperature, not multiplied' \
    "$(edit draw '(real)(1 \/ temperature)' '(real)temperature')"
mistake b 'draw, ties' 'All that equal the k-th best came along' "$(edit draw 'ties-- <= 0' 'false')"
mistake c 'draw, top-k' 'One token too many' "$(edit draw 'int ties = 0;' 'int ties = 0; top_k++;')"
mistake d 'draw, greedy' 'On a tie the smaller id comes' \
    "$(edit draw 'logits\[v\] > logits\[best\]' 'logits[v] >= logits[best]')"
mistake d 'draw, how often' 'The token after the right one' "$(edit draw '< 0) return v' '< 0) return (v + 1) % V')"

mistake a 'score_heads, induction' 'the earlier occurrence itself' "$(edit score_heads 'p\[t - N + 1\]' 'p[t - N]')"
mistake b 'score_heads, first' 'The second half begins at N + 1' "$(edit score_heads 't = N + 1' 't = N')"
mistake c 'score_heads, induction' 'Only the last position counts' "$(edit score_heads 'score\[i\] += ' 'score[i] = ')"
mistake c 'score_heads, previous' 'the position before t is t - 1' "$(edit score_heads 'p\[t - 1\]' 'p[t]')"

mistake a 'adapter_forward' 'The factor s = alpha/R is missing' "$(edit adapter_forward ' \* d->alpha \/ R' '')"
mistake b 'adapter_forward' 'The second call added to the first' \
    "$(edit adapter_forward 'rows(d->base + at' 'rows(m->p.w + at')"
mistake c 'adapter_forward' 's is alpha/R, not R/alpha' "$(edit adapter_forward '\* d->alpha \/ R' '* R \/ d->alpha')"
mistake a 'adapter_backward, dA' 'The factor s = alpha/R is missing' \
    "$(edit adapter_backward 'd->scaled + B' 'd->p.w + B')"
mistake b 'adapter_backward, dB' 'a backward adds' "$(edit adapter_backward 'rows(dB, C)' 'rows(NULL, 0)')"
mistake c 'adapter_backward clears g' 'Clear all of g' "$(edit adapter_backward '^    memset(.*' '')"

# what costs more than points elsewhere
mistake e 'activation_forward' 'A sanitizer saw this' "$(edit activation_forward_any 'i < n \&\&' 'i <= n \&\&')"
mistake e 'cross_entropy_backward' 'Does every loop come to its end?' \
    "$(edit cross_entropy_backward 'r < N; r++, p += V' 'r < N;')"
mistake e 'norm_forward' 'it ended the program with status 0' "$(edit norm_forward_any 'scale\[r\] = s;' 'exit(0);')"
mistake e 'score_heads, first' 'A sanitizer saw this' \
    "$(edit score_heads 'const real \*p = .*' 'const real *p = a->x;')"

echo 'int main(void) { return 0; }' > empty.c
sanitizer=no
if $CC -fsanitize=address,undefined empty.c -o empty 2> /dev/null && ./empty; then sanitizer=yes; fi
for group in a b c d e; do
    labs='1 2 3 4 5 6 7'
    if [ $group = e ]; then # its endless loop need not run for long
        labs='1 2 6' LAB_SECONDS=2
        export LAB_SECONDS
    fi
    grade $group.c "$labs"
    while IFS='|' read -r part sentence; do
        if awk -v part="FAIL $part: " -v sentence="$sentence" '
            index($0, part) == 1 { near = 1 } near && index($0, sentence) { found = 1 }
            index($0, part) != 1 { near = 0 }
            END { exit !found }' said
        then ok "$part: $sentence"
        elif [ "$sentence" = 'A sanitizer saw this' ] && [ $sanitizer = no ]; then skip "$part: $sentence" "$CC has none"
        else
            awk -v part="FAIL $part: " 'index($0, part) == 1 { near = 3 } near-- > 0' said > err
            FAIL "$part" "the grader should say: $sentence"
        fi
    done < $group.expected
done

# ---- make lab, make grade ----
mkdir copy copy/class
cp -R "$root/Makefile" "$root/tests" copy
cp "$GPT" copy/gpt.c
cp a.c copy/class/ada-lab6.c
cp starter.c copy/class/bob-lab5.c
cd copy || exit 1
silent_make() { env -u CC -u CFLAGS make "$@" > out 2> err; }
silent_make lab
same 'make lab writes the starter' build/lab/gpt.c ../starter.c
silent_make lab
same 'make lab may be called again' build/lab/gpt.c ../starter.c
echo '// mine' >> build/lab/gpt.c
cp build/lab/gpt.c mine.c
if silent_make lab; then FAIL 'make lab overwrites nobody' 'it ended with status 0'
else same 'make lab overwrites nobody' build/lab/gpt.c mine.c; fi
finds 'make lab says how to begin anew' 'move it away' err
silent_make clean
same 'make clean leaves the lab alone' build/lab/gpt.c mine.c
silent_make grade DIR=class
{ echo ada,6,8; echo bob,5,0; } > want
sort build/grades.csv | grep -v '^id,' > got
same 'make grade: a row for each lab of each file' got want
finds 'make grade: a line for each student' '^ada  *- *- *- *- *- *8 *- *8$' out
finds 'make grade: what each student is told' '^FAIL score_heads, induction' build/grades/ada-lab6.txt
if silent_make grade DIR=nowhere; then FAIL 'make grade without a folder' 'it ended with status 0'
else finds 'make grade without a folder' 'DIR=' err; fi
cd ..

if [ $mistakes -ge 15 ]; then ok "$mistakes mistakes were planted"; else FAIL 'enough mistakes' "only $mistakes"; fi
