// matmul.c: every way to multiply matrices against the triple loop, for awkward shapes.
#include "test.h"

enum { GUARD = 3 };
static const int sizes[] = {1, 3, 17, 31, 47, 48, 49, 100};
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef enum { ZERO, BIAS, OTHER, ITSELF, STARTS } Start;
typedef enum { STRAIGHT, TURNED, WIDE, LAYOUTS } Layout;

// One shape in every way: what c begins with, how a lies in memory, one thread or all, all paths.
// c lies within a larger array whose other numbers must stay what they were.
static void one_shape(int M, int N, int K) {
    const size_t c_row = N + 2 * GUARD, c_size = (M + 2 * GUARD) * c_row;
    const size_t b_row = N + 5, s_row = N + 2;
    real *a_memory = some_reals((size_t)(M + 7) * (K + 7), 1), *b = some_reals(K * b_row, 1);
    real *s = some_reals((size_t)M * s_row, 1), *before = some_reals(c_size, 1);
    real *c = malloc(c_size * sizeof *c);
    double *want = no_doubles((size_t)M * N), *bound = no_doubles((size_t)M * N);
    for (Layout layout = STRAIGHT; layout < LAYOUTS; layout++)
        for (Start start = ZERO; start < STARTS; start++) {
            Matrix a = layout == STRAIGHT ? rows(a_memory, K)
                     : layout == TURNED   ? turned(a_memory, M)
                                          : rows(a_memory, K + 7);
            for (int i = 0; i < M; i++)
                for (int j = 0; j < N; j++) {
                    double sum = start == BIAS  ? s[j]
                               : start == OTHER ? s[i * s_row + j]
                               : start == ITSELF
                                   ? before[(i + GUARD) * c_row + GUARD + j]
                                   : 0,
                           size = fabs(sum);
                    for (int k = 0; k < K; k++) {
                        double x = (double)a.at[i * a.row + k * a.col] * b[k * b_row + j];
                        sum += x, size += fabs(x);
                    }
                    want[i * N + j] = sum;
                    bound[i * N + j] = size * (K + 2) * (IS_DOUBLE ? 2.3e-16 : 1.2e-7) + 1e-30;
                }
            EVERY_PATH {
                const bool shared = (layout + start + path) % 2;
                WHERE("M=%d N=%d K=%d layout %d start %d path %s %s", M, N, K, layout, start,
                      path_name(path), shared ? "matmul" : "product");
                memcpy(c, before, c_size * sizeof *c);
                real *at = c + GUARD * c_row + GUARD;
                Matrix from = start == ZERO    ? rows(NULL, 0)
                            : start == BIAS    ? rows(s, 0)
                            : start == OTHER   ? rows(s, (int)s_row)
                                               : rows(at, (int)c_row);
                (shared ? matmul : product)(at, c_row, from, a, rows(b, (int)b_row), M, N, K);
                int outside = 0;
                for (size_t i = 0; i < c_size; i++) {
                    size_t row = i / c_row, col = i % c_row;
                    if (row < GUARD || row >= (size_t)M + GUARD || col < GUARD ||
                        col >= (size_t)N + GUARD)
                        outside += c[i] != before[i];
                    else {
                        size_t ij = (row - GUARD) * N + col - GUARD;
                        if (!(fabs(c[i] - want[ij]) <= bound[ij])) {
                            test_fail(__LINE__, "c[%zu][%zu] is %.9g, should be %.9g",
                                      row - GUARD, col - GUARD, (double)c[i], want[ij]);
                            i = (row + 1) * c_row; // one complaint per row is enough
                        }
                    }
                }
                SAME(outside, 0);
            }
        }
    free(a_memory), free(b), free(s), free(before), free(c), free(want), free(bound);
}

static void odd_shapes(void) {
    for (int m = 0; m < SIZES; m++)
        for (int n = 0; n < SIZES; n++)
            for (int k = 0; k < SIZES; k++) one_shape(sizes[m], sizes[n], sizes[k]);
}

// Deeper than one slice of k, wider and taller than one block of matmul, and heads of 8 to 64.
static void long_shapes(void) {
    static const int deep[] = {255, 256, 257, 513}, few[] = {1, 9, 50};
    for (int k = 0; k < 4; k++)
        for (int m = 0; m < 3; m++)
            for (int n = 0; n < 3; n++) one_shape(few[m], few[n], deep[k]);
    for (int k = 0; k < 4; k++) one_shape(33, 8 << k, 70), one_shape(33, 70, 8 << k);
    one_shape(1, 1001, 401), one_shape(1, 4099, 127);
    one_shape(1, 50, 0), one_shape(9, 50, 0); // nothing to add: what it starts from
    one_shape(130, 200, 40);
    one_shape(64, 96, 65);
    one_shape(65, 97, 300);
}

// What is infinite or not a number stays so: a zero must not hide it, nor may a neighbour catch it.
static void infinities(void) {
    enum { M = 9, N = 50, K = 20 };
    real *a = some_reals(M * K, 1), *b = some_reals(K * N, 1), c[M * N];
    a[3 * K + 7] = (real)INFINITY, b[7 * N + 5] = 0;
    EVERY_PATH {
        WHERE("path %s", path_name(path));
        product(c, N, rows(NULL, 0), rows(a, K), rows(b, N), M, N, K);
        for (int i = 0; i < M * N; i++)
            if (i / N != 3)
                HOLDS(isfinite(c[i]));
            else if (i % N == 5)
                HOLDS(isnan(c[i]));
            else
                HOLDS(isinf(c[i]));
    }
    free(a), free(b);
}

// The same bits from one thread and from several, from matmul and from product: no sum is shared.
static void same_bits(void) {
    enum { M = 200, N = 300, K = 90 };
    real *a = some_reals(M * K, 1), *b = some_reals(K * N, 1);
    real *c = malloc(sizeof(real) * M * N), *d = malloc(sizeof(real) * M * N);
    EVERY_PATH {
        WHERE("path %s", path_name(path));
        matmul(c, N, rows(NULL, 0), rows(a, K), rows(b, N), M, N, K);
#ifdef _OPENMP
        int threads = omp_get_max_threads();
        for (int n = 1; n <= 5; n++) {
            omp_set_num_threads(n);
            matmul(d, N, rows(NULL, 0), rows(a, K), rows(b, N), M, N, K);
            HOLDS(!memcmp(c, d, sizeof(real) * M * N));
        }
        omp_set_num_threads(threads);
#else
        matmul(d, N, rows(NULL, 0), rows(a, K), rows(b, N), M, N, K);
        HOLDS(!memcmp(c, d, sizeof(real) * M * N));
#endif
    }
    free(a), free(b), free(c), free(d);
}

// A row alone, small, long enough for threads to share it, deeper than two slices of k, and wider
// than the second sum's memory: right, the same bits from one thread and from several, and nothing
// else is written.
static void single_row(void) {
    static const int shapes[][2] = {{5, 7}, {1, 70000}, {401, 1001}, {1025, 130}, {127, 4099}};
    for (int s = 0; s < 5; s++) EVERY_PATH for (Start start = ZERO; start <= ITSELF; start++) {
            const int I = shapes[s][0], O = shapes[s][1];
            const size_t size = sizeof(real) * (O + GUARD);
            WHERE("I=%d O=%d path %s start %d", I, O, path_name(path), start);
            real *x = some_reals(I, 1), *W = some_reals((size_t)I * O, 1), *b = some_reals(O, 1);
            real *before = some_reals(O + GUARD, 1), *y = malloc(size), *again = malloc(size);
            memcpy(y, before, size);
            const Matrix one_row[] = {rows(NULL, 0), rows(b, 0), rows(b, O), rows(y, 0)};
            project(y, one_row[start], rows(x, I), rows(W, O), 1, I, O);
            for (int j = 0; j < O; j++) {
                double sum = start == ZERO ? 0 : start == ITSELF ? before[j] : b[j], bound = fabs(sum);
                for (int i = 0; i < I; i++) {
                    const double term = (double)x[i] * W[(size_t)i * O + j];
                    sum += term, bound += fabs(term);
                }
                if (!(fabs(y[j] - sum) <= bound * (I + 2) * (IS_DOUBLE ? 2.3e-16 : 1.2e-7)))
                    test_fail(__LINE__, "y[%d] is %.9g, should be %.9g", j, (double)y[j], sum);
            }
            HOLDS(!memcmp(y + O, before + O, sizeof(real) * GUARD));
#ifdef _OPENMP
            const int threads = omp_get_max_threads();
            for (int n = 1; n <= 5; n++) {
                omp_set_num_threads(n);
                memcpy(again, before, size);
                project(again, start == ITSELF ? rows(again, 0) : one_row[start], rows(x, I),
                        rows(W, O), 1, I, O);
                HOLDS(!memcmp(y, again, size));
            }
            omp_set_num_threads(threads);
#endif
            free(x), free(W), free(b), free(y), free(again), free(before);
        }
}

static void turning(void) {
    for (int m = 0; m < SIZES; m++)
        for (int n = 0; n < SIZES; n++) {
            const int R = sizes[m], C = sizes[n];
            real *in = some_reals((size_t)R * (C + 3), 1), *out = some_reals((size_t)C * (R + 2), 1);
            real *before = malloc(sizeof(real) * C * (R + 2));
            memcpy(before, out, sizeof(real) * C * (R + 2));
            WHERE("R=%d C=%d", R, C);
            turn(out, R + 2, in, C + 3, R, C);
            for (int j = 0; j < C; j++)
                for (int i = 0; i < R + 2; i++)
                    HOLDS(out[j * (R + 2) + i] ==
                          (i < R ? in[i * (C + 3) + j] : before[j * (R + 2) + i]));
            free(in), free(out), free(before);
        }
}

int main(void) {
    RUN(odd_shapes);
    RUN(long_shapes);
    RUN(infinities);
    RUN(same_bits);
    RUN(single_row);
    RUN(turning);
    return test_cases_failed > 0;
}
