// model.c: the whole model. Its logits against an independent, slow one in double; what must hold
// for every option: causality, the cache, micro-batches, evaluation; and how characters are drawn.
#include "test.h"

// ---- every kind of model, with weights drawn wide ----

enum { V = 11, MOST_T = 70 };

static bool next_config(Config *c, int *number) { // all combinations, one after the other
    int n = (*number)++;
    if (n >= 2 * 5 * 2 * 2 * 2) return false;
    *c = (Config){.model = n % 2 ? MLP : TRANSFORMER, .pos = n / 2 % 5, .norm = n / 10 % 2,
                  .act = n / 20 % 2, .tie = n / 40 % 2, .layers = 2, .heads = 3, .dim = 12,
                  .hidden = 20, .context = 7, .V = V};
    WHERE("%s pos %d norm %d act %d tie %d", c->model == MLP ? "mlp" : "transformer", c->pos,
          c->norm, c->act, c->tie);
    return true;
}

static Model wide_model(Config c) {
    Random r = {99};
    Model m = model_shape(c);
    model_init(&m, &r);
    for (int i = 0; i < m.p.count; i++)
        for (size_t j = 0; j < tensor_size(&m.p.tensor[i]) && !m.p.tensor[i].fixed; j++)
            m.p.w[m.p.tensor[i].at + j] = (real)(m.p.tensor[i].mean + 0.3 * random_normal(&r));
    m.vocab = vocab_new(c.V - 1);
    for (int v = 0; v < c.V - 1; v++) vocab_add(&m.vocab, 'a' + v);
    return m;
}

static void some_ids(int *ids, int n) {
    for (int i = 0; i < n; i++) ids[i] = (int)(random_bits(&test_random) % V);
}

static real *model_logits(const Model *m, Acts *a, const int *ids, int B, int T) { // (B*T,V)
    forward(m, a, ids, (Span){B, T, 0});
    head_turn(m, a);
    head_forward(m, a, a->logits, a->last, B * T);
    return a->logits;
}

// ---- the slow model: tensors by name, one position and one number at a time ----

static const real *weight(const Model *m, const char *format, int layer) {
    char name[64];
    snprintf(name, sizeof name, format, layer);
    for (int i = 0; i < m->p.count; i++)
        if (!strcmp(m->p.tensor[i].name, name)) return m->p.w + m->p.tensor[i].at;
    test_fail(__LINE__, "there is no tensor %s", name);
    exit(1);
}

static void slow_norm(double *y, const double *x, const real *gain, const real *bias, int C) {
    double mean = 0, variance = 0;
    for (int c = 0; c < C; c++) mean += x[c] / C;
    for (int c = 0; c < C; c++) variance += (x[c] - mean) * (x[c] - mean) / C;
    for (int c = 0; c < C; c++) y[c] = (x[c] - mean) / sqrt(variance + 1e-5) * gain[c] + bias[c];
}

static void slow_linear(double *y, const double *x, const real *w, const real *b, int I, int O) {
    for (int o = 0; o < O; o++) {
        y[o] = b[o];
        for (int i = 0; i < I; i++) y[o] += x[i] * w[i * O + o];
    }
}

static void slow_attention(const Model *m, int l, double (*out)[64], double (*in)[64], int T) {
    static double qkv[MOST_T][192], mixed[64];
    const int C = m->c.dim, D = C / m->c.heads;
    for (int t = 0; t < T; t++)
        slow_linear(qkv[t], in[t], weight(m, "transformer.h.%d.attn.c_attn.weight", l),
                    weight(m, "transformer.h.%d.attn.c_attn.bias", l), C, 3 * C);
    for (int t = T; t-- && m->c.pos == SMEARED;) // from the last on: the keys before are still their own
        for (int i = 1; i <= 3 && i <= t; i++)
            for (int c = 0; c < C; c++)
                qkv[t][C + c] += weight(m, "transformer.h.%d.attn.smear", l)[(i - 1) * C + c] * qkv[t - i][C + c];
    for (int t = 0; t < T && (m->c.pos == ROTARY || m->c.pos == SMEARED); t++)
        for (int i = 0; i + 1 < 2 * C; i++) { // the odd channel of an odd head stays
            if (i % D % 2 || i % D + 1 == D || (m->c.pos == SMEARED && i % C < D)) continue;
            const double angle = t * exp(-log(10000) * (i % D) / D), x = qkv[t][i], y = qkv[t][i + 1];
            qkv[t][i] = x * cos(angle) - y * sin(angle);
            qkv[t][i + 1] = x * sin(angle) + y * cos(angle);
        }
    for (int t = 0; t < T; t++) {
        for (int h = 0; h < m->c.heads; h++) {
            double p[MOST_T], sum = 0;
            for (int s = 0; s <= t; s++) {
                double score = 0;
                for (int d = 0; d < D; d++) score += qkv[t][h * D + d] * qkv[s][C + h * D + d];
                sum += p[s] = exp(score / sqrt(D));
            }
            for (int d = 0; d < D; d++) {
                mixed[h * D + d] = 0;
                for (int s = 0; s <= t; s++) mixed[h * D + d] += p[s] / sum * qkv[s][2 * C + h * D + d];
            }
        }
        slow_linear(out[t], mixed, weight(m, "transformer.h.%d.attn.c_proj.weight", l),
                    weight(m, "transformer.h.%d.attn.c_proj.bias", l), C, C);
    }
}

static void slow_mlp(const Model *m, int l, double *out, const double *in) {
    double hidden[256];
    const int C = m->c.dim, F = m->c.hidden;
    slow_linear(hidden, in, weight(m, "transformer.h.%d.mlp.c_fc.weight", l),
                weight(m, "transformer.h.%d.mlp.c_fc.bias", l), C, F);
    for (int f = 0; f < F; f++) {
        double x = hidden[f];
        hidden[f] = m->c.act == RELU
                      ? (x > 0 ? x : 0)
                      : 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    }
    slow_linear(out, hidden, weight(m, "transformer.h.%d.mlp.c_proj.weight", l),
                weight(m, "transformer.h.%d.mlp.c_proj.bias", l), F, C);
}

static void slow_model(const Model *m, double *logits, const int *ids, int T) {
    static double x[MOST_T][64], in[MOST_T][64], f[MOST_T][64];
    const int C = m->c.dim;
    const bool attends = m->c.model == TRANSFORMER;
    const real *wte = weight(m, "transformer.wte.weight", 0);
    const bool adds = attends && (m->c.pos == SIN || m->c.pos == LEARNED);
    const real *wpe = adds ? weight(m, "transformer.wpe.weight", 0) : NULL;
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) x[t][c] = wte[ids[t] * C + c] + (wpe ? wpe[t * C + c] : 0);
    for (int l = 0; l < m->c.layers; l++)
        for (int sub = !attends; sub < 2; sub++) {
            const real *gain = weight(m, sub ? "transformer.h.%d.ln_2.weight"
                                             : "transformer.h.%d.ln_1.weight", l);
            const real *bias = weight(m, sub ? "transformer.h.%d.ln_2.bias"
                                             : "transformer.h.%d.ln_1.bias", l);
            memcpy(in, x, sizeof x);
            for (int t = 0; t < T && m->c.norm == PRE; t++) slow_norm(in[t], x[t], gain, bias, C);
            if (!sub) slow_attention(m, l, f, in, T);
            for (int t = 0; t < T && sub; t++) slow_mlp(m, l, f[t], in[t]);
            for (int t = 0; t < T; t++) {
                for (int c = 0; c < C; c++) f[t][c] += x[t][c];
                if (m->c.norm == POST)
                    slow_norm(x[t], f[t], gain, bias, C);
                else
                    memcpy(x[t], f[t], sizeof x[t]);
            }
        }
    const real *head = m->c.tie ? wte : weight(m, "lm_head.weight", 0);
    for (int t = 0; t < T; t++) {
        memcpy(in[t], x[t], sizeof x[t]);
        if (m->c.norm == PRE)
            slow_norm(in[t], x[t], weight(m, "transformer.ln_f.weight", 0),
                      weight(m, "transformer.ln_f.bias", 0), C);
        for (int v = 0; v < m->c.V; v++) {
            logits[t * m->c.V + v] = 0;
            for (int c = 0; c < C; c++) logits[t * m->c.V + v] += in[t][c] * head[v * C + c];
        }
    }
}

static void logits_as_the_slow_model(void) {
    Config c;
    for (int n = 0; next_config(&c, &n);)
        for (int T = 1; T <= MOST_T; T = T == 1 ? 7 : T == 7 ? MOST_T : MOST_T + 1) EVERY_PATH {
                int ids[2 * MOST_T];
                c.context = T;
                Model m = wide_model(c);
                Acts a = acts_new(&c, 2 * T, T, false);
                double *want = no_doubles(2 * T * V);
                some_ids(ids, 2 * T);
                slow_model(&m, want, ids, T);
                slow_model(&m, want + T * V, ids + T, T);
                CLOSE_ALL(model_logits(&m, &a, ids, 2, T), want, 2 * T * V, IS_DOUBLE ? 1e-12 : 5e-5);
                acts_free(&a), model_free(&m), free(want);
            }
}

// The loss of windows, and its gradient: the same for one micro-batch, for many one after the
// other, and for many side by side.
static void loss_and_micro_batches(void) {
    Config c;
    for (int n = 0; next_config(&c, &n);) {
        enum { T = 400, B = 5 };
        int *ids = allocate(2 * B * T, sizeof *ids), *targets = ids + B * T;
        c.context = T;
        Model m = wide_model(c);
        params_train(&m.p);
        some_ids(ids, B * T), some_ids(targets, B * T);
        double want = 0, *g = no_doubles(m.p.size);
        Acts one = acts_new(&c, micro_batch(&c) * T, T, true);
        acts_share(&one, &m, 1, true);
        for (int b = 0; b < B; b++) { // a window at a time
            memset(m.p.g, 0, sizeof(real) * m.p.size);
            want += gradient(&m, &one, ids + b * T, targets + b * T, 1, T) / B;
            for (size_t i = 0; i < m.p.size; i++) g[i] += (double)m.p.g[i] / B;
        }
        for (int side = 1; side < 4; side++) {
            WHERE("model %d, %d side by side", n, side);
            Acts a = acts_new(&c, micro_batch(&c) * T, T, true);
#ifdef _OPENMP
            const int threads = omp_get_max_threads();
            omp_set_num_threads(side);
            acts_share(&a, &m, side, true);
            omp_set_num_threads(threads);
#else
            acts_share(&a, &m, side, true);
#endif
            memset(m.p.g, 0, sizeof(real) * m.p.size);
            CLOSE(gradient(&m, &a, ids, targets, B, T), want, IS_DOUBLE ? 1e-12 : 1e-5);
            for (int i = 0; i < m.p.count; i++) {
                const Tensor *t = &m.p.tensor[i];
                if (!strstr(t->name, "c_attn.bias")) // the slope of a key's bias is but rounding
                    CLOSE_ALL(m.p.g + t->at, g + t->at, tensor_size(t), IS_DOUBLE ? 1e-10 : 1e-3);
            }
            acts_free(&a);
        }
        model_logits(&m, &one, ids, 1, T);
        double nats = 0;
        for (int t = 0; t < T; t++) {
            double most = -INFINITY, sum = 0;
            for (int v = 0; v < V; v++) most = fmax(most, one.logits[t * V + v]);
            for (int v = 0; v < V; v++) sum += exp(one.logits[t * V + v] - most);
            nats += log(sum) + most - one.logits[t * V + targets[t]];
        }
        CLOSE(loss_forward(&m, &one, ids, targets, 1, T), nats, IS_DOUBLE ? 1e-12 : 1e-5);
        acts_free(&one), model_free(&m), free(ids), free(g);
    }
}

// ---- properties ----

// A later character changes no earlier logit by a single bit, in its own story or in another.
static void causal(void) {
    Config c;
    for (int n = 0; next_config(&c, &n);) EVERY_PATH {
            enum { T = 40, B = 2 };
            int ids[B * T];
            c.context = T;
            Model m = wide_model(c);
            Acts a = acts_new(&c, B * T, T, false);
            some_ids(ids, B * T);
            real before[B * T * V];
            memcpy(before, model_logits(&m, &a, ids, B, T), sizeof before);
            for (int at = 0; at < B * T; at += at % 3 ? 4 : 1) {
                ids[at] = (ids[at] + 1) % V;
                real *after = model_logits(&m, &a, ids, B, T);
                for (int r = 0; r < B * T; r++) {
                    bool same = !memcmp(before + r * V, after + r * V, sizeof(real) * V);
                    bool may_change = r / T == at / T && (c.model == MLP ? r == at : r >= at);
                    if (!may_change && !same)
                        test_fail(__LINE__, "the character at %d changed a logit at %d", at, r);
                    if (r == at && same)
                        test_fail(__LINE__, "the character at %d changed nothing at %d", at, r);
                    if (r == at + 1 && may_change && same)
                        test_fail(__LINE__, "the character at %d changed nothing at %d", at, r);
                }
                ids[at] = (ids[at] + V - 1) % V;
            }
            acts_free(&a), model_free(&m);
        }
}

// The writer's logits with the cache, without it, and those of a window that is read in one piece,
// at every position of a text four windows long.
static void cache(void) {
    Config c;
    for (int n = 0; next_config(&c, &n);)
        for (int T = 1; T <= 40; T = T == 1 ? 2 : T == 2 ? 7 : T == 7 ? 40 : 41) EVERY_PATH {
                enum { LONG = 160 };
                const int length = 4 * T < 9 ? 9 : 4 * T;
                int ids[LONG], begin = 0;
                c.context = T;
                Model m = wide_model(c);
                Writer with = writer_new(&m, true), without = writer_new(&m, false);
                Writer prompt = writer_new(&m, true);
                Acts a = acts_new(&c, T, T, false);
                some_ids(ids, length);
                for (int i = 0; i < length; i++) {
                    writer_add(&with, ids[i]), writer_add(&without, ids[i]);
                    writer_add(&prompt, ids[i]);
                    if (i - begin == T) begin = i + 1 - (T / 2 > 0 ? T / 2 : 1);
                    SAME(with.length, i + 1 - begin);
                    double *want = as_doubles(model_logits(&m, &a, ids + begin, 1, i + 1 - begin) +
                                                  (size_t)(i - begin) * V, V);
                    real *cached = writer_logits(&with), *uncached = writer_logits(&without);
                    CLOSE_ALL(cached, want, V, IS_DOUBLE ? 1e-10 : 1e-4);
                    CLOSE_ALL(uncached, want, V, IS_DOUBLE ? 1e-10 : 1e-4);
                    if (i % 5 == 3) // several characters at once, as a prompt comes
                        CLOSE_ALL(writer_logits(&prompt), want, V, IS_DOUBLE ? 1e-10 : 1e-4);
                    free(want);
                }
                writer_free(&with), writer_free(&without), writer_free(&prompt);
                acts_free(&a), model_free(&m);
            }
}

// The mean over windows that follow each other, the short one at the end included.
static void evaluation(void) {
    static const int lengths[] = {2, 3, 7, 8, 9, 15, 50, 71};
    Config c;
    for (int n = 0; next_config(&c, &n);)
        for (int l = 0; l < 8; l++) {
            Token text[71];
            const int T = c.context, N = lengths[l];
            for (int i = 0; i < N; i++) text[i] = (Token)(random_bits(&test_random) % V);
            Model m = wide_model(c);
            double nats = 0;
            for (int at = 0; at + 1 < N; at += T) {
                int length = N - 1 - at < T ? N - 1 - at : T, ids[7];
                double logits[7 * V];
                for (int i = 0; i < length; i++) ids[i] = text[at + i];
                slow_model(&m, logits, ids, length);
                for (int t = 0; t < length; t++) {
                    double sum = 0;
                    for (int v = 0; v < V; v++) sum += exp(logits[t * V + v]);
                    nats += log(sum) - logits[t * V + text[at + t + 1]];
                }
            }
            for (int windows = 1; windows < 7; windows++) {
                Acts a = acts_new(&c, (windows + 1) / 2 * T, T, false);
                acts_share(&a, &m, windows % 2 + 1, false);
                CLOSE(evaluate(&m, &a, (Stream){text, N}, NULL), nats / (N - 1),
                      IS_DOUBLE ? 1e-12 : 1e-5);
                acts_free(&a);
            }
            model_free(&m);
        }
}

// Weights begin as the table of tensors says.
static void initial_weights(void) {
    Config c = {.model = TRANSFORMER, .pos = LEARNED, .layers = 8, .heads = 4, .dim = 64,
                .hidden = 256, .context = 64, .V = 50};
    Random r = {5};
    Model m = model_shape(c);
    model_init(&m, &r);
    size_t count = 0, at = 0;
    for (int i = 0; i < m.p.count; i++) {
        const Tensor *t = &m.p.tensor[i];
        const size_t n = tensor_size(t);
        double sum = 0, squares = 0;
        for (size_t j = 0; j < n; j++) {
            double x = m.p.w[t->at + j];
            sum += x, squares += x * x;
        }
        WHERE("%s", t->name);
        HOLDS(t->at >= at && t->at % LINE == 0);
        at = t->at + n, count += n;
        const bool is_gain = strstr(t->name, "ln_") && strstr(t->name, "weight");
        const bool ends_branch = strstr(t->name, "c_proj.weight") != NULL;
        if (t->rows) {
            CLOSE(sqrt(squares / n), ends_branch ? 0.02 / 4 : 0.02, 0.0012);
            CLOSE(sum / n, 0, 0.002);
        } else
            HOLDS(sum == (is_gain ? (double)n : 0) && squares == sum);
        SAME(t->decays, t->rows > 0);
    }
    SAME(parameters(&m.p), count);
    SAME(count, 2 * 50 * 64 + 64 * 64 + 8 * (12 * 64 * 64 + 13 * 64) + 2 * 64);
    model_free(&m);
}

// ---- drawing ----

static void drawing_greedy(void) {
    Random r = {1};
    real logits[] = {0, 3, -1, 3, 3, 2}, sorted[6];
    SAME(draw(logits, sorted, 6, 0, 0, &r), 1); // the smallest of those that tie
    SAME(draw(logits, sorted, 6, 0, 2, &r), 1);
    real equal[] = {5, 5, 5};
    SAME(draw(equal, sorted, 3, 0, 0, &r), 0);
    real one[] = {-7};
    SAME(draw(one, sorted, 1, 1, 0, &r), 0);
}

// As often as softmax(logits / temperature) says, at any temperature.
static void drawing_by_temperature(void) {
    static const double temperatures[] = {1e-40, 1e-6, 0.05, 0.5, 1, 2, 1000};
    EVERY_PATH for (int i = 0; i < 7; i++) {
        enum { N = 8, MANY = 40000 };
        const real scores[N] = {1, 2, (real)0.5, -3, 2, (real)1.5, -20, 0};
        double want[N], sum = 0, t = temperatures[i];
        int seen[N] = {0};
        WHERE("temperature %g path %s", t, path_name(path));
        for (int v = 0; v < N; v++) sum += want[v] = exp((scores[v] - 2) / t);
        Random r = {3};
        for (int k = 0; k < MANY; k++) {
            real logits[N], sorted[N];
            memcpy(logits, scores, sizeof logits);
            int id = draw(logits, sorted, N, t, 0, &r);
            HOLDS(id >= 0 && id < N);
            seen[id < 0 || id >= N ? 0 : id]++;
            for (int v = 0; v < N && k == 0 && t > 1e-30; v++) // what it leaves behind
                CLOSE(logits[v], want[v] / sum, IS_DOUBLE ? 1e-12 : 2e-6);
            if (test_problems > 5) return;
        }
        for (int v = 0; v < N; v++) {
            double p = want[v] / sum, expected = MANY * p;
            HOLDS(fabs(seen[v] - expected) <= 4.5 * sqrt(expected * (1 - p)) + (t > 1e-30 ? 0.01 : MANY));
            HOLDS(p > 0.01 || p < 1e-9 ? p > 0.01 || seen[v] == 0 : 1);
        }
    }
}

// Exactly k may come, the likeliest; of those that tie for the last place the smaller ids.
static void drawing_top_k(void) {
    EVERY_PATH for (int k = 0; k <= 9; k++) {
        enum { N = 8 };
        const real scores[N] = {1, 2, 1, -3, 2, 1, (real)-1.5, 1};
        static const int order[N] = {1, 4, 0, 2, 5, 7, 6, 3}; // by score, then by id
        int seen[N] = {0}, allowed = k == 0 || k > N ? N : k;
        Random r = {17};
        WHERE("k=%d path %s", k, path_name(path));
        double sum = 0;
        for (int v = 0; v < allowed; v++) sum += exp(scores[order[v]]);
        for (int round = 0; round < 20000; round++) {
            real logits[N], sorted[N];
            memcpy(logits, scores, sizeof logits);
            seen[draw(logits, sorted, N, 1, k, &r)]++;
            for (int v = 0; v < N && round == 0; v++)
                CLOSE(logits[order[v]], v < allowed ? exp(scores[order[v]]) / sum : 0, 2e-6);
        }
        for (int v = 0; v < N; v++)
            if (v < allowed)
                CLOSE(seen[order[v]] / 20000.0, exp(scores[order[v]]) / sum, 0.012);
            else
                SAME(seen[order[v]], 0);
    }
}

static void prompts(void) {
    Vocab v = vocab_new(3);
    vocab_add(&v, 'a'), vocab_add(&v, 0xe9), vocab_add(&v, 0x1f413);
    int n, *ids = read_prompt("a\xf0\x9f\x90\x93\xc3\xa9", &v, &n);
    SAME(n, 4);
    SAME(ids[0], 3); // an end-of-text token comes first
    SAME(ids[1], 0);
    SAME(ids[2], 2);
    SAME(ids[3], 1);
    free(ids);
    ids = read_prompt(NULL, &v, &n);
    SAME(n, 1);
    SAME(ids[0], 3);
    free(ids);
    DIES(2, read_prompt("ab", &v, &n));
    DIES(2, read_prompt("a\xc3", &v, &n));
    vocab_free(&v);
}

int main(void) {
    if (!freopen("model.err", "w", stderr)) return 1; // what DIES provokes
    RUN(logits_as_the_slow_model);
    RUN(loss_and_micro_batches);
    RUN(causal);
    RUN(cache);
    RUN(evaluation);
    RUN(initial_weights);
    RUN(drawing_greedy);
    RUN(drawing_by_temperature);
    RUN(drawing_top_k);
    RUN(prompts);
    remove("model.err");
    return test_cases_failed > 0;
}
