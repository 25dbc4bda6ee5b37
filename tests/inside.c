// inside.c: the instruments show what the forward pass computed, and the adapter's gradient is the
// slope of the loss. Meant to be compiled in float and in double.
#include "test.h"

static const char model_file[] = "inside.tmp", adapter_file[] = "adapter.tmp",
                  output_file[] = "output.tmp";

enum { V = 12, T = 7 };
static const char letters[] = "\n \"&,<abcde"; // ascending: the vocabulary
#define PROMPT "a,b\"c\n"                     // with <eot>, T tokens

static Config shape(int model, int pos, int norm, int act, int tie) {
    return (Config){.model = model, .pos = pos, .norm = norm, .act = act, .tie = tie, .layers = 2,
                    .heads = 3, .dim = 12, .hidden = 20, .context = 9, .V = V};
}

static Options defaults(void) {
    Options o = {0};
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    return o;
}

// A model with weights drawn wide, and its file.
static Training wide(Config c) {
    Training t = {.o = defaults(), .best = 1};
    Random r = {99};
    t.o.c = c;
    t.m = model_shape(c);
    model_init(&t.m, &r);
    for (int i = 0; i < t.m.p.count; i++) {
        const Tensor *p = &t.m.p.tensor[i];
        for (size_t j = 0; j < tensor_size(p) && !p->fixed; j++)
            t.m.p.w[p->at + j] = (real)(p->mean + 0.3 * random_normal(&r));
    }
    t.m.vocab = vocab_new(V - 1);
    for (int v = 0; v < V - 1; v++) vocab_add(&t.m.vocab, (uint32_t)letters[v]);
    save_training(&t, model_file, false);
    return t;
}

// The prompt's way through the model, with attention kept. Returns the ids.
static int *prompt_forward(Training *t) {
    Options o = defaults();
    int n, *ids;
    training_free(t);
    *t = (Training){0};
    o.file = model_file, o.prompt = PROMPT;
    ids = look(t, &o, &n);
    SAME(n, T);
    return ids;
}

// What a command prints. Free it.
static char *output(int argc, const char *const *argv) {
    fflush(stdout);
    const int kept = dup(1);
    if (!freopen(output_file, "w", stdout)) exit(1);
    const int status = gpt_main(argc, (char **)argv);
    fflush(stdout);
    dup2(kept, 1), close(kept);
    SAME(status, 0);
    FILE *f = fopen(output_file, "rb");
    char *text = calloc(1 << 20, 1);
    if (!f || !fread(text, 1, (1 << 20) - 1, f)) test_fail(__LINE__, "it printed nothing");
    if (f) fclose(f);
    return text;
}

// ---- attention ----

static void attention_maps(void) {
    for (int norm = PRE; norm <= POST; norm++) {
        Training t = wide(shape(TRANSFORMER, LEARNED, norm, RELU, 1));
        int *ids = prompt_forward(&t);
        const int H = t.m.c.heads, C = t.m.c.dim, D = C / H;
        for (int map = 0; map < t.m.c.layers * H; map++)
            for (int i = 0; i < T; i++) {
                const real *p = t.a.p + ((size_t)map * T + i) * T;
                double sum = 0, apart = 0;
                for (int s = 0; s < T; s++) {
                    HOLDS(s <= i ? p[s] > 0 : p[s] == 0);
                    sum += p[s];
                }
                CLOSE(sum, 1, 1e-5);
                for (int d = 0; d < D; d++) { // the values, weighted, are what the head put out
                    const int column = map % H * D + d;
                    double o = 0;
                    for (int s = 0; s <= i; s++)
                        o += (double)p[s] * t.a.layer[map / H].qkv[s * 3 * C + 2 * C + column];
                    apart += fabs(o - t.a.layer[map / H].heads[i * C + column]);
                }
                CLOSE(apart, 0, 1e-4);
            }
        free(ids);
        training_free(&t);
    }
}

// Off means: the head's rows of the projection might as well be zero.
static void ablated_heads(void) {
    Training t = wide(shape(TRANSFORMER, SIN, PRE, GELU, 0));
    int *ids = prompt_forward(&t);
    const int C = t.m.c.dim, D = C / t.m.c.heads;
    const Span all = {1, T, 0};
    real *off = reals((size_t)T * C);
    ablate(&t.m, "1.*");
    forward(&t.m, &t.a, ids, all);
    const Sublayer *k = &t.a.layer[1].attn;
    for (int i = 0; i < T * C; i++) // every head off: the projection's bias remains
        CLOSE(k->sum[i] - k->x[i], t.m.p.w[t.m.layer[1].proj.b + i % C], 1e-5);
    for (int h = 0; h < t.m.c.heads; h++) {
        const char name[] = {'0', '.', (char)('0' + h), 0};
        memset(t.m.off, 0, (size_t)t.m.c.layers * t.m.c.heads);
        ablate(&t.m, name);
        forward(&t.m, &t.a, ids, all);
        memcpy(off, t.a.last, sizeof(real) * T * C);
        memset(t.m.off, 0, (size_t)t.m.c.layers * t.m.c.heads);
        const size_t bytes = sizeof(real) * D * C;
        real *w = t.m.p.w + t.m.layer[0].proj.w + (size_t)h * D * C, *kept = malloc(bytes);
        memcpy(kept, w, bytes);
        memset(w, 0, bytes);
        forward(&t.m, &t.a, ids, all);
        memcpy(w, kept, bytes);
        free(kept);
        for (int i = 0; i < T * C; i++) CLOSE(off[i], t.a.last[i], 1e-5);
    }
    aligned_free(off);
    free(ids);
    training_free(&t);
}

static void ablation_list(void) {
    static const char *const wrong[] = {"", "x", "1", "1.", ".1", "1.0,", "1.0x", "2.0", "0.3",
                                        "-1.0", "1.-1", "1.**", "9999999999.0", ",1.0", "0.0;1.0"};
    Training t = wide(shape(TRANSFORMER, SIN, PRE, RELU, 0));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        WHERE("'%s'", wrong[i]);
        DIES(2, ablate(&t.m, wrong[i]));
    }
    *test_where = 0;
    memset(t.m.off, 0, 6);
    ablate(&t.m, "0.1,1.*,0.1");
    HOLDS(!memcmp(t.m.off, "\0\1\0\1\1\1", 6));
    training_free(&t);
    t = wide(shape(MLP, SIN, PRE, RELU, 0));
    DIES(1, ablate(&t.m, "0.0"));
    training_free(&t);
}

// ---- the lens ----

// At the end it is the model; before, it is norm and head of that layer's stream, in double.
static void lens_layers(void) {
    for (int kind = 0; kind < 8; kind++) {
        Training t = wide(shape(kind % 2, LEARNED, kind / 2 % 2, RELU, kind / 4));
        WHERE("%s %s", kind % 2 ? "mlp" : "transformer", kind / 2 % 2 ? "post" : "pre");
        int *ids = prompt_forward(&t);
        const Model *m = &t.m;
        const int C = m->c.dim;
        head_forward(m, &t.a, t.a.logits, t.a.last, T);
        real *own = malloc(sizeof(real) * T * V);
        memcpy(own, t.a.logits, sizeof(real) * T * V);
        const real *lens = lens_forward(m, &t.a, m->c.layers, T);
        HOLDS(!memcmp(own, lens, sizeof(real) * T * V));
        lens = lens_forward(m, &t.a, 1, T);
        const Sublayer *k = &t.a.layer[0].mlp;
        for (int i = 0; i < T; i++) {
            const real *x = (m->c.norm == PRE ? k->sum : k->y) + i * C;
            double y[12], mean = 0, squares = 0;
            for (int c = 0; c < C; c++) mean += (double)x[c] / C;
            for (int c = 0; c < C; c++) squares += (x[c] - mean) * (x[c] - mean) / C;
            for (int c = 0; c < C; c++)
                y[c] = m->c.norm == POST ? (double)x[c]
                                         : (x[c] - mean) / sqrt(squares + 1e-5) *
                                                   m->p.w[m->normf.gain + c] +
                                               m->p.w[m->normf.bias + c];
            for (int v = 0; v < V; v++) {
                double logit = 0;
                for (int c = 0; c < C; c++) logit += y[c] * m->p.w[m->head + v * C + c];
                CLOSE(lens[i * V + v], logit, 1e-4);
            }
        }
        free(own);
        free(ids);
        training_free(&t);
    }
}

// ---- trace ----

// n numbers of the line that begins with `line`, after `heading`, against x.
static void numbers(const char *text, const char *heading, const char *line, const real *x, int n,
                    const char *between) {
    const char *at = strstr(text, heading);
    if (at) at = strstr(at, line);
    if (!at) {
        test_fail(__LINE__, "trace has no '%s' below '%s'", line, heading);
        return;
    }
    at += strlen(line);
    for (int i = 0; i < n; i++) {
        char *end;
        while (strchr(between, *at)) at++;
        const double got = strtod(at, &end);
        if (!(fabs(got - (double)x[i]) < 6e-5))
            test_fail(__LINE__, "'%s' below '%s': number %d is %.4f, should be %.4f", line, heading,
                      i, got, (double)x[i]);
        at = end;
    }
}

static double score_of(const Training *t, int l, int h, int i, int s) {
    const int C = t->m.c.dim, D = C / t->m.c.heads;
    const real *q = t->a.layer[l].qkv + i * 3 * C + h * D,
               *k = t->a.layer[l].qkv + s * 3 * C + C + h * D;
    double score = 0;
    for (int d = 0; d < D; d++) score += (double)q[d] * k[d];
    return score / sqrt(D);
}

static real length_of(const real *x, int n) {
    double squares = 0;
    for (int i = 0; i < n; i++) squares += (double)x[i] * x[i];
    return (real)sqrt(squares);
}

enum { AT = 4 }; // the traced position has a past and a future

static void traced_stream(const Training *t, const char *text, const char *part,
                          const Sublayer *k) {
    const int C = t->m.c.dim;
    const real after = length_of(k->sum + AT * C, C), before = length_of(k->x + AT * C, C),
               deviation = 1 / k->scale[AT];
    real added[6];
    for (int c = 0; c < 6; c++) added[c] = k->sum[AT * C + c] - k->x[AT * C + c];
    numbers(text, part, "stream before: length", &before, 1, " ");
    numbers(text, part, "norm: mean", k->mean + AT, 1, " ");
    numbers(text, part, " deviation", &deviation, 1, " ");
    numbers(text, part, "normed (7,12)", k->y + AT * C, 6, " ");
    numbers(text, part, "added (7,12)", added, 6, " ");
    numbers(text, part, "stream after: length", &after, 1, " ");
}

// The first two numbers of each head.
static void traced_heads(const char *text, const char *part, const char *line, const real *x) {
    const real few[] = {x[0], x[1], x[4], x[5], x[8], x[9]};
    numbers(text, part, line, few, 6, " |");
}

static void traced_layer(const Training *t, const char *text, const int *ids, int l) {
    const LayerActs *k = &t->a.layer[l];
    const int C = t->m.c.dim, H = t->m.c.heads, F = t->m.c.hidden;
    char part[40], line[40], name[16];
    snprintf(part, sizeof part, "layer %d, attention", l);
    traced_stream(t, text, part, &k->attn);
    traced_heads(text, part, "queries (7,3,4)", k->qkv + AT * 3 * C);
    traced_heads(text, part, "keys (7,3,4)", k->qkv + AT * 3 * C + C);
    traced_heads(text, part, "values (7,3,4)", k->qkv + AT * 3 * C + 2 * C);
    traced_heads(text, part, "heads put out (7,3,4)", k->heads + AT * C);
    for (int s = 0; s < T; s++) {
        real x[6];
        int n = 0;
        snprintf(line, sizeof line, "key %3d '%s'", s, token_name(&t->m.vocab, ids[s], name));
        for (int h = 0; h < H; h++) {
            x[n++] = (real)score_of(t, l, h, AT, s);
            if (s <= AT) x[n++] = t->a.p[((l * H + h) * T + AT) * T + s];
        }
        numbers(text, part, line, x, n, s > AT ? " |masked" : " |");
    }
    snprintf(part, sizeof part, "layer %d, MLP", l);
    traced_stream(t, text, part, &k->mlp);
    numbers(text, part, "hidden (7,20)", k->fc + AT * F, 6, " ");
    int zeros = 0;
    for (int i = 0; i < F; i++) zeros += k->fc[AT * F + i] <= 0;
    snprintf(line, sizeof line, "\n  %d of 20 are zero", zeros);
    const char *at = strstr(text, part);
    if (t->m.c.act == RELU) HOLDS(at && strstr(at, line));
}

static void traced_numbers(void) {
    for (int norm = PRE; norm <= POST; norm++) {
        Training t = wide(shape(TRANSFORMER, LEARNED, norm, norm == PRE ? RELU : GELU, 1));
        int *ids = prompt_forward(&t);
        char *text = output(6, (const char *[]){"gpt", "trace", model_file, "--prompt=" PROMPT,
                                                "--position", "4"});
        const Model *m = &t.m;
        const int C = m->c.dim;
        char row[40];
        snprintf(row, sizeof row, "wte (12,12) row %d ", ids[AT]);
        numbers(text, "\nembedding", row, m->p.w + m->wte + ids[AT] * C, 6, " ");
        numbers(text, "\nembedding", "wpe (9,12) row 4", m->p.w + m->wpe + AT * C, 6, " ");
        numbers(text, "\nembedding", "stream (7,12)", t.a.x + AT * C, 6, " ");
        for (int l = 0; l < m->c.layers; l++) traced_layer(&t, text, ids, l);
        head_forward(m, &t.a, t.a.logits, t.a.last + AT * C, 1);
        numbers(text, "\nhead\n", "logits (7,12)", t.a.logits, 6, " ");
        int best = 0;
        for (int v = 1; v < V; v++)
            if (t.a.logits[v] > t.a.logits[best]) best = v;
        numbers(text, "\nhead\n", " logit ", &t.a.logits[best], 1, " ");
        double sum = 0;
        for (int v = 0; v < V; v++) sum += exp((double)t.a.logits[v] - (double)t.a.logits[best]);
        numbers(text, "\nhead\n", " probability ", &(real){(real)(1 / sum)}, 1, " ");
        free(text);
        free(ids);
        training_free(&t);
    }
}

// ---- copying heads ----

// A head that looks exactly where a copier would scores 1, and 0 for the rest.
static void head_scores(void) {
    enum { N = 9, LONG = 2 * N };
    real score[9] = {0};
    Acts a = {.p = reals(3 * LONG * LONG)};
    for (int i = 0; i < LONG; i++) {
        if (i >= N) a.p[i * LONG + i - N + 1] = 1;            // head 0: induction
        if (i) a.p[(LONG + i) * LONG + i - 1] = 1;            // head 1: the one before
        a.p[(2 * LONG + i) * LONG] = 1;                       // head 2: the first
    }
    for (int draw = 0; draw < 2; draw++) score_heads(&a, score, 3, N, (real)0.5 / (N - 1));
    for (int i = 0; i < 9; i++) CLOSE(score[i], i % 4 == 0, 1e-6);
    aligned_free(a.p);
}

static void repeated_text(void) {
    int ids[101], deck[V];
    for (int n = 2; n <= 50; n += 3) {
        draw_repeated(ids, n, V, deck, &test_random);
        SAME(ids[0], V - 1);
        int seen = 0;
        for (int i = 0; i < n; i++) {
            SAME(ids[1 + i], ids[1 + n + i]);
            HOLDS(ids[1 + i] >= 0 && ids[1 + i] < V - 1);
            if (i < V - 1) HOLDS(!(seen >> ids[1 + i] & 1));
            seen |= 1 << ids[1 + i];
        }
    }
}

// ---- the adapter ----

static void some_windows(int *x, int *y, int n) {
    for (int i = 0; i < n; i++)
        x[i] = (int)(random_bits(&test_random) % V), y[i] = (int)(random_bits(&test_random) % V);
}

static double loss_with(Model *m, const Adapter *d, Acts *a, const int *x, const int *y, int B) {
    adapter_forward(m, d);
    head_turn(m, a);
    return loss_forward(m, a, x, y, B, T) / B / T;
}

// Before the first step nothing has changed, to the last bit; nothing but queries and values ever.
static void adapter_begins_as_the_base(void) {
    Training t = wide(shape(TRANSFORMER, SIN, PRE, RELU, 1));
    const size_t n = t.m.p.size;
    const int C = t.m.c.dim;
    real *before = memcpy(reals(n), t.m.p.w, sizeof(real) * n);
    Adapter d = adapter_new(&t.m, 2, ALPHA, &test_random);
    adapter_forward(&t.m, &d);
    HOLDS(!memcmp(before, t.m.p.w, sizeof(real) * n));
    for (size_t i = 0; i < d.p.size; i++) d.p.w[i] = (real)any(1);
    adapter_forward(&t.m, &d);
    for (size_t i = 0; i < n; i++) {
        bool may = false;
        for (int l = 0; l < t.m.c.layers; l++) {
            const size_t at = t.m.layer[l].qkv.w, part = i >= at ? (i - at) / C % 3 : 1;
            if (i >= at && i < at + 3 * (size_t)C * C) may = part != 1; // not the keys
        }
        if (may != (before[i] != t.m.p.w[i]))
            test_fail(__LINE__, "weight %zu %s", i, may ? "did not change" : "changed");
    }
    // one element by hand: W + (alpha/R) A B
    const real *A = d.p.w + d.p.tensor[6].at, *B = d.p.w + d.p.tensor[7].at; // values of layer 1
    double sum = 0;
    for (int r = 0; r < 2; r++) sum += (double)A[3 * 2 + r] * B[r * C + 5];
    const size_t at = t.m.layer[1].qkv.w + 3 * 3 * (size_t)C + 2 * (size_t)C + 5;
    CLOSE(t.m.p.w[at], (double)before[at] + ALPHA / 2.0 * sum, 1e-5);
    aligned_free(before);
    adapter_free(&d);
    training_free(&t);
}

// Central differences through the whole model, for numbers of every A and B.
static void adapter_gradient(void) {
    enum { B = 2, SAMPLES = 30 };
    const double h = IS_DOUBLE ? 1e-5 : 1e-2;
    int x[B * T], y[B * T];
    some_windows(x, y, B * T);
    for (int norm = PRE; norm <= POST; norm++) {
        Config c = shape(TRANSFORMER, LEARNED, norm, GELU, 1);
        c.context = T;
        Training t = wide(c);
        params_train(&t.m.p);
        t.a = acts_new(&c, B * T, T, true);
        acts_share(&t.a, &t.m, 1, true);
        Adapter d = adapter_new(&t.m, 3, 4, &test_random);
        params_train(&d.p);
        for (size_t i = 0; i < d.p.size; i++) d.p.w[i] = (real)any(0.3);
        adapter_forward(&t.m, &d);
        gradient(&t.m, &t.a, x, y, B, T);
        adapter_backward(&t.m, &d);
        for (size_t i = 0; i < t.m.p.size; i++) HOLDS(t.m.p.g[i] == 0);
        for (int i = 0; i < d.p.count; i++) {
            const Tensor *p = &d.p.tensor[i];
            double apart = 0, size = 0;
            for (int s = 0; s < SAMPLES; s++) {
                const size_t at = p->at + random_bits(&test_random) % tensor_size(p);
                const real kept = d.p.w[at], up = (real)(kept + h), down = (real)(kept - h);
                d.p.w[at] = up;
                const double above = loss_with(&t.m, &d, &t.a, x, y, B);
                d.p.w[at] = down;
                const double below = loss_with(&t.m, &d, &t.a, x, y, B);
                d.p.w[at] = kept;
                const double slope = (above - below) / ((double)up - (double)down);
                apart += (slope - d.p.g[at]) * (slope - d.p.g[at]);
                size += slope * slope + (double)d.p.g[at] * d.p.g[at];
            }
            WHERE("%s", p->name);
            HOLDS(size > 0 && sqrt(apart / size) < (IS_DOUBLE ? 1e-6 : 1e-2));
        }
        adapter_free(&d);
        training_free(&t);
    }
}

// What training computed, a model that loads the adapter computes again.
static void adapter_file_is_added(void) {
    enum { B = 1 };
    int x[T], y[T];
    some_windows(x, y, T);
    Training t = wide(shape(TRANSFORMER, LEARNED, PRE, RELU, 1));
    t.a = acts_new(&t.m.c, T, T, false);
    Adapter d = adapter_new(&t.m, 5, ALPHA, &test_random);
    for (size_t i = 0; i < d.p.size; i++) d.p.w[i] = (real)any(0.3);
    const double plain = (head_turn(&t.m, &t.a), loss_forward(&t.m, &t.a, x, y, B, T) / T),
                 want = loss_with(&t.m, &d, &t.a, x, y, B);
    adapter_save(&d, &t.m.c, adapter_file);
    Options o = defaults();
    o.file = model_file, o.adapter = adapter_file;
    Training again = {0};
    load_model(&again, &o);
    again.a = acts_new(&again.m.c, T, T, false);
    head_turn(&again.m, &again.a);
    const double got = loss_forward(&again.m, &again.a, x, y, B, T) / T;
    CLOSE(got, want, 1e-6);
    HOLDS(fabs(want - plain) > 1e-3);
    adapter_free(&d);
    training_free(&t);
    training_free(&again);
}

// Cut short, too long, one byte wrong in the header, another model's: an error each, never a crash.
static void adapter_files_that_lie(void) {
    static const char bad_file[] = "bad.tmp";
    Training t = wide(shape(TRANSFORMER, LEARNED, PRE, RELU, 1));
    Adapter d = adapter_new(&t.m, 2, ALPHA, &test_random);
    adapter_save(&d, &t.m.c, adapter_file);
    FILE *f = fopen(adapter_file, "rb");
    static char good[1 << 16], bad[1 << 16];
    const size_t n = fread(good, 1, sizeof good, f);
    const size_t header = 8 + (unsigned char)good[0] + 256u * (unsigned char)good[1];
    fclose(f);
    HOLDS(n > header && n < sizeof good - 1);
    const size_t alpha = (size_t)(strstr(good + 8, "alpha") - good); // another one is no lie
    for (size_t i = 0; i < header + 60; i++) {
        if (i == alpha + 8 || i == alpha + 9) continue;
        size_t length = n;
        memcpy(bad, good, n);
        if (i < header)
            bad[i] = (char)(bad[i] ^ (1 << i % 7)); // the header, byte by byte
        else
            length = i % 2 ? n - i % 50 : n + 1 + i % 10, length -= length == n;
        f = fopen(bad_file, "wb");
        fwrite(bad, 1, length, f);
        fclose(f);
        WHERE("case %zu, %zu bytes", i, length);
        DIES(1, adapter_load(&t.m, bad_file));
    }
    *test_where = 0;
    Config c = shape(TRANSFORMER, LEARNED, PRE, RELU, 1);
    c.layers = 3;
    Training other = wide(c), mlp = wide(shape(MLP, LEARNED, PRE, RELU, 1));
    DIES(1, adapter_load(&other.m, adapter_file));
    DIES(1, adapter_load(&mlp.m, adapter_file));
    DIES(1, adapter_load(&t.m, model_file));
    DIES(1, adapter_load(&t.m, "there is no such file"));
    Options o = defaults();
    o.file = adapter_file;
    DIES(1, load_model(&mlp, &o));
    remove(bad_file);
    adapter_free(&d);
    training_free(&t), training_free(&other), training_free(&mlp);
}

int main(void) {
    path = best_path();
    if (!freopen("inside.err", "w", stderr)) return 1; // messages of the errors that DIES expects
    RUN(attention_maps);
    RUN(ablated_heads);
    RUN(ablation_list);
    RUN(lens_layers);
    RUN(traced_numbers);
    RUN(head_scores);
    RUN(repeated_text);
    RUN(adapter_begins_as_the_base);
    RUN(adapter_gradient);
    RUN(adapter_file_is_added);
    RUN(adapter_files_that_lie);
    remove(model_file), remove(adapter_file), remove(output_file), remove("inside.err");
    return test_cases_failed > 0;
}
