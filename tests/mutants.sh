# mutants.sh: do the tests notice? Each mutant is gpt.c with one line broken; the test named beside it
# must turn red. `make mutants`; NAME as argument runs those whose description contains it.
# shellcheck disable=SC2016             # the $ in patterns is an end of line
set -u
cd "$(dirname "$0")/.." || exit 1
chosen=${1:-}
work=build/mutants
mkdir -p $work
caught=0 missed=0 stale=0

# mutant TEST DESCRIPTION SED-SCRIPT
mutant() {
    case $2 in *"$chosen"*) ;; *) return ;; esac
    sed "$3" gpt.c > $work/gpt.c
    if cmp -s gpt.c $work/gpt.c; then
        stale=$((stale + 1)) result='STALE: the pattern matches nothing'
    else
        GPT=$work/gpt.c TEST_DIR=$work/test JOBS=1 CFLAGS=-O1 ./test.sh "$1" > $work/said.txt 2>&1
        status=$?
        if grep -q -e 'FAIL build' -e ' error: ' $work/said.txt || ! grep -q ' passed, ' $work/said.txt; then
            stale=$((stale + 1)) result='STALE: does not compile'
        elif [ $status = 0 ]; then missed=$((missed + 1)) result='MISSED'
        else caught=$((caught + 1)) result="$(sed -n 's/^FAIL \([^:]*: [^:]*\).*/\1/p' $work/said.txt | head -n 1)"; fi
    fi
    printf '%-44s %-16s %s\n' "$2" "$1" "$result"
}
printf '%-44s %-16s %s\n' 'what is broken' 'test' 'noticed by'

# attention
mutant layers-double 'mask: one position of the future' 's/int s = t0 + i + 1; s < t0 + n/int s = t0 + i + 2; s < t0 + n/'
mutant layers-double 'scale by sqrt(C), not sqrt(D)' 's/const real scale = 1 \/ root((real)D)/const real scale = 1 \/ root((real)C)/'
mutant layers-double 'no scale' 's/const real scale = 1 \/ root((real)D)/const real scale = 1/'
mutant layers-double 'backward of the scores without the scale' 's/n, t + n, 1 \/ root((real)D))/n, t + n, 1)/'
mutant gradients 'gradient of the keys: only the last block' 's/product(dk, W, rows(dk, W)/product(dk, W, rows(NULL, 0)/'
mutant gradients 'gradient of the values: only the last block' 's/product(dv, W, rows(dv, W)/product(dv, W, rows(NULL, 0)/'
mutant layers-double 'the wrong head is switched off' 's/off\[h\]/off[0]/g'
# linear layers
mutant layers-double 'bias gradient: = in place of +=' 's/rows(db, 0), (Matrix)/rows(NULL, 0), (Matrix)/'
mutant layers-double 'weight gradient: = in place of +=' 's/rows(at, k.O), turned(x/rows(NULL, 0), turned(x/'
mutant layers-double 'no bias' 's/project(y, rows([^)]*), rows(x, k.I)/project(y, rows(NULL, 0), rows(x, k.I)/'
# embedding and head
mutant gradients 'tied: the head forgets its half' 's/matmul(dhead, C, rows(dhead, C)/if (!m->c.tie) matmul(dhead, C, rows(dhead, C)/'
mutant gradients 'tied: the embedding forgets its half' 's/^        embedding_backward(/        if (!m->c.tie) embedding_backward(/'
mutant layers-double 'embedding gradient: = in place of +=' 's/token\[c\] += dx\[c\]/token[c] = dx[c]/'
mutant gradients 'positions get no gradient' 's/C + c\] += dx\[c\]/C + c] += 0 * dx[c]/'
mutant layers-double 'positions begin at 0 with a cache' 's/(t0 + r % T)/(r % T)/'
mutant model-double 'rotary: the keys stay' 's/c < 2 \* C; c += D/c < C; c += D/'
mutant model-double 'rotary begins at 0 with a cache' 's/w + m->wpe + (size_t)s.from \* D, 1/w + m->wpe, 1/'
mutant model-double 'smeared: a position too far' 's/i <= SMEAR \&\& i <= s.from + r %/i <= SMEAR \&\& i <= 1 + s.from + r %/'
mutant model-double 'smeared: the cache is forgotten' 's/i <= s.from + r % (s.T - s.from); i++/i <= r % (s.T - s.from); i++/'
mutant gradients 'smeared: keys after forget' 's/i < T - r % T; i++/i < T - r % T - 1; i++/'
mutant model-double 'smeared: the copying head is turned' 's/ \&\& c % C >= still;/;/'
mutant inside 'smeared: an MLP gets copying heads' 's/c->model == TRANSFORMER && c->pos == SMEARED/c->pos == SMEARED/'
mutant inside 'smeared: keys are not copies of queries' 's/query\[C + j\] = query\[j\] \*= 3/query[j] *= 3/'
mutant inside 'smeared: the letter before counts no more than others' 's/w\[k->smear + j\] = 2/w[k->smear + j] = 0/'
mutant gradients 'rotary: the gradient is not turned back' 's/w + m->wpe, -1, N/w + m->wpe, 1, N/'
# layer norm
mutant layers-double 'epsilon outside the root' 's/1 \/ root(squares \/ (real)C + (real)1e-5)/1 \/ (root(squares \/ (real)C) + (real)1e-5)/'
mutant layers-double 'epsilon of 1e-6' 's/(real)C + (real)1e-5/(real)C + (real)1e-6/'
mutant layers-double 'variance divided by C - 1' 's/root(squares \/ (real)C/root(squares \/ (real)(C > 1 ? C - 1 : 1)/'
mutant gradients 'norm: the mean of the gradient stays' 's/dy\[c\] \* gain\[c\] - sum - /dy[c] * gain[c] - /'
mutant gradients 'norm: gain gradient = in place of +=' 's/dgain\[c\] += /dgain[c] = /'
# activations and loss
mutant layers-double 'GELU by its sigmoid form' 's/GELU_K3 (real)(1.5957691216057308 \* 0.044715)/GELU_K3 (real)0/'
mutant gradients 'GELU slope without its second part' 's/3 \* GELU_K3/0 * GELU_K3/'
mutant layers-double 'softmax without the maximum' 's/e_to((p\[i\] - most) \* scale)/e_to(p[i] * scale)/'
mutant gradients 'loss gradient: nothing at the target' 's/p\[targets\[r\]\] -= 1;/p[targets[r]] -= 0;/'
mutant layers 'the root: two steps of Newton in place of three' 's/for (int i = 0; i < 3; i++) y \*= 1.5f/for (int i = 0; i < 2; i++) y *= 1.5f/'
mutant layers 'e to the x: one term of the series less' 's/(1.0f \/ 120 + r \* (1.0f \/ 720))/(1.0f \/ 120)/'
# residual stream
mutant model-double 'no residual connection' 's/x\[i\] += y\[i\];/x[i] += 0 * y[i];/'
mutant gradients 'post-norm: the stream loses its gradient' 's/add(a->dx, a->ds, n);/;/'
# learning
mutant layers-double 'Adam without bias correction' 's/fix1 = 1 \/ (1 - pow(constant.beta1, step + 1))/fix1 = 1/'
mutant layers-double 'Adam: steps counted from 0' 's/pow(constant.beta1, step + 1)/pow(constant.beta1, step + 2)/'
mutant layers-double 'Adam: epsilon inside the root' 's/(root(v\[i\] \* fix2) + epsilon)/root(v[i] * fix2 + epsilon)/'
mutant layers-double 'weight decay of every tensor' 's/t->decays ? (real)decay : 0/(real)decay/'
mutant layers-double 'weight decay in the gradient (L2)' 's/const real d = g\[i\] \* clip;/const real d = g[i] * clip + decay * w[i];/'
mutant layers-double 'no clipping' 's/norm > constant.clip ?/norm < 0 ?/'
mutant layers-double 'gradients are not cleared' 's/^        g\[i\] = 0;/        g[i] *= 1;/'
mutant layers-double 'Muon without looking ahead' 's/g\[i\] = b \* m\[i\] + (1 - b) \* clip \* g\[i\]; /g[i] = m[i]; /'
mutant layers-double 'Muon takes the columns of another block' 's/memcpy(v + k \* block + i \* O, g + k \* O +/memcpy(v + k * block + i * O, g +/'
mutant layers-double 'Muon steps as large for every shape' 's/(real)0\.2 \* root((real)C)/(real)0.2/'
mutant layers-double 'no warm-up' 's/step < o->warmup ?/step < 0 ?/'
mutant text 'targets not shifted' 's/\(y\[.*T + t\] = s.at\[start + (size_t)t\) + 1\]/\1]/'
mutant text 'the last window is never drawn' 's/(double)(s.n - (size_t)T)/(double)(s.n - (size_t)T - 1)/'
mutant model-double 'evaluation forgets the short window' 's|(left < T ? left : T)|(left < T ? 0 : T)|'
mutant model-double 'micro-batches: only the last counts' 's/i < n; i++) sum += lane(a, i)->sum;/i < n; i++) sum = lane(a, i)->sum;/'
mutant errors 'what is read may be written over' 's/same_file(in\[i\], out\[k\])/0/'
mutant errors 'two outputs under one name' 's/same_file(out\[i\], out\[k\])/0/'
mutant commands 'Adam goes on with the mean of Muon' 's/if (x->blocks) memset(t->m.p.m/if (0) memset(t->m.p.m/'
mutant commands 'any file counts as the best of this run' 's/strtod(loss, NULL) == t->best/true/'
mutant matmul 'a product of nothing is left out' 's/path == PLAIN || !K/path == PLAIN/'
mutant same 'bits depend on the threads' 's/const double norm = gradient_norm(p)/const double norm = gradient_norm(p) * (1 + 1e-6 * omp_get_max_threads())/'
mutant same 'gradients are added out of turn' 's/_Pragma("omp ordered")//'
mutant same 'random state is not stored' 's/t->random.state = random/t->random.state = 1/'
mutant same 'step is not stored' 's/t->step = atoi(value)/t->step = 0/'
mutant golden 'residual projections start as wide as the rest' 's/deep = 0.02 \/ sqrt(2.0 \* c.layers)/deep = 0.02/'
mutant golden 'another last learning rate' 's/\.last_lr = 0\.[0-9]*/.last_lr = 0.3/'
# text
mutant text 'overlong UTF-8 is accepted' 's/if (c < least\[length\] || /if (/'
mutant text 'surrogates are accepted' 's/ || (c >= 0xd800 \&\& c < 0xe000)//'
mutant text 'a separator need not begin its line' 's/i = newline ? (size_t)(newline - s) + 1 : n;/i += 1;/'
mutant text 'empty stories count' 's/if (first == end) continue;/;/'
mutant text 'CRLF stays' "s/if (!(s\\[i\\] == '\\\\r' \&\& /if (!(0 \&\& /"
mutant text 'the validation part is a story short' 's/left > 0;)/left > 1;)/'
# talking
mutant model-double 'cache: position off by one' 's/(Span){1, w->length, w->uses_cache ? w->cached : 0}/(Span){1, w->length, w->uses_cache \&\& w->cached > 1 ? w->cached - 1 : 0}/; s/w->cached = w->length;/w->cached = w->length + 1;/'
mutant model-double 'cache: not emptied when the window moves' 's/^        w->cached = 0;/        w->cached = 1;/'
mutant model-double 'greedy: the larger id on a tie' 's/if (logits\[v\] > logits\[best\]) best = v;/if (logits[v] >= logits[best]) best = v;/'
mutant model-double 'top-k: all that tie come along' 's/ties-- <= 0/false/'
mutant model-double 'temperature multiplies' 's/(real)(1 \/ temperature)/(real)temperature/'
mutant commands 'every sample has the same seed' 's/(uint64_t)o->seed + i)/(uint64_t)o->seed)/'
mutant commands 'bits per character: multiplied by ln 2' 's/loss \/ log(2)/loss * log(2)/'
# files
mutant errors 'checkpoints of any size are read' 's/(uint64_t)ftell(f) != 8 + n + bytes/(uint64_t)ftell(f) < 8 + n + bytes/'
mutant errors 'headers are not compared' 's/if (ours.n != n || memcmp(ours.at, header, n))/if (0)/'
mutant errors 'a full disk goes unnoticed' 's/fine = fine \&\& !fflush(f)/fine = !fflush(f) || true/'
mutant errors 'errors exit with 0' 's/^    EXIT(status);/    EXIT(0 * status);/'
mutant signals 'signals are not handled' 's/signal(SIGTERM, on_signal)/signal(SIGTERM, SIG_DFL)/'
mutant reader 'tensors of 1 dimension get 2' 's/if (t->rows) put(s, "%d,", t->rows);/put(s, "%d,", t->rows ? t->rows : 1);/'
# matrix products
mutant matmul 'tiles at the edge begin with zeros' 's/rows(start.at ? beside : NULL, width)/rows(NULL, width)/'
mutant matmul 'the second slice of k begins anew' 's/k += DEEP, start = rows(c, (int)c_row))/k += DEEP, start = (Matrix){0})/'
mutant matmul 'the last rows are left out' 's/for (int i = whole; i < M; i++)/for (int i = whole; i + 1 < M + (M == 1); i++)/'
mutant matmul 'tiles forget what c starts with' 's/sum\[i\]\[j\] += \*(V \*)(s + /sum[i][j] += 0 * *(V *)(s + /'
mutant matmul 'a single row skips one in four' 's/y\[3 \* row + j\]/y[2 * row + j]/'
mutant matmul 'a row that threads share: half of its sum' 's/y.j + i. += second.i.;/;/'

echo "$caught noticed, $missed missed, $stale stale"
[ $missed = 0 ] && [ $stale = 0 ]
