// bench.c: how fast is gpt.c here? Prints one line per measurement, as `key value` pairs.
//
//     make bench                            the default model
//     build/bench --layers 6 --dim 384 --heads 6 --context 256 --batch 8
//
// Peak: a loop of vector multiply-adds that touches no memory. FLOPs of a step: two per multiply-add,
// the causal half of attention, nothing for what the backward pass computes again, and the backward
// counted as twice the forward. Every time is the best of several; the median stands beside it.

#define main gpt_main
#include "../gpt.c"
#undef main

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct {
    double best, median; // seconds
} Timing;

// Runs f for about `budget` seconds, at least 5 times.
static Timing timing(void (*f)(void *), void *data, double budget) {
    enum { MOST = 2000 };
    static double t[MOST];
    int n = 0;
    f(data);
    for (double begin = seconds(); n < MOST && (n < 5 || seconds() - begin < budget); n++) {
        double start = seconds();
        f(data);
        t[n] = seconds() - start;
    }
    qsort(t, n, sizeof *t, by_size);
    return (Timing){t[0], t[n / 2]};
}

// ---- the machine's peak ----

#ifdef __GNUC__
#define SPIN(name, TARGET, BYTES)                                                                  \
    TARGET static double name(int rounds) {                                                        \
        typedef real Vector __attribute__((vector_size(BYTES)));                                   \
        enum { LANES = BYTES / sizeof(real), CHAINS = 12 };                                        \
        Vector s[CHAINS], x, y;                                                                    \
        for (int i = 0; i < LANES; i++) x[i] = (real)0.999, y[i] = (real)1e-3;                     \
        for (int i = 0; i < CHAINS; i++) s[i] = x;                                                 \
        for (int r = 0; r < rounds; r++)                                                           \
            for (int i = 0; i < CHAINS; i++) s[i] = s[i] * x + y;                                  \
        for (int i = 1; i < CHAINS; i++) s[0] += s[i];                                             \
        return s[0][0];                                                                            \
    }
SPIN(spin_sse, , 16)
#ifdef __x86_64__
SPIN(spin_avx2, FOR_AVX2, 32)
SPIN(spin_avx512, FOR_AVX512, 64)
#endif
#endif

static volatile double sink;

static void spin(void *rounds) {
#ifdef __GNUC__
    #pragma omp parallel
    {
#ifdef __x86_64__
        double x = path == AVX512 ? spin_avx512(*(int *)rounds) : path == AVX2 ? spin_avx2(*(int *)rounds) : spin_sse(*(int *)rounds);
#else
        double x = spin_sse(*(int *)rounds);
#endif
        if (x == 12345) sink = x;
    }
#else
    (void)rounds;
#endif
}

static double peak_gflops(void) {
    static const int bytes[] = {16, 16, 32, 64};
    int rounds = 200000;
    Timing t = timing(spin, &rounds, 0.5);
    return 2.0 * 12 * (bytes[path] / sizeof(real)) * rounds * omp_get_max_threads() / t.best / 1e9;
}

// ---- one matrix product ----

typedef struct {
    real *c;
    const real *a, *b;
    int M, N, K;
} Product;

static void run_product(void *data) {
    const Product *p = data;
    matmul(p->c, p->N, rows(NULL, 0), rows(p->a, p->K), rows(p->b, p->N), p->M, p->N, p->K);
}

static real *random_reals(size_t n, Random *r) {
    real *x = reals(n);
    for (size_t i = 0; i < n; i++) x[i] = (real)(random_uniform(r) - 0.5);
    return x;
}

static void bench_product(int M, int N, int K, double peak, Random *r) {
    Product p = {reals((size_t)M * N), random_reals((size_t)M * K, r), random_reals((size_t)K * N, r), M, N, K};
    Timing t = timing(run_product, &p, 0.3);
    double gflops = 2.0 * M * N * K / t.best / 1e9;
    printf("matmul %dx%dx%d gflops %.0f share %.2f\n", M, K, N, gflops, gflops / peak);
    fflush(stdout);
    aligned_free(p.c), aligned_free((void *)p.a), aligned_free((void *)p.b);
}

// ---- one training step, and its parts at the step's own shapes ----

typedef struct {
    Model m;
    Acts a;
    int *x, *y, B, T, micro;
} Bench;

static void run_step(void *data) {
    Bench *b = data;
    gradient(&b->m, &b->a, b->x, b->y, b->B, b->T);
    optimizer_step(&b->m.p, 100, 1e-5, 0.1);
}

static void run_matmul(void *data) { // the linear layers of one micro-batch, forward and backward
    Bench *b = data;
    Acts *a = &b->a;
    const int N = b->micro * b->T;
    const real *w = b->m.p.w, *wt = b->m.p.wt;
    for (int l = 0; l < b->m.c.layers; l++) {
        const Layer *at = &b->m.layer[l];
        LayerActs *k = &a->layer[l];
        if (b->m.c.model == TRANSFORMER) {
            linear_forward(k->qkv, k->mlp.y, w, at->qkv, N);
            linear_forward(k->attn.sum, k->heads, w, at->proj, N);
            linear_backward(a->dy, b->m.p.g, a->dx, k->heads, wt, at->proj, N);
            linear_backward(a->dx, b->m.p.g, a->dqkv, k->mlp.y, wt, at->qkv, N);
        }
        linear_forward(k->fc, k->mlp.y, w, at->fc, N);
        linear_forward(k->mlp.sum, a->act, w, at->out, N);
        linear_backward(a->dfc, b->m.p.g, a->dx, a->act, wt, at->out, N);
        linear_backward(a->dx, b->m.p.g, a->dfc, k->mlp.y, wt, at->fc, N);
    }
}

static void run_attention(void *data) {
    Bench *b = data;
    const Config *c = &b->m.c;
    for (int l = 0; l < c->layers && c->model == TRANSFORMER; l++) {
        LayerActs *k = &b->a.layer[l];
        attention_forward(k->heads, k->kt, NULL, b->a.work, k->qkv, NULL, b->micro, b->T, 0, b->T, c->dim, c->heads);
        attention_backward(b->a.dqkv, b->a.work, b->a.dy, k->qkv, k->kt, b->micro, b->T, b->T, c->dim, c->heads);
    }
}

static void run_norms(void *data) {
    Bench *b = data;
    const Config *c = &b->m.c;
    const int N = b->micro * b->T, norms = (c->model == TRANSFORMER ? 2 : 1) * c->layers + (c->norm == PRE);
    Sublayer *k = &b->a.layer[0].mlp;
    const Layer *at = &b->m.layer[0];
    const real *w = b->m.p.w;
    for (int i = 0; i < norms; i++) {
        norm_forward(k->y, k->mean, k->scale, b->a.x, w, at->norm2, N);
        norm_backward(b->a.dx, b->m.p.g, b->a.dy, b->a.x, k->mean, k->scale, w, at->norm2, N);
    }
}

static void run_activation(void *data) {
    Bench *b = data;
    for (int l = 0; l < b->m.c.layers; l++) {
        activation_forward(b->a.act, b->a.layer[l].fc, b->m.c.act, b->micro * b->T * b->m.c.hidden);
        activation_backward(b->a.act, b->a.dfc, b->a.layer[l].fc, b->m.c.act, b->micro * b->T * b->m.c.hidden);
    }
}

static void run_head(void *data) {
    Bench *b = data;
    Acts *a = &b->a;
    const int N = b->micro * b->T, C = b->m.c.dim, V = b->m.c.V;
    real *g = b->m.p.g + b->m.head;
    head_forward(&b->m, a, a->logits, a->x, N);
    cross_entropy_forward(a->loss, a->logits, b->y, N, V);
    cross_entropy_backward(a->logits, b->y, 1e-6f, N, V);
    matmul(g, C, rows(g, C), turned(a->logits, V), rows(a->x, C), V, C, N);
    matmul(a->dy, C, rows(NULL, 0), rows(a->logits, V), rows(b->m.p.w + b->m.head, C), N, C, V);
}

static void run_stream(void *data) { // embedding, residual additions
    Bench *b = data;
    const Config *c = &b->m.c;
    const int N = b->micro * b->T;
    embedding_forward(b->a.x, b->x, b->m.p.w + b->m.wte, NULL, N, b->T, 0, c->dim);
    embedding_backward(b->m.p.g + b->m.wte, NULL, b->a.dx, b->x, N, b->T, c->dim);
    for (int i = 0; i < 2 * c->layers; i++) add(b->a.dy, b->a.x, (size_t)N * c->dim);
}

static void run_adam(void *data) {
    Bench *b = data;
    optimizer_step(&b->m.p, 100, 1e-5, 0.1);
}

// Multiply-adds x 2 of one training step, per token: matrices, the head, the causal half of attention.
static void step_flops(const Config *c, double *linear, double *attention, double *head) {
    const double C = c->dim, mixes = c->model == TRANSFORMER;
    *linear = 6.0 * c->layers * (mixes * 4 * C * C + 2 * C * c->hidden);
    *attention = 6.0 * c->layers * mixes * (c->context + 1) * C;
    *head = 6.0 * C * c->V;
}

typedef struct {
    void (*f)(void *);
    Bench *b;
    int lanes;
} Part;

static void run_part(void *data) { // as in training: each thread with a micro-batch of its own
    const Part *part = data;
    #pragma omp parallel num_threads(part->lanes) if (part->lanes > 1)
    {
        Bench mine = *part->b;
        mine.a = *lane(&part->b->a, omp_get_thread_num());
        part->f(&mine);
    }
}

static void kind(const char *name, void (*f)(void *), Bench *b, int lanes, double times, double step, double flops) {
    Part part = {f, b, lanes};
    Timing t = timing(run_part, &part, 0.4);
    printf("part %s ms %.2f share %.3f", name, t.best * times * 1e3, t.best * times / step);
    if (flops > 0) printf(" gflops %.0f", flops / (t.best * times) / 1e9);
    putchar('\n');
    fflush(stdout);
}

typedef struct {
    Model *m;
    bool cached;
    int chars;
} Talk;

static void run_talk(void *data) {
    const Talk *t = data;
    static Random r = {1};
    Writer w = writer_new(t->m, t->cached);
    real *sorted = reals(t->m->c.V);
    writer_add(&w, t->m->c.V - 1);
    for (int i = 0; i < t->chars; i++) writer_add(&w, draw(writer_logits(&w), sorted, t->m->c.V, 1, 0, &r));
    aligned_free(sorted);
    writer_free(&w);
}

static void bench_model(Options *o, double peak) {
    Random r = {1};
    Bench b = {.B = o->batch, .T = o->c.context, .micro = micro_batch(&o->c)};
    if (b.micro > b.B) b.micro = b.B;
    o->c.V = 72;
    b.m = model_shape(o->c);
    model_init(&b.m, &r);
    params_train(&b.m.p);
    b.m.p.has_muon = o->optimizer == MUON;
    b.a = acts_new(&o->c, b.micro * b.T, b.T, true);
    acts_share(&b.a, &b.m, micro_batches(&o->c, b.B), true);
    const int N = b.B * b.T;
    b.x = allocate(2 * (size_t)N, sizeof(int)), b.y = b.x + N;
    for (int i = 0; i < 2 * N; i++) b.x[i] = (int)(random_uniform(&r) * 72);
    double linear, attention, head;
    step_flops(&o->c, &linear, &attention, &head);
    Timing t = timing(run_step, &b, o->minutes > 0 ? o->minutes * 60 : 3);
    double gflops = (linear + attention + head) * N / t.best / 1e9;
    printf("train tokens/s %.0f median %.0f ms %.2f gflops %.0f share %.2f\n", N / t.best, N / t.median, t.best * 1e3, gflops, gflops / peak);
    fflush(stdout);
    if (!o->repeat) {
        const int lanes = b.a.lanes;
        const double times = (double)b.B / b.micro / lanes, step = t.best;
        kind("matmul", run_matmul, &b, lanes, times, step, linear * N);
        kind("attention", run_attention, &b, lanes, times, step, attention * N);
        kind("norms", run_norms, &b, lanes, times, step, 0);
        kind("activation", run_activation, &b, lanes, times, step, 0);
        kind("head+loss", run_head, &b, lanes, times, step, head * N);
        kind("stream", run_stream, &b, lanes, times, step, 0);
        kind("adam", run_adam, &b, 1, 1, step, 0);
        Talk talk = {&b.m, true, b.T};
        Timing cached = timing(run_talk, &talk, 1);
        talk.cached = false;
        Timing uncached = timing(run_talk, &talk, 1);
        printf("sample tokens/s %.0f median %.0f uncached %.0f\n", b.T / cached.best, b.T / cached.median, b.T / uncached.best);
    }
}

int main(int argc, char **argv) {
    static const Command bench = {"bench", 'b', false, "", NULL, "measure"};
    Options o = {0};
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    parse(&o, &bench, argc - 1, argv + 1);
    if (!o.c.hidden) o.c.hidden = 4 * o.c.dim;
    check_shape(&o.c);
    choose_path(o.matmul);
    Random r = {1};
    double peak = peak_gflops();
    printf("peak threads %d matmul %s gflops %.0f\n", omp_get_max_threads(), path_name(path), peak);
    if (!o.repeat) {
        bench_product(8192, 512, 128, peak, &r);
        bench_product(1024, o.c.hidden, o.c.dim, peak, &r);
        bench_product(1024, o.c.dim, o.c.hidden, peak, &r);
        bench_product(o.c.context, o.c.context, o.c.dim / o.c.heads, peak, &r);
    }
    bench_model(&o, peak);
    return 0;
}
