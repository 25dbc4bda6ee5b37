// test.h: gpt.c as a library for the tests, and a few ways to insist.
//
// A test program includes this file, writes its cases as functions and calls them with RUN. Each
// case prints a line, `ok name` or `FAIL name: what went wrong`, which test.sh counts. Compile with
// -DGPT='"path/to/gpt.c"' to test another file, with -DREAL=double to test in double.

#define _POSIX_C_SOURCE 200809L // as gpt.c says, before any header
#include <setjmp.h>
#include <stdlib.h>

static jmp_buf test_jump;
static int test_catches, test_status;

// gpt.c ends the program through this: DIES catches it.
static void test_exit(int status) {
    test_status = status;
    if (test_catches) longjmp(test_jump, 1);
    exit(status);
}
#define EXIT test_exit

#ifndef GPT
#define GPT "../gpt.c"
#endif
#define main gpt_main
#include GPT
#undef main

#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wunused-function"
#endif

static const char *test_name = "";
static char test_where[200];     // which sizes, which path: set by WHERE, shown on failure
static int test_problems, test_cases_failed;

static void test_fail(int line, const char *format, ...) {
    va_list args;
    if (test_problems++ >= 5) return;
    printf("%s %s: line %d: ", test_problems == 1 ? "FAIL" : "    ", test_name, line);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("%s%s\n", *test_where ? "; " : "", test_where);
}

#define WHERE(...) snprintf(test_where, sizeof test_where, __VA_ARGS__)

// got and want are whole numbers
#define SAME(got, want)                                                                      \
    do {                                                                                     \
        long long got_ = (long long)(got), want_ = (long long)(want);                        \
        if (got_ != want_)                                                                   \
            test_fail(__LINE__, "%s is %lld, should be %s = %lld", #got, got_, #want, want_); \
    } while (0)

// |got - want| <= tolerance (1 + |want|); never true for a NaN
#define CLOSE(got, want, tolerance)                                                         \
    do {                                                                                    \
        double got_ = (double)(got), want_ = (double)(want);                                \
        if (!(fabs(got_ - want_) <= (tolerance) * (1 + fabs(want_))))                       \
            test_fail(__LINE__, "%s is %.9g, should be %s = %.9g", #got, got_, #want, want_); \
    } while (0)

#define HOLDS(condition)                                                   \
    do {                                                                   \
        if (!(condition)) test_fail(__LINE__, "not true: %s", #condition); \
    } while (0)

// The expression ends the program with this exit status.
#define DIES(status, expression)                                                         \
    do {                                                                                 \
        test_catches = 1, test_status = -1;                                              \
        if (!setjmp(test_jump)) (void)(expression);                                      \
        test_catches = 0;                                                                \
        if (test_status != (status))                                                     \
            test_fail(__LINE__, "%s ended with status %d (-1: not at all), should be %d", \
                      #expression, test_status, status);                                 \
    } while (0)

static void test_run(const char *name, void (*test)(void)) {
    test_name = name, test_problems = 0, *test_where = 0;
    path = best_path();
    test();
    if (test_problems > 5) printf("     %s: and %d more\n", name, test_problems - 5);
    if (test_problems)
        test_cases_failed++;
    else
        printf("ok %s\n", name);
    fflush(stdout);
}
#define RUN(test) test_run(#test, test)

// For the body of a case: once for every way to multiply that this CPU has.
#define EVERY_PATH for (path = PLAIN; path <= best_path() || (path = best_path(), false); path++)

enum { IS_DOUBLE = sizeof(real) == sizeof(double) };

// ---- numbers to test with ----

static Random test_random = {12345};

static double any(double scale) { return scale * (2 * random_uniform(&test_random) - 1); }

static real *some_reals(size_t n, double scale) { // free with free()
    real *x = malloc((n + 1) * sizeof *x);        // no more than n: a sanitizer sees the rest
    for (size_t i = 0; i < n; i++) x[i] = (real)any(scale);
    x[n] = (real)1e30;
    return x;
}

static double *as_doubles(const real *x, size_t n) {
    double *y = malloc((n + 1) * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = x[i];
    return y;
}

static double *no_doubles(size_t n) { return calloc(n + 1, sizeof(double)); }

// Every number of got close to that of want, relative to the largest of them.
static void close_all(int line, const char *what, const real *got, const double *want, size_t n,
                      double tolerance) {
    double most = 0, worst = -1;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) most = fabs(want[i]) > most ? fabs(want[i]) : most;
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)got[i] - want[i]);
        if (isnan(error)) error = INFINITY;
        if (error > worst) worst = error, at = i;
    }
    if (n && !(worst <= tolerance * (most + 1e-3)))
        test_fail(line, "%s[%zu] is %.9g, should be %.9g", what, at, (double)got[at], want[at]);
}
#define CLOSE_ALL(got, want, n, tolerance) close_all(__LINE__, #got, got, want, n, tolerance)
