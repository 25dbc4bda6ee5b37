// layers.c: every forward against the slowest obvious loops, in double; every backward against the
// definition of a derivative (central differences of those loops) or against plain sums.
#include "test.h"

static const double tolerance = IS_DOUBLE ? 1e-11 : 2e-5, slope_tolerance = IS_DOUBLE ? 2e-7 : 1e-4;

// A loss for functions with many outputs: the outputs weighed with dy, added up.
static double weighed(const double *y, const double *dy, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += y[i] * dy[i];
    return sum;
}

// The slope of f(data) along x[0..n), added to d.
static void slopes(double *d, double *x, size_t n, double (*f)(void *), void *data) {
    for (size_t i = 0; i < n; i++) {
        const double kept = x[i], h = 1e-5;
        double at[5]; // five points of a curve: exact up to its fourth power
        for (int k = -2; k <= 2; k++) x[i] = kept + k * h, at[k + 2] = k ? f(data) : 0;
        x[i] = kept;
        d[i] += (8 * (at[3] - at[1]) - (at[4] - at[0])) / (12 * h);
    }
}

// ---- e to the x ----

static void e_to_x(void) {
    double worst = 0, at = 0;
    for (double x = -87; x <= 88; x += 1.0 / 1024 + 1e-7) {
        double want = exp((double)(real)x), error = fabs((double)e_to((real)x) / want - 1);
        if (!(error <= worst)) worst = error, at = x;
    }
    WHERE("x=%g", at);
    HOLDS(worst < (IS_DOUBLE ? 1e-15 : 4e-7));
    WHERE("%s", "");
    SAME(e_to(0), 1);
    HOLDS(e_to(-100) < 1e-37 && e_to(-100) >= 0);
    HOLDS(e_to(-(real)INFINITY) < 1e-37);
    HOLDS(isfinite(e_to((real)88)));
    HOLDS(e_to(1000) > 1e38);
    for (int i = -50; i < 50; i++) HOLDS(e_to((real)i) < e_to((real)(i + 0.01)));
}

// ---- the square root ----

static void square_root(void) {
    double worst = 0, at = 0;
    for (double x = 1e-36; x < 1e38; x *= 1.000173) {
        double want = sqrt((double)(real)x), error = fabs((double)root((real)x) / want - 1);
        if (!(error <= worst)) worst = error, at = x;
    }
    WHERE("x=%g", at);
    HOLDS(worst < (IS_DOUBLE ? 1e-15 : 4e-7));
    WHERE("%s", "");
    SAME(root(0), 0);
    HOLDS(root((real)1e-42) < 1e-18); // smaller than any ordinary float
    HOLDS(isnan(root((real)NAN)));
}

// ---- linear ----

static void linear(void) {
    static const int shapes[][3] = {{14, 12, 36}, {1, 1, 1}, {7, 11, 5}, {70, 12, 49}, {300, 33, 20}};
    for (int s = 0; s < 5; s++) EVERY_PATH {
            const int N = shapes[s][0], I = shapes[s][1], O = shapes[s][2];
            WHERE("N=%d I=%d O=%d path %s", N, I, O, path_name(path));
            real *x = some_reals(N * I, 1), *w = some_reals(I * O + O, 1), *b = w + I * O;
            real *y = some_reals(N * O, 1), *dy = some_reals(N * O, 1), *dx = some_reals(N * I, 1);
            real *dw = some_reals(I * O + O, 1), *db = dw + I * O, *wt = some_reals(I * O, 1);
            double *y_ = no_doubles(N * O), *dx_ = no_doubles(N * I);
            double *dw_ = as_doubles(dw, I * O), *db_ = as_doubles(db, O);
            for (int n = 0; n < N; n++)
                for (int o = 0; o < O; o++) {
                    y_[n * O + o] = b[o], db_[o] += 2 * dy[n * O + o]; // called twice: counts twice
                    for (int i = 0; i < I; i++) {
                        y_[n * O + o] += (double)x[n * I + i] * w[i * O + o];
                        dx_[n * I + i] += (double)dy[n * O + o] * w[i * O + o];
                        dw_[i * O + o] += 2.0 * x[n * I + i] * dy[n * O + o];
                    }
                }
            const Linear k = {0, (size_t)I * O, I, O};
            linear_forward(y, x, w, k, N);
            linear_turn(wt, w, k);
            linear_backward(dx, dw, dy, x, wt, k, N);
            linear_backward(dx, dw, dy, x, wt, k, N);
            CLOSE_ALL(y, y_, N * O, tolerance);
            CLOSE_ALL(dx, dx_, N * I, tolerance);
            CLOSE_ALL(dw, dw_, I * O, tolerance);
            CLOSE_ALL(db, db_, O, tolerance);
            free(x), free(w), free(y), free(dy), free(dx), free(dw), free(wt);
            free(y_), free(dx_), free(dw_), free(db_);
        }
}

// ---- embedding ----

static void embedding(void) {
    enum { B = 2, T = 7, C = 12, V = 11, CONTEXT = 20, N = B * T };
    int ids[N];
    for (int i = 0; i < N; i++) ids[i] = i % 3 ? (int)(random_bits(&test_random) % V) : 4;
    real *wte = some_reals(V * C, 1), *wpe = some_reals(CONTEXT * C, 1), *x = some_reals(N * C, 1);
    for (int t0 = 0; t0 < 13; t0 += 6) {
        WHERE("t0=%d", t0);
        embedding_forward(x, ids, wte, wpe, N, T, t0, C);
        for (int r = 0; r < N; r++)
            for (int c = 0; c < C; c++)
                CLOSE(x[r * C + c], (double)wte[ids[r] * C + c] + wpe[(t0 + r % T) * C + c], tolerance);
    }
    WHERE("no positions");
    embedding_forward(x, ids, wte, NULL, N, T, 0, C);
    for (int r = 0; r < N * C; r++) HOLDS(x[r] == wte[ids[r / C] * C + r % C]);

    // a letter that occurs twice collects twice, and what was in the gradient stays
    for (int with = 0; with < 2; with++) {
        WHERE("positions %d", with);
        real *dwte = some_reals(V * C, 1), *dwpe = some_reals(CONTEXT * C, 1);
        real *dx = some_reals(N * C, 1);
        double *dwte_ = as_doubles(dwte, V * C), *dwpe_ = as_doubles(dwpe, CONTEXT * C);
        for (int r = 0; r < N; r++)
            for (int c = 0; c < C; c++) {
                dwte_[ids[r] * C + c] += 2.0 * dx[r * C + c];
                if (with) dwpe_[r % T * C + c] += 2.0 * dx[r * C + c];
            }
        embedding_backward(dwte, with ? dwpe : NULL, dx, ids, N, T, C);
        embedding_backward(dwte, with ? dwpe : NULL, dx, ids, N, T, C);
        CLOSE_ALL(dwte, dwte_, V * C, tolerance);
        CLOSE_ALL(dwpe, dwpe_, CONTEXT * C, tolerance);
        free(dwte), free(dwpe), free(dx), free(dwte_), free(dwpe_);
    }
    free(wte), free(wpe), free(x);
}

// ---- layer norm ----

typedef struct {
    int N, C;
    double *x, *gain, *bias, *y, *dy;
} RefNorm;

static double ref_norm(void *data) {
    RefNorm *r = data;
    for (int n = 0; n < r->N; n++) {
        double mean = 0, variance = 0;
        for (int c = 0; c < r->C; c++) mean += r->x[n * r->C + c] / r->C;
        for (int c = 0; c < r->C; c++) variance += pow(r->x[n * r->C + c] - mean, 2) / r->C;
        for (int c = 0; c < r->C; c++) {
            int i = n * r->C + c;
            r->y[i] = (r->x[i] - mean) / sqrt(variance + 1e-5) * r->gain[c] + r->bias[c];
        }
    }
    return r->dy ? weighed(r->y, r->dy, r->N * r->C) : 0;
}

static void layer_norm(void) {
    static const int shapes[][2] = {{14, 12}, {1, 1}, {3, 2}, {9, 7}, {20, 100}, {70, 33}};
    for (int s = 0; s < 6; s++)
        for (double size = 0.003; size < 50; size *= 100) EVERY_PATH {
                const int N = shapes[s][0], C = shapes[s][1];
                WHERE("N=%d C=%d numbers to %g path %s", N, C, size, path_name(path));
                real *x = some_reals(N * C, size), *gain = some_reals(2 * C, 2), *bias = gain + C;
                real *y = some_reals(N * C, 1), *mean = some_reals(N, 1), *scale = some_reals(N, 1);
                real *dy = some_reals(N * C, 1), *dx = some_reals(N * C, 1);
                real *dgain = some_reals(2 * C, 1), *dbias = dgain + C;
                double *dx_ = as_doubles(dx, N * C), *dgain_ = as_doubles(dgain, C),
                       *dbias_ = as_doubles(dbias, C);
                RefNorm r = {N, C, as_doubles(x, N * C), as_doubles(gain, C), as_doubles(bias, C),
                             no_doubles(N * C), as_doubles(dy, N * C)};
                const Norm k = {0, C, C};
                norm_forward(y, mean, scale, x, gain, k, N);
                ref_norm(&r);
                CLOSE_ALL(y, r.y, N * C, tolerance);
                for (int twice = 0; twice < 2; twice++) {
                    norm_backward(dx, dgain, dy, x, mean, scale, gain, k, N);
                    slopes(dx_, r.x, N * C, ref_norm, &r);
                    slopes(dgain_, r.gain, C, ref_norm, &r);
                    slopes(dbias_, r.bias, C, ref_norm, &r);
                }
                // one channel: all cancels but rounding, where the compiler fuses a product and
                // a sum, as on ARM; times 1 / sqrt(epsilon) = 316
                CLOSE_ALL(dx, dx_, N * C, C > 1 ? slope_tolerance : 1e-3);
                CLOSE_ALL(dgain, dgain_, C, slope_tolerance);
                CLOSE_ALL(dbias, dbias_, C, slope_tolerance);
                free(x), free(gain), free(y), free(mean), free(scale), free(dy), free(dx);
                free(dgain), free(dx_), free(dgain_), free(dbias_);
                free(r.x), free(r.gain), free(r.bias), free(r.y), free(r.dy);
            }
}

// All numbers of a row the same: the variance is 0, and epsilon alone keeps the result finite.
static void norm_of_equals(void) {
    enum { C = 8 };
    real x[C], y[C], gain[2 * C], *bias = gain + C, mean, scale;
    for (int c = 0; c < C; c++) x[c] = 3, gain[c] = 2, bias[c] = (real)(0.5 * c);
    EVERY_PATH {
        norm_forward(y, &mean, &scale, x, gain, (Norm){0, C, C}, 1);
        CLOSE(mean, 3, tolerance);
        CLOSE(scale, 316.2277660168379, tolerance);
        for (int c = 0; c < C; c++) CLOSE(y[c], 0.5 * c, tolerance);
    }
}

// ---- activations ----

static double ref_activation(double x, Activation kind) {
    if (kind == RELU) return x > 0 ? x : 0;
    return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static void activations(void) {
    for (Activation kind = RELU; kind <= GELU; kind++) EVERY_PATH {
            enum { N = 11, F = 37 };
            WHERE("%s path %s", kind == RELU ? "relu" : "gelu", path_name(path));
            real *x = some_reals(N * F, 6), *y = some_reals(N * F, 1), *z = some_reals(N * F, 1);
            real *dy = some_reals(N * F, 1), *d = malloc(sizeof(real) * N * F);
            double *want = no_doubles(N * F), *dx_ = no_doubles(N * F);
            x[0] = 100, x[1] = -100, x[2] = 0, x[3] = 1000, x[4] = -1000;
            memcpy(d, dy, sizeof(real) * N * F);
            for (int i = 0; i < N * F; i++) {
                double h = 1e-6, v = x[i];
                want[i] = ref_activation(v, kind);
                dx_[i] = (ref_activation(v + h, kind) - ref_activation(v - h, kind)) / (2 * h) * dy[i];
                if (kind == RELU && v == 0) dx_[i] = 0; // at the kink we say 0
            }
            activation_forward(y, x, kind, N * F);
            activation_backward(z, d, x, kind, N * F);
            for (int i = 0; i < N * F; i++) {
                CLOSE(y[i], want[i], IS_DOUBLE ? 1e-12 : 2e-6);
                CLOSE(z[i], want[i], IS_DOUBLE ? 1e-12 : 2e-6);
                CLOSE(d[i], dx_[i], IS_DOUBLE ? 1e-8 : 2e-6);
            }
            free(x), free(y), free(z), free(dy), free(d), free(want), free(dx_);
        }
}

// ---- softmax and cross-entropy ----

// Logits that overflow where the largest is not taken away first, and equal ones.
static void fill_logits(real *x, int n, int how) {
    for (int i = 0; i < n; i++)
        x[i] = how == 0 ? (real)any(5)
             : how == 1 ? (real)(1000 + any(3))
             : how == 2 ? (real)-1000
             : how == 3 ? 7
                        : (real)(i == n / 2 ? 1000 : -1000);
}

static void softmax_of(void) {
    static const int lengths[] = {1, 2, 3, 11, 16, 17, 70, 300};
    for (int l = 0; l < 8; l++)
        for (int how = 0; how < 5; how++)
            for (double scale = 1; scale > 0.1; scale /= 2.5) EVERY_PATH {
                    const int n = lengths[l];
                    WHERE("n=%d logits %d scale %g path %s", n, how, scale, path_name(path));
                    enum { ROWS = 3, GAP = 2 };
                    const int row = n + GAP;
                    real *p = some_reals(ROWS * row, 1), total[ROWS];
                    for (int r = 0; r < ROWS; r++) {
                        fill_logits(p + r * row, n, how);
                        for (int i = 0; i < GAP; i++) p[r * row + n + i] = 77; // not of the row
                    }
                    double *x = as_doubles(p, ROWS * row), *want = no_doubles(n);
                    softmax(p, row, ROWS, n, (real)scale, total);
                    for (int r = 0; r < ROWS; r++) {
                        double most = -INFINITY, sum = 0, all = 0;
                        for (int i = 0; i < n; i++) most = fmax(most, x[r * row + i] * scale);
                        for (int i = 0; i < n; i++) sum += want[i] = exp(x[r * row + i] * scale - most);
                        for (int i = 0; i < n; i++) want[i] /= sum;
                        CLOSE_ALL(p + r * row, want, n, IS_DOUBLE ? 1e-12 : 1e-6);
                        CLOSE(total[r], most + log(sum), IS_DOUBLE ? 1e-13 : 1e-6);
                        for (int i = 0; i < n; i++) all += p[r * row + i];
                        CLOSE(all, 1, IS_DOUBLE ? 1e-14 : 1e-6);
                        for (int i = 0; i < GAP; i++) SAME(p[r * row + n + i], 77);
                    }
                    softmax(p, row, 1, n, 1, NULL); // the sums may be unwanted
                    free(p), free(x), free(want);
                }
}

static void cross_entropy(void) {
    for (int V = 1; V < 80; V += 13)
        for (int how = 0; how < 5; how++) EVERY_PATH {
                enum { N = 14 };
                WHERE("V=%d logits %d path %s", V, how, path_name(path));
                real *p = some_reals(N * V, 1), loss[N], *x = malloc(sizeof(real) * N * V);
                int targets[N];
                fill_logits(p, N * V, how);
                memcpy(x, p, sizeof(real) * N * V);
                for (int r = 0; r < N; r++) targets[r] = (int)(random_bits(&test_random) % V);
                cross_entropy_forward(loss, p, targets, N, V);
                double *want = no_doubles(V), *d = no_doubles(V);
                cross_entropy_backward(x, targets, 1, 0, V); // no rows: nothing happens
                for (int r = 0; r < N; r++) {
                    double most = -INFINITY, sum = 0;
                    for (int v = 0; v < V; v++) most = fmax(most, x[r * V + v]);
                    for (int v = 0; v < V; v++) sum += want[v] = exp(x[r * V + v] - most);
                    for (int v = 0; v < V; v++) want[v] /= sum;
                    CLOSE(loss[r], log(sum) + most - x[r * V + targets[r]],
                          IS_DOUBLE ? 1e-12 : how ? 1e-4 : 2e-6); // 1e-4: a float near 1000
                    CLOSE_ALL(p + r * V, want, V, IS_DOUBLE ? 1e-12 : 1e-6);
                    cross_entropy_backward(p + r * V, targets + r, (real)0.125, 1, V);
                    for (int v = 0; v < V; v++) d[v] = 0.125 * (want[v] - (v == targets[r]));
                    CLOSE_ALL(p + r * V, d, V, IS_DOUBLE ? 1e-12 : 2e-6);
                }
                free(p), free(x), free(want), free(d);
            }
}

// What is left out of a softmax by -inf gets exactly 0.
static void softmax_of_infinities(void) {
    EVERY_PATH {
        WHERE("path %s", path_name(path));
        real p[40];
        for (int i = 0; i < 40; i++) p[i] = i % 3 ? -(real)INFINITY : (real)(i * 0.1);
        softmax(p, 40, 1, 40, 1, NULL);
        double all = 0;
        for (int i = 0; i < 40; i++) {
            all += p[i];
            HOLDS(i % 3 ? p[i] == 0 : p[i] > 0);
        }
        CLOSE(all, 1, IS_DOUBLE ? 1e-14 : 1e-6);
    }
}

static void softmax_slope(void) {
    for (int n = 1; n < 70; n += 11) EVERY_PATH {
            enum { ROWS = 3, GAP = 2 };
            const int row = n + GAP;
            WHERE("n=%d path %s", n, path_name(path));
            real *p = some_reals(ROWS * row, 3), *dp = some_reals(ROWS * row, 1);
            softmax(p, row, ROWS, n, 1, NULL);
            double *ds = no_doubles(ROWS * row), scale = 0.37;
            for (int r = 0; r < ROWS; r++) {
                for (int i = 0; i < n; i++) // row i of the matrix of derivatives, one by one
                    for (int j = 0; j < n; j++)
                        ds[r * row + i] += scale * p[r * row + j] *
                                           ((i == j) - (double)p[r * row + i]) * dp[r * row + j];
                for (int i = n; i < row; i++) ds[r * row + i] = dp[r * row + i];
            }
            softmax_backward(dp, p, row, ROWS, n, (real)scale);
            CLOSE_ALL(dp, ds, ROWS * row, tolerance);
            free(p), free(dp), free(ds);
        }
}

// ---- attention ----

typedef struct {
    int B, T, C, H;
    double *qkv, *out, *dout, *p; // (B*T,3C), (B*T,C), (B*T,C), (B,H,T,T)
} RefAttention;

static double ref_attention(void *data) {
    RefAttention *r = data;
    const int T = r->T, C = r->C, D = C / r->H;
    for (int b = 0; b < r->B; b++)
        for (int h = 0; h < r->H; h++)
            for (int t = 0; t < T; t++) {
                double *p = r->p + ((b * r->H + h) * T + t) * T, sum = 0, most = -INFINITY;
                const double *q = r->qkv + (size_t)(b * T + t) * 3 * C + h * D;
                for (int s = 0; s <= t; s++) {
                    const double *k = r->qkv + (size_t)(b * T + s) * 3 * C + C + h * D;
                    p[s] = 0;
                    for (int d = 0; d < D; d++) p[s] += q[d] * k[d] / sqrt(D);
                    most = fmax(most, p[s]);
                }
                for (int s = 0; s <= t; s++) sum += p[s] = exp(p[s] - most);
                for (int s = 0; s < T; s++) p[s] = s <= t ? p[s] / sum : 0;
                for (int d = 0; d < D; d++) {
                    double *o = r->out + (size_t)(b * T + t) * C + h * D + d;
                    *o = 0;
                    for (int s = 0; s <= t; s++)
                        *o += p[s] * r->qkv[(size_t)(b * T + s) * 3 * C + 2 * C + h * D + d];
                }
            }
    return r->dout ? weighed(r->out, r->dout, (size_t)r->B * T * C) : 0;
}

static void attention_case(int B, int T, int C, int H, int room, double size) {
    const int N = B * T, D = C / H;
    real *qkv = some_reals((size_t)N * 3 * C, size), *dout = some_reals((size_t)N * C, 1);
    if (size == 0) // all scores equal: the plain average of what came before
        for (int i = 0; i < N * 3 * C; i++) qkv[i] = i % (3 * C) < 2 * C ? (real)1 : (real)any(1);
    RefAttention r = {B, T, C, H, as_doubles(qkv, (size_t)N * 3 * C), no_doubles((size_t)N * C),
                      as_doubles(dout, (size_t)N * C), no_doubles((size_t)B * H * T * T)};
    double *slope = no_doubles((size_t)N * 3 * C), *forward_out = no_doubles((size_t)N * C);
    ref_attention(&r);
    memcpy(forward_out, r.out, sizeof(double) * N * C);
    double *weights = no_doubles((size_t)B * H * T * T);
    memcpy(weights, r.p, sizeof(double) * B * H * T * T);
    const bool differentiates = (double)N * C * N * C < 3e6;
    if (differentiates) slopes(slope, r.qkv, (size_t)N * 3 * C, ref_attention, &r);
    EVERY_PATH {
        WHERE("B=%d T=%d C=%d H=%d room %d numbers to %g path %s", B, T, C, H, room, size,
              path_name(path));
        real *out = some_reals((size_t)N * C, 1), *kt = reals((size_t)B * H * D * room);
        real *work = reals(attention_work(room, D) * omp_get_max_threads());
        real *p = B == 1 ? some_reals((size_t)H * room * room, 1) : NULL;
        real *dqkv = some_reals((size_t)N * 3 * C, 1);
        attention_forward(out, kt, p, work, qkv, NULL, B, T, 0, room, C, H);
        CLOSE_ALL(out, forward_out, (size_t)N * C, tolerance);
        for (int h = 0; h < H && p; h++)
            for (int t = 0; t < T; t++)
                CLOSE_ALL(p + ((size_t)h * room + t) * room, weights + ((size_t)h * T + t) * T, t + 1,
                          tolerance);
        if (differentiates) {
            attention_backward(dqkv, work, dout, qkv, kt, B, T, room, C, H);
            CLOSE_ALL(dqkv, slope, (size_t)N * 3 * C, size > 2 ? 1e-4 : slope_tolerance);
        }
        free(out), free(p), free(dqkv), aligned_free(kt), aligned_free(work);
    }
    free(qkv), free(dout), free(slope), free(forward_out), free(weights);
    free(r.qkv), free(r.out), free(r.dout), free(r.p);
}

static void attention(void) {
    attention_case(2, 7, 12, 3, 7, 1);
    attention_case(2, 7, 12, 3, 10, 1);  // room for more positions than there are
    attention_case(1, 1, 12, 3, 1, 1);   // one position sees itself only
    attention_case(3, 1, 4, 1, 5, 1);
    attention_case(1, 9, 5, 1, 9, 1);    // one head, of odd size
    attention_case(1, 9, 5, 5, 9, 1);    // heads of one number
    attention_case(2, 7, 12, 3, 7, 0);   // all scores equal
    attention_case(1, 7, 12, 3, 7, 20);  // scores of hundreds
    attention_case(1, 70, 6, 2, 70, 1);  // several blocks of queries
    attention_case(1, 33, 8, 2, 40, 1);
    attention_case(1, 64, 4, 1, 64, 1);
    attention_case(2, 70, 96, 2, 70, 1); // heads of 48: only forward, by its size
    attention_case(1, 200, 34, 2, 230, 1);
}

// Rows computed later, with the keys and values of earlier calls, are the same rows.
static void attention_in_pieces(void) {
    enum { T = 75, C = 12, H = 3, D = C / H, ROOM = 80 };
    EVERY_PATH for (int piece = 1; piece < T; piece += 18) {
        WHERE("pieces of %d path %s", piece, path_name(path));
        real *qkv = some_reals((size_t)T * 3 * C, 1), *kt = reals(C * ROOM), *kt2 = reals(C * ROOM);
        real *work = reals(attention_work(ROOM, D) * omp_get_max_threads());
        real *out = some_reals(T * C, 1), *out2 = some_reals(T * C, 1);
        attention_forward(out, kt, NULL, work, qkv, NULL, 1, T, 0, ROOM, C, H);
        for (int t = 0; t < T; t += piece)
            attention_forward(out2, kt2, NULL, work, qkv, NULL, 1, t + piece < T ? t + piece : T, t,
                              ROOM, C, H);
        double *want = as_doubles(out, T * C);
        CLOSE_ALL(out2, want, T * C, IS_DOUBLE ? 1e-13 : 1e-5);
        free(qkv), aligned_free(kt), aligned_free(kt2), aligned_free(work), free(out), free(out2);
        free(want);
    }
}

static void heads_switched_off(void) {
    enum { T = 40, C = 12, H = 3, D = C / H };
    EVERY_PATH for (int off = 0; off < 1 << H; off++) {
        WHERE("heads off %d path %s", off, path_name(path));
        char is_off[H];
        for (int h = 0; h < H; h++) is_off[h] = off >> h & 1;
        real *qkv = some_reals((size_t)T * 3 * C, 1), *kt = reals(C * T);
        real *work = reals(attention_work(T, D) * omp_get_max_threads());
        real *all = some_reals(T * C, 1), *some = some_reals(T * C, 1);
        attention_forward(all, kt, NULL, work, qkv, NULL, 1, T, 0, T, C, H);
        attention_forward(some, kt, NULL, work, qkv, is_off, 1, T, 0, T, C, H);
        for (int i = 0; i < T * C; i++) HOLDS(some[i] == (is_off[i % C / D] ? 0 : all[i]));
        free(qkv), aligned_free(kt), aligned_free(work), free(all), free(some);
    }
}

// ---- Adam ----

static void adam_steps(void) {
    EVERY_PATH for (int n = 1; n < 60; n += 29) {
        WHERE("n=%d path %s", n, path_name(path));
        real *w = some_reals(n, 1), *g = some_reals(n, 1), *m = reals(n), *v = reals(n);
        double *w_ = as_doubles(w, n), *m_ = no_doubles(n), *v_ = no_doubles(n);
        for (int step = 1; step <= 5; step++) {
            const double lr = 0.01, decay = 0.1, clip = 0.5, b1 = constant.beta1,
                         b2 = constant.beta2;
            for (int i = 0; i < n; i++) {
                g[i] = (real)any(3);
                double d = clip * g[i];
                m_[i] = b1 * m_[i] + (1 - b1) * d, v_[i] = b2 * v_[i] + (1 - b2) * d * d;
                double m_hat = m_[i] / (1 - pow(b1, step)), v_hat = v_[i] / (1 - pow(b2, step));
                w_[i] = w_[i] - lr * decay * w_[i] - lr * m_hat / (sqrt(v_hat) + constant.epsilon);
            }
            adam(w, g, m, v, n, (real)lr, (real)decay, (real)clip,
                 (real)(1 / (1 - pow(b1, step))), (real)(1 / (1 - pow(b2, step))));
            CLOSE_ALL(w, w_, n, tolerance);
            CLOSE_ALL(m, m_, n, tolerance);
            CLOSE_ALL(v, v_, n, tolerance);
            for (int i = 0; i < n; i++) HOLDS(g[i] == 0);
        }
        free(w), free(g), aligned_free(m), aligned_free(v), free(w_), free(m_), free(v_);
    }
}

// The whole step over the table of tensors: clipping at length 1, decay of matrices only, no touch
// of fixed tensors, correction for the beginning.
static void adam_over_tensors(void) {
    EVERY_PATH for (double size = 1e-3; size < 2; size *= 1e3) {
        WHERE("gradients of %g path %s", size, path_name(path));
        Config c = {.pos = SIN, .tie = 0, .layers = 1, .heads = 1, .dim = 8, .hidden = 24,
                    .context = 9, .V = 5};
        Random r = {1};
        Model m = model_shape(c);
        model_init(&m, &r);
        params_train(&m.p);
        for (int step = 0; step < 3; step++) {
            double squares = 0, *before = as_doubles(m.p.w, m.p.size);
            double *m1 = as_doubles(m.p.m, m.p.size), *v1 = as_doubles(m.p.v, m.p.size);
            for (int i = 0; i < m.p.count; i++)
                for (size_t j = 0; j < tensor_size(&m.p.tensor[i]); j++) {
                    if (m.p.tensor[i].fixed) continue;
                    real *g = &m.p.g[m.p.tensor[i].at + j];
                    *g = (real)any(size), squares += (double)*g * *g;
                }
            double *g = as_doubles(m.p.g, m.p.size), length = sqrt(squares);
            CLOSE(gradient_norm(&m.p), length, tolerance);
            optimizer_step(&m.p, step, 0.01, 0.3);
            for (int i = 0; i < m.p.count; i++) {
                const Tensor *t = &m.p.tensor[i];
                for (size_t k = t->at; k < t->at + tensor_size(t); k++) {
                    double d = g[k] / (length > constant.clip ? length / constant.clip : 1);
                    double first = constant.beta1 * m1[k] + (1 - constant.beta1) * d;
                    double second = constant.beta2 * v1[k] + (1 - constant.beta2) * d * d;
                    double move = first / (1 - pow(constant.beta1, step + 1)) /
                                  (sqrt(second / (1 - pow(constant.beta2, step + 1))) + 1e-8);
                    double want = t->fixed ? before[k]
                                           : before[k] - 0.01 * (move + (t->rows ? 0.3 : 0) * before[k]);
                    if (!(fabs(m.p.w[k] - want) < (IS_DOUBLE ? 1e-12 : 1e-6)))
                        test_fail(__LINE__, "%s: weight %.9g, should be %.9g", t->name,
                                  (double)m.p.w[k], want);
                    HOLDS(t->fixed || m.p.g[k] == 0);
                }
            }
            free(before), free(m1), free(v1), free(g);
        }
        model_free(&m);
    }
}

// c (M,N) = a (M,K) b (K,N) of doubles, with b turned or not
static void multiply(double *c, const double *a, const double *b, int M, int N, int K, bool turned_b) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            c[i * N + j] = 0;
            for (int k = 0; k < K; k++) c[i * N + j] += a[i * K + k] * b[turned_b ? j * K + k : k * N + j];
        }
}

// x (R,C), R <= C, as orthogonalise() should leave it
static void orthogonal(double *x, int R, int C) {
    double *A = no_doubles(R * R), *B = no_doubles(R * R), *y = no_doubles(R * C), squares = 0;
    for (int i = 0; i < R * C; i++) squares += x[i] * x[i];
    for (int i = 0; i < R * C; i++) x[i] /= sqrt(squares);
    for (int times = 0; times < 5; times++) {
        multiply(A, x, x, R, R, C, true);
        multiply(B, A, A, R, R, R, false);
        for (int i = 0; i < R * R; i++) B[i] = 2.0315 * B[i] - 4.775 * A[i];
        multiply(y, B, x, R, C, R, false);
        for (int i = 0; i < R * C; i++) x[i] = 3.4445 * x[i] + y[i];
    }
    free(A), free(B), free(y);
}

// Muon on every matrix of the layers, three in c_attn, and Adam on all else: against the same
// steps in plain loops. Then what they are for: a step is about as strong in each direction.
static void muon_steps(void) {
    test_random.state = 2; // five rounds make these nearly orthogonal, but not every matrix
    EVERY_PATH {
        WHERE("path %s", path_name(path));
        Config c = {.pos = LEARNED, .layers = 2, .heads = 1, .dim = 6, .hidden = 20, .context = 9, .V = 5};
        Random r = {1};
        Model m = model_shape(c);
        model_init(&m, &r);
        params_train(&m.p);
        m.p.has_muon = true;
        for (int step = 0; step < 3; step++) {
            double *before = as_doubles(m.p.w, m.p.size), *mean = as_doubles(m.p.m, m.p.size);
            for (int i = 0; i < m.p.count; i++)
                for (size_t j = 0; j < tensor_size(&m.p.tensor[i]); j++)
                    m.p.g[m.p.tensor[i].at + j] = (real)any(1e-3); // short: nothing is clipped
            double *g = as_doubles(m.p.g, m.p.size);
            optimizer_step(&m.p, step, 0.01, 0.3);
            int matrices = 0;
            for (int i = 0; i < m.p.count; i++) {
                const Tensor *t = &m.p.tensor[i];
                SAME(t->blocks, !strstr(t->name, ".h.") || !t->rows ? 0 : strstr(t->name, "c_attn") ? 3 : 1);
                if (!t->blocks) continue;
                const int I = t->rows, O = t->cols / t->blocks, R = I < O ? I : O, C = I + O - R;
                for (int k = 0; k < t->blocks; k++, matrices++) {
                    double *x = no_doubles(R * C), *gram = no_doubles(R * R);
                    for (int a = 0; a < I; a++)
                        for (int b = 0; b < O; b++) {
                            size_t at = t->at + (size_t)a * t->cols + k * O + b;
                            double ahead = 0.95 * mean[at] + 0.05 * g[at];
                            x[I > O ? b * I + a : a * O + b] = 0.95 * ahead + 0.05 * g[at];
                            CLOSE(m.p.m[at], ahead, tolerance);
                        }
                    orthogonal(x, R, C);
                    multiply(gram, x, x, R, R, C, true);
                    for (int a = 0; a < R * R; a++) HOLDS(fabs(gram[a] - (a % (R + 1) == 0)) < 0.55);
                    for (int a = 0; a < I; a++)
                        for (int b = 0; b < O; b++) {
                            size_t at = t->at + (size_t)a * t->cols + k * O + b;
                            double step_ = 0.2 * sqrt(C) * x[I > O ? b * I + a : a * O + b];
                            double want = before[at] - 0.01 * (step_ + 0.3 * before[at]);
                            if (!(fabs(m.p.w[at] - want) < (IS_DOUBLE ? 1e-11 : 3e-5)))
                                test_fail(__LINE__, "%s: weight %.9g, should be %.9g", t->name,
                                          (double)m.p.w[at], want);
                            HOLDS(m.p.g[at] == 0 && m.p.v[at] == 0);
                        }
                    free(x), free(gram);
                }
            }
            SAME(matrices, 2 * 6);
            HOLDS(m.p.v[m.wte] > 0); // the embedding has learned by Adam
            free(before), free(mean), free(g);
        }
        model_free(&m);
    }
}

static void schedule(void) {
    Options o = {.lr = 0.5, .warmup = 10};
    CLOSE(learning_rate(&o, 0, 0), 0.05, 1e-12);
    CLOSE(learning_rate(&o, 4, 0), 0.25, 1e-12);
    CLOSE(learning_rate(&o, 9, 0), 0.5, 1e-12);
    CLOSE(learning_rate(&o, 1000, 0), 0.5, 1e-12);
    CLOSE(learning_rate(&o, 1000, 0.5), 0.5 * (1 + constant.last_lr) / 2, 1e-12);
    CLOSE(learning_rate(&o, 1000, 1), 0.5 * constant.last_lr, 1e-12);
    o.warmup = 0;
    CLOSE(learning_rate(&o, 0, 0), 0.5, 1e-12);
}

// ---- counting ----

static void counting(void) {
    enum { V = 6, N = 500, M = 80 };
    Token train[N], text[M];
    for (int i = 0; i < N; i++) train[i] = (Token)(random_bits(&test_random) % (V - 1)); // one unseen
    for (int i = 0; i < M; i++) text[i] = (Token)(random_bits(&test_random) % V);
    Stream s = {train, N}, s2 = {text, M};
    double *counts = count_pairs(s, V), one[V] = {0}, pair[V][V] = {{0}}, from[V] = {0};
    for (int i = 1; i < N; i++) one[train[i]]++, pair[train[i - 1]][train[i]]++, from[train[i - 1]]++;
    for (int i = 0; i < V; i++)
        for (int j = 0; j < V; j++) SAME(counts[i * V + j], pair[i][j]);
    double unigram = 0, bigram = 0, counted = 0;
    for (int i = 0; i < V; i++) {
        if (one[i] > 0) unigram -= one[i] / (N - 1) * log(one[i] / (N - 1));
        for (int j = 0; j < V; j++)
            if (pair[i][j] > 0) bigram -= pair[i][j] / (N - 1) * log(pair[i][j] / from[i]);
    }
    for (int i = 1; i < M; i++)
        counted -= log((pair[text[i - 1]][text[i]] + 1) / (from[text[i - 1]] + V)) / (M - 1);
    CLOSE(entropy(counts, V, false), unigram, 1e-12);
    CLOSE(entropy(counts, V, true), bigram, 1e-12);
    CLOSE(table_loss(counts, V, s2), counted, 1e-12);
    // what is drawn from the table comes as often as it was counted
    double drawn[V] = {0}, many = 100000;
    for (int i = 0; i < many; i++) drawn[draw_from_table(counts, V, 2, &test_random)]++;
    for (int j = 0; j < V; j++) CLOSE(drawn[j] / many, pair[2][j] / from[2], 0.01);
    free(counts);
}

// ---- positions ----

static void sinusoids(void) {
    enum { T = 50, C = 12 };
    real w[T * C];
    fill_sinusoids(w, T, C, 0.1);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < C / 2; i++) {
            double angle = t / pow(10000, 2.0 * i / C), scale = w[1];
            CLOSE(w[t * C + 2 * i], scale * sin(angle), 1e-7);
            CLOSE(w[t * C + 2 * i + 1], scale * cos(angle), 1e-7);
        }
    HOLDS(w[1] >= 0.02 && w[1] <= 0.2);
}

int main(void) {
    RUN(e_to_x);
    RUN(square_root);
    RUN(linear);
    RUN(embedding);
    RUN(layer_norm);
    RUN(norm_of_equals);
    RUN(activations);
    RUN(softmax_of);
    RUN(cross_entropy);
    RUN(softmax_of_infinities);
    RUN(softmax_slope);
    RUN(attention);
    RUN(attention_in_pieces);
    RUN(heads_switched_off);
    RUN(adam_steps);
    RUN(adam_over_tensors);
    RUN(muon_steps);
    RUN(schedule);
    RUN(counting);
    RUN(sinusoids);
    return test_cases_failed > 0;
}
