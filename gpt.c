// gpt.c: a character language model in one file that can be read in an afternoon.
//
// It reads text, counts it, trains a model without context (an MLP) and a transformer on
// it, lets them write, and shows what they learned. tutorial.md is the book beside it:
// chapter N reads section N. Nothing is needed but a C compiler:
//
//     cc -O3 -fopenmp gpt.c -lm && ./a.out
//
// What the program does, in a dozen lines:
//
//     text   = read("stories.txt")                   section 1: characters become numbers
//     w      = random numbers                        section 6: the table of weights
//     repeat a few thousand times:
//         x, y   = windows of the text, and the same windows one character later
//         logits = model(x, w)                       sections 2, 3, 5, 6: forward
//         loss   = cross_entropy(logits, y)          section 3: how surprised was it?
//         dw     = how the loss changes with w       sections 2, 3, 5, 6: backward
//         w      = adam(w, dw)                       section 7: a small step downhill
//     repeat:
//         p      = softmax(model(text so far) / temperature)
//         print a character drawn from p             section 8: talking
//
// Letters for sizes, the same everywhere:
//     B stories side by side    T positions in a window    N = B*T rows of activations
//     C channels ("dim")        H heads    D = C/H         F hidden units of the MLP
//     L layers                  V different tokens: the characters, and end-of-text
// Arrays are row-major; shapes stand in brackets: (N,C) is N rows of C numbers.

// 0. Preface
//
// What every later section leans on: one way to fail, one random generator, one clock,
// one way to ask for memory, and one macro that compiles a loop for several kinds of CPU.

#define _POSIX_C_SOURCE 200809L // fsync, isatty, clock_gettime

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#ifdef _WIN32 // the only lines that know the operating system
#include <io.h>
#define fsync _commit
#define aligned_alloc(alignment, size) _aligned_malloc(size, alignment)
#define aligned_free _aligned_free
#define SIGPIPE SIGTERM
// rename() refuses there when the new name exists; this is as indivisible as POSIX's
__declspec(dllimport) int __stdcall MoveFileExA(const char *, const char *, unsigned);
#define rename(from, to) (MoveFileExA(from, to, 1) ? 0 : (errno = EACCES, -1))
static void wall_clock(struct timespec *t) { // which clock() is there, in milliseconds
    const long ms = clock();
    *t = (struct timespec){ms / 1000, ms % 1000 * 1000000};
}
#define clock_gettime(which, t) wall_clock(t)
#else
#include <unistd.h>
#define aligned_free free
#endif
#ifdef _OPENMP
#include <omp.h>
#define OPENMP "yes"
#else
#define OPENMP "no"
static int omp_get_max_threads(void) { return 1; }
static int omp_get_num_threads(void) { return 1; }
static int omp_get_thread_num(void) { return 0; }
static void omp_set_dynamic(int on) { (void)on; }
#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#endif

#define VERSION "1.0"
#ifdef __VERSION__
#define COMPILER __VERSION__
#else
#define COMPILER "unknown"
#endif
#ifndef REAL
#define REAL float // cc -DREAL=double builds the same program in double precision
#endif
typedef REAL real;

#ifndef EXIT
#define EXIT exit // tests and fuzzers put a jump here
#endif

static bool has_progress_line; // a line without its newline stands on the terminal

// One line on stderr, then the end. Status 2: the command is wrong. 1: anything else.
static void fail(int status, const char *format, ...) {
    va_list args;
    fflush(stdout);
    fputs(has_progress_line ? "\ngpt: " : "gpt: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    EXIT(status);
}
#define die(...) fail(1, __VA_ARGS__)
#define usage(...) fail(2, __VA_ARGS__)

// Random numbers: splitmix64 (Steele, Lea and Flood 2014). Its state is one number, so a
// checkpoint can hold it.
typedef struct {
    uint64_t state;
} Random;

static uint64_t random_bits(Random *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static double random_uniform(Random *r) {
    return (double)(random_bits(r) >> 11) * 0x1p-53;
}

static double random_normal(Random *r) { // Box and Muller 1958
    double radius = sqrt(-2 * log(1 - random_uniform(r)));
    return radius * cos(6.283185307179586 * random_uniform(r));
}

static double seconds(void) { // wall clock; the CPU clock would count every thread
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Memory for so many things of this size, zeroed. Ends the program when there is none.
static void *allocate(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size);
    if (!p) die("out of memory: cannot get %.0f MB more", 1e-6 * count * size);
    return p;
}

enum { LINE = 64 / sizeof(real) }; // reals in a cache line: tensors start on one

// Sizes that options or a file ask for are computed in 64 bits: in 32 they might wrap.
static uint64_t padded(uint64_t n) { return (n + LINE - 1) / LINE * LINE; }

// n zeros on a cache line boundary: a load that straddles two lines costs twice.
static real *reals(uint64_t n) {
    const uint64_t bytes = n ? padded(n) * sizeof(real) : 64;
    real *p = bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(64, (size_t)bytes);
    if (!p) die("out of memory: cannot get %.0f MB more", (double)bytes / 1e6);
    return memset(p, 0, (size_t)bytes);
}

static int smaller(int a, int b) { return a < b ? a : b; }

// Which instructions the hot loops use. Chosen once, in main; --matmul overrides.
typedef enum { PLAIN, SSE, AVX2, AVX512 } Path;
static Path path;

// PER_CPU(name, ...) makes name() from name_any(): the same plain loop, compiled for each
// instruction set and chosen at run time. Chapter 12 measures what that gains.
#define INLINE static inline __attribute__((always_inline))
#define ANY INLINE void
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#define FOR_AVX512 __attribute__((target("avx512f,avx512dq,fma")))
#else
#define FOR_AVX512 __attribute__((target("avx512f,avx512dq,fma,prefer-vector-width=512")))
#endif
#define FOR_AVX2 __attribute__((target("avx2,fma")))
#define PER_CPU(name, parameters, arguments)                                  \
    FOR_AVX512 static void name##_avx512 parameters { name##_any arguments; } \
    FOR_AVX2 static void name##_avx2 parameters { name##_any arguments; }     \
    static void name parameters {                                             \
        if (path == AVX512) name##_avx512 arguments;                          \
        else if (path == AVX2) name##_avx2 arguments;                         \
        else name##_any arguments;                                            \
    }
#else
#define PER_CPU(name, parameters, arguments) \
    static void name parameters { name##_any arguments; }
#endif

// 1. Text into numbers
//
// In: a UTF-8 file of stories separated by lines <|endoftext|>. Out: one long array of
// tokens, an end-of-text token before the first story and after every story, cut into a
// training and a validation part. A token is the number of a character: its place in the
// sorted vocabulary. The end-of-text token is the last number, V-1.

typedef uint16_t Token;
enum { CODE_POINTS = 0x110000, MOST_TOKENS = 65535 };
#define SEPARATOR "<|endoftext|>"

typedef struct {
    int V;            // characters + 1
    uint32_t *points; // (V-1) code points, ascending
    int *index;       // (CODE_POINTS) id + 1, or 0 for a character that is not in it
} Vocab;

typedef struct {
    const Token *at;
    size_t n;
} Stream;

typedef struct {
    Token *tokens;       // the whole --data file
    Token *valid_tokens; // --valid, when it was given
    Stream train, valid;
    size_t characters, stories;
    uint64_t fingerprint; // of the training stream, to notice a resume on another text
} Corpus;

// The length in bytes of the UTF-8 character at s, its code point in *point; 0 when
// invalid: cut short, longer than needed, a surrogate, or beyond U+10FFFF.
static int decode(const unsigned char *s, size_t left, uint32_t *point) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (!left) return 0;
    if (s[0] < 0x80) return *point = s[0], 1;
    const int length = s[0] < 0xc0 || s[0] >= 0xf8 ? 0
                     : s[0] < 0xe0                 ? 2
                     : s[0] < 0xf0                 ? 3
                                                   : 4;
    if (!length || left < (size_t)length) return 0;
    uint32_t c = s[0] & (0x7f >> length);
    for (int i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[length] || c >= CODE_POINTS || (c >= 0xd800 && c < 0xe000)) return 0;
    return *point = c, length;
}

// The character as UTF-8 in out (5 bytes are enough); returns its length.
static int encode(uint32_t c, char *out) {
    int length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[length] | c);
    out[length] = 0;
    return length;
}

// A token as one prints it: "a", "\n", "<eot>", "U+0007". Returns out (16 bytes).
static char *token_name(const Vocab *v, int id, char *out) {
    const uint32_t c = id < v->V - 1 ? v->points[id] : 0;
    const char *escape = c ? strchr("\nn\tt\rr", (int)c) : NULL;
    if (id == v->V - 1) strcpy(out, "<eot>");
    else if (escape && c < 32) sprintf(out, "\\%c", escape[1]);
    else if (c < 32 || (c >= 127 && c < 160)) sprintf(out, "U+%04X", (unsigned)c);
    else encode(c, out);
    return out;
}

// A token's name as a field of a CSV file, commas and quotes in quotes (RFC 4180).
static void put_csv_token(FILE *f, const Vocab *v, int id) {
    char name[16];
    token_name(v, id, name);
    if (*name == '"') fputs("\"\"\"\"", f);
    else fprintf(f, *name == ',' ? "\"%s\"" : "%s", name);
}

// The whole file; line ends of Windows become "\n", a byte-order mark is dropped.
static unsigned char *read_text(const char *file, size_t *size) {
    FILE *f = fopen(file, "rb");
    if (!f) die("cannot open %s: %s", file, strerror(errno));
    size_t n = 0, room = 1 << 16, got;
    unsigned char *s = allocate(room, 1);
    while ((got = fread(s + n, 1, room - n, f)) > 0)
        if ((n += got) == room && !(s = realloc(s, room *= 2)))
            die("out of memory: %s needs more than %zu MB", file, room / 1000000);
    if (ferror(f)) die("cannot read %s: %s", file, strerror(errno));
    fclose(f);
    size_t mark = n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0, kept = 0;
    for (size_t i = mark; i < n; i++)
        if (!(s[i] == '\r' && i + 1 < n && s[i + 1] == '\n')) s[kept++] = s[i];
    if (kept < n)
        fprintf(stderr, "note: %s: %s%s%s\n", file, mark ? "byte-order mark dropped" : "",
                mark && kept + mark < n ? ", " : "",
                kept + mark < n ? "CRLF read as LF" : "");
    if (!kept)
        die("%s is empty: a text to learn from has at least a few hundred characters",
            file);
    *size = kept;
    return s;
}

// Where the story that begins at `at` ends; *next is where the one after it begins.
// The newline before a separator and the one after it belong to it, and so does one at
// the end of the file.
static size_t story_end(const unsigned char *s, size_t n, size_t at, size_t *next) {
    const size_t length = strlen(SEPARATOR);
    for (size_t i = at; i < n;) {
        if (n - i >= length && !memcmp(s + i, SEPARATOR, length) &&
            (i + length == n || s[i + length] == '\n')) {
            *next = i + length + (i + length < n);
            return i > at ? i - 1 : i;
        }
        const unsigned char *newline = memchr(s + i, '\n', n - i);
        i = newline ? (size_t)(newline - s) + 1 : n;
    }
    *next = n;
    return n > at && s[n - 1] == '\n' ? n - 1 : n;
}

// Walks over every character of every story that is not empty. With out = NULL it counts
// them into counts (CODE_POINTS), else it writes tokens. Returns the number of tokens.
static size_t walk(const unsigned char *s, size_t n, const char *file, uint64_t *counts,
                   const Vocab *v, Token *out) {
    size_t tokens = 1; // the end-of-text token before the first story
    if (out) out[0] = (Token)(v->V - 1);
    for (size_t at = 0, next; at < n; at = next) {
        size_t end = story_end(s, n, at, &next), first = at;
        while (first < end && s[first] == '\n') first++;
        if (first == end) continue;
        for (uint32_t c; at < end; tokens++) {
            int length = decode(s + at, end - at, &c);
            if (!length)
                die("%s: byte %zu is not UTF-8; if the file is Latin-1, convert it: "
                    "iconv -f LATIN1 -t UTF-8 %s > utf8.txt",
                    file, at, file);
            if (out) out[tokens] = (Token)(v->index[c] - 1);
            else counts[c]++;
            at += (size_t)length;
        }
        if (out) out[tokens] = (Token)(v->V - 1);
        tokens++;
    }
    return tokens;
}

static void vocab_free(Vocab *v) {
    free(v->points);
    free(v->index);
}

static void vocab_add(Vocab *v, uint32_t point) { // in ascending order
    v->points[v->V - 1] = point;
    v->index[point] = v->V++;
}

static Vocab vocab_new(int characters) {
    return (Vocab){1, allocate((size_t)characters + 1, sizeof(uint32_t)),
                   allocate(CODE_POINTS, sizeof(int))};
}

// Ends the program if the text has characters that the vocabulary lacks, and lists them.
static void check_known(const uint64_t *counts, const Vocab *v, const char *file) {
    char list[240] = "", name[5];
    int unknown = 0;
    for (uint32_t c = 0; c < CODE_POINTS; c++) {
        if (!counts[c] || v->index[c] || unknown++ >= 5) continue;
        name[c < 32 ? 0 : encode(c, name)] = 0;
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s'%s' (U+%04X) %llu times",
                 used ? ", " : "", name, (unsigned)c, (unsigned long long)counts[c]);
    }
    if (unknown)
        die("%s has %d character%s that the model's vocabulary lacks: %s%s; replace "
            "them, or name the text of the model (--data, for gpt tune --old)",
            file, unknown, unknown == 1 ? "" : "s", list, unknown > 5 ? ", ..." : "");
}

// A file as tokens (free them). Builds the vocabulary when v->V is 0, else insists on it.
static Token *read_tokens(const char *file, Vocab *v, size_t *n, size_t *characters) {
    size_t size;
    unsigned char *s = read_text(file, &size);
    uint64_t *counts = allocate(CODE_POINTS, sizeof *counts);
    *n = walk(s, size, file, counts, NULL, NULL);
    *characters = 0;
    int different = 0;
    for (uint32_t c = 0; c < CODE_POINTS; c++)
        *characters += counts[c], different += counts[c] > 0;
    if (!*characters) die("%s has no text between its separators", file);
    if (different >= MOST_TOKENS)
        die("%s has %d different characters, at most %d are possible", file, different,
            MOST_TOKENS - 1);
    if (!v->V) {
        *v = vocab_new(different);
        for (uint32_t c = 0; c < CODE_POINTS; c++)
            if (counts[c]) vocab_add(v, c);
    }
    check_known(counts, v, file);
    Token *tokens = allocate(*n, sizeof *tokens);
    walk(s, size, file, counts, v, tokens);
    free(counts);
    free(s);
    return tokens;
}

// Reads the text and splits it: the last tenth of the stories is for validation (of the
// characters, when there are fewer than 10 stories), unless `valid` names a file.
static Corpus read_corpus(const char *data, const char *valid, Vocab *v) {
    Corpus c = {0};
    size_t n, ignored;
    c.tokens = read_tokens(data, v, &n, &c.characters);
    const Token end = (Token)(v->V - 1);
    for (size_t i = 1; i < n; i++) c.stories += c.tokens[i] == end;
    size_t cut = n - 1; // where validation begins: if there are 10 stories, between two
    if (valid) {
        c.valid_tokens = read_tokens(valid, v, &c.valid.n, &ignored);
        c.valid.at = c.valid_tokens;
    } else {
        if (c.stories < 10) cut = n - n / 10;
        for (size_t left = c.stories < 10 ? 0 : c.stories / 10; left > 0;)
            left -= c.tokens[--cut] == end;
        c.valid = (Stream){c.tokens + cut, n - cut};
    }
    c.train = (Stream){c.tokens, cut + 1 < n ? cut + 1 : n};
    if (c.valid.n < 2)
        die("%s is too short: nothing is left for validation", valid ? valid : data);
    c.fingerprint = 0xcbf29ce484222325; // FNV-1a
    for (size_t i = 0; i < c.train.n; i++)
        c.fingerprint = (c.fingerprint ^ c.train.at[i]) * 0x100000001b3;
    return c;
}

static void corpus_free(Corpus *c) {
    free(c->tokens);
    free(c->valid_tokens);
}

// B random windows: x (B,T) is what the model sees, y (B,T) the same one character on.
static void draw_windows(Stream s, int *x, int *y, int B, int T, Random *r) {
    for (int b = 0; b < B; b++) {
        size_t start = (size_t)(random_uniform(r) * (double)(s.n - (size_t)T));
        for (int t = 0; t < T; t++) {
            x[(size_t)b * T + t] = s.at[start + (size_t)t];
            y[(size_t)b * T + t] = s.at[start + (size_t)t + 1];
        }
    }
}

// 2. Matrix multiplication
//
// Most of a language model's time goes into sums of products, C = A B. Here are the plain
// loop and the way to share it among threads; section 12 has a faster product().

typedef struct {
    const real *at; // element (i,j) is at[i * row + j * col]; NULL is a matrix of zeros
    size_t row, col;
} Matrix;

// A matrix with rows of this width (0: one row again and again); the same, transposed.
static Matrix rows(const real *at, int width) { return (Matrix){at, (size_t)width, 1}; }
static Matrix turned(const real *at, int width) { return (Matrix){at, 1, (size_t)width}; }

// What is left of m from row i and column j on.
static Matrix part(Matrix m, size_t i, size_t j) {
    return (Matrix){m.at ? m.at + i * m.row + j * m.col : NULL, m.row, m.col};
}

// c (M,N), with rows c_row apart, = start (M,N) + a (M,K) b (K,N), in one thread. Only a
// may be turned: the inner loop wants the rows of c, start and b in one piece.
static void product_plain(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M,
                          int N, int K) {
    for (int i = 0; i < M; i++) {
        real *ci = c + (size_t)i * c_row;
        for (int j = 0; j < N; j++) ci[j] = start.at ? part(start, i, 0).at[j] : 0;
        for (int k = 0; k < K; k++) {
            const real x = *part(a, i, k).at, *bk = part(b, k, 0).at;
            for (int j = 0; j < N; j++) ci[j] += x * bk[j];
        }
    }
}

static void product(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M, int N,
                    int K); // section 12

// product() with all threads: blocks of c are dealt out like cards; each is computed by
// one thread, in one order, so the bits don't depend on how many threads there are.
static void matmul(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M, int N,
                   int K) {
    const int tall = 64, wide = 96;
    const int down = (M + tall - 1) / tall, across = (N + wide - 1) / wide;
    #pragma omp parallel for schedule(static, 1) if ((double)M * N * K > 1 << 16)
    for (int block = 0; block < down * across; block++) {
        const int i = block % down * tall, j = block / down * wide;
        product(c + i * c_row + j, c_row, part(start, i, j), part(a, i, 0), part(b, 0, j),
                smaller(tall, M - i), smaller(wide, N - j), K);
    }
}

// 3. Layers
//
// The linear layer, one product forward and two back, and the small functions between two
// of them: embedding, layer norm, ReLU and GELU, softmax and cross-entropy. Forward, each
// treats its N rows one by one; each backward stands right below. It ADDS into gradients
// of weights and of the stream (the rows x, section 6); its comment names what it
// overwrites.

// out (C,R) = in (R,C) turned, 16 rows at a time: whole lines of the cache are written,
// and the lines that are read are used up while they are there.
static void turn(real *out, size_t out_row, const real *in, size_t in_row, int R, int C) {
    enum { SIDE = 16 };
    for (int i = 0; i < R; i += SIDE)
        for (int j = 0; j < C; j++)
            if (i + SIDE <= R)
                for (int k = 0; k < SIDE; k++)
                    out[j * out_row + i + k] = in[(i + k) * in_row + j];
            else
                for (int k = i; k < R; k++) out[j * out_row + k] = in[k * in_row + j];
}

// y (O) = start (O) + x (I) W (I,O): a single row, as when a model writes. A large W is
// cut into an upper and a lower half of its rows, each one piece of memory (several, if
// rows are longer than WIDE): one half's sum is built in y, the other's in `second`,
// which is then added. With one thread it is done the same way, and gives the same bits.
static void matmul_row(real *y, Matrix start, Matrix x, Matrix W, int I, int O) {
    enum { WIDE = 2048 };
    real second[WIDE];
    if ((double)I * O <= 1 << 16) { // a second thread wouldn't pay
        product(y, O, start, x, W, 1, O, I);
        return;
    }
    for (int j = 0, n; j < O; j += n) {
        n = smaller(WIDE, O - j);
        #pragma omp parallel for schedule(static, 1)
        for (int half = 0; half < 2; half++) {
            const int from = half * (I / 2), K = half ? I - from : I / 2;
            product(half ? second : y + j, n, half ? rows(NULL, 0) : part(start, 0, j),
                    part(x, 0, from), part(W, from, j), 1, n, K);
        }
        for (int i = 0; i < n; i++) y[j + i] += second[i];
    }
}

// y (N,O) = start + x (N,I) W (I,O), where start is one row for all, or zeros.
static void project(real *y, Matrix start, Matrix x, Matrix W, int N, int I, int O) {
    if (N == 1) matmul_row(y, start, x, W, I, O);
    else matmul(y, O, start, x, W, N, O, I);
}

typedef struct {
    size_t w, b; // where its matrix (I,O) and bias (O) begin in the array of all weights
    int I, O;
} Linear;

// y (N,O) = x (N,I) W + b, with W and b in the array w.
static void linear_forward(real *y, const real *x, const real *w, Linear k, int N) {
    project(y, rows(w + k.b, 0), rows(x, k.I), rows(w + k.w, k.O), N, k.I, k.O);
}

// Threads that work side by side do the block behind IN_TURN one after the other, in the
// order of their numbers: what all add to comes out the same, whoever is there first.
#define IN_TURN                                                    \
    _Pragma("omp for ordered schedule(static, 1) nowait")          \
    for (int thread = 0; thread < omp_get_num_threads(); thread++) \
        _Pragma("omp ordered")

// forward: y = x W + b. Back, with dy (N,O), two products, and for b a sum, which is a
// product with a row of ones:
//     dx = dy W^T    dW += x^T dy    db += 1^T dy
static void linear_backward_weights(real *g, const real *dy, const real *x, Linear k,
                                    int N) {
    static const real one = 1;
    real *dW = g + k.w, *db = g + k.b;
    const int slice = (1 << 18) / k.O / 8 * 8 + 8; // rows of dW: nobody waits long
    IN_TURN {
        matmul_row(db, rows(db, 0), (Matrix){&one, 0, 0}, rows(dy, k.O), N, k.O);
    }
    for (int i = 0; i < k.I; i += slice) {
        real *at = dW + (size_t)i * k.O;
        const int n = smaller(slice, k.I - i);
        IN_TURN {
            matmul(at, k.O, rows(at, k.O), turned(x + i, k.I), rows(dy, k.O), n, k.O, N);
        }
    }
}

// Copies W, turned, to the place in the array wt that W has in w: once for many passes.
static void linear_turn(real *wt, const real *w, Linear k) {
    turn(wt + k.w, k.I, w + k.w, k.O, k.I, k.O);
}

// Overwrites dx (N,I).
static void linear_backward_input(real *dx, const real *dy, const real *wt, Linear k,
                                  int N) {
    matmul(dx, k.I, rows(NULL, 0), rows(dy, k.O), rows(wt + k.w, k.I), N, k.I, k.O);
}

static void linear_backward(real *dx, real *g, const real *dy, const real *x,
                            const real *wt, Linear k, int N) {
    linear_backward_weights(g, dy, x, k, N);
    linear_backward_input(dx, dy, wt, k, N);
}

// The square root. A compiler can't turn a loop with sqrtf() into vector instructions,
// since that may set errno. So in float: a guess of 1/root(x), within 4 %, from half the
// exponent of x in its bits (the number is Lomont's, 2003); each of three steps of
// Newton's method doubles its digits; and x times that is the root.
INLINE real root(real x) {
    if (sizeof(real) == sizeof(double)) return (real)sqrt((double)x);
    float f = (float)x, y;
    uint32_t bits;
    memcpy(&bits, &f, 4);
    bits = 0x5f375a86 - (bits >> 1);
    memcpy(&y, &bits, 4);
    for (int i = 0; i < 3; i++) y *= 1.5f - 0.5f * f * y * y;
    return (real)(f * y);
}

// e^x. In float: e^x = 2^n e^r with n = round(x / ln 2), |r| <= ln(2)/2, and the school
// book's series for e^r; plain arithmetic that compilers turn into vector instructions.
INLINE real e_to(real x) {
    if (sizeof(real) == sizeof(double)) return (real)exp((double)x);
    const float cut = x < -87 ? -87 : x > 88 ? 88 : (float)x;
    float shifted = cut * 1.44269504f + 12582912.0f; // 1.5 * 2^23: adding it rounds
#if FLT_EVAL_METHOD > 0 // x87 would keep more digits, and so not round
    shifted = *(volatile float *)&shifted;
#endif
    float n = shifted - 12582912.0f;
    float r = cut - n * 0.693359375f + n * 2.12194440e-4f; // ln 2 in two parts
    float series = 1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720));
    series = 1 + r * (1 + r * (1.0f / 2 + r * (1.0f / 6 + r * series)));
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits << 23) + 0x3f800000; // the float 2^n
    memcpy(&n, &bits, 4);
    return x < -87 ? 0 : (real)(series * n);
}

// x (N,C): row r is the embedding of ids[r], plus the vector of its position; wpe may be
// NULL. The N rows are stories of T positions, of which the first has the number t0.
static void embedding_forward(real *x, const int *ids, const real *wte, const real *wpe,
                              int N, int T, int t0, int C) {
    for (int r = 0; r < N; r++, x += C) {
        const real *token = wte + (size_t)ids[r] * C,
                   *position = wpe ? wpe + (size_t)(t0 + r % T) * C : NULL;
        for (int c = 0; c < C; c++) x[c] = wpe ? token[c] + position[c] : token[c];
    }
}

// forward: x[r] = wte[ids[r]] + wpe[t]; so each row of dx is added to the two rows that
// it came from. dwpe may be NULL.
static void embedding_backward(real *dwte, real *dwpe, const real *dx, const int *ids,
                               int N, int T, int C) {
    for (int r = 0; r < N; r++, dx += C) {
        real *token = dwte + (size_t)ids[r] * C;
        for (int c = 0; c < C; c++) token[c] += dx[c];
        for (int c = 0; c < C && dwpe; c++) dwpe[(size_t)(r % T) * C + c] += dx[c];
    }
}

typedef struct {
    size_t gain, bias; // where these (C) begin in the array of all weights
    int C;
} Norm;

// Layer norm (Ba, Kiros and Hinton 2016): each row of x (N,C) to mean 0 and variance 1,
// then a gain and a bias per channel. Keeps mean (N) and scale (N) = 1 / deviation.
// lab 1
ANY norm_forward_any(real *y, real *mean, real *scale, const real *x, const real *w,
                     Norm k, int N) {
    const real *gain = w + k.gain, *bias = w + k.bias;
    const int C = k.C;
    for (int r = 0; r < N; r++, x += C, y += C) {
        real sum = 0, squares = 0;
        #pragma omp simd reduction(+ : sum)
        for (int c = 0; c < C; c++) sum += x[c];
        const real m = sum / (real)C;
        #pragma omp simd reduction(+ : squares)
        for (int c = 0; c < C; c++) squares += (x[c] - m) * (x[c] - m);
        const real s = 1 / root(squares / (real)C + (real)1e-5); // inside the root
        for (int c = 0; c < C; c++) y[c] = (x[c] - m) * s * gain[c] + bias[c];
        mean[r] = m;
        scale[r] = s;
    }
}
PER_CPU(norm_forward,
        (real *y, real *mean, real *scale, const real *x, const real *w, Norm k, int N),
        (y, mean, scale, x, w, k, N))

// forward: n = (x - mean) scale, y = n gain + bias; so dgain += dy n, dbias += dy. With
// dn = dy gain, the mean takes away the average of dn, the deviation its part along n:
//     dx += scale (dn - avg(dn) - n avg(dn n))
// lab 1
ANY norm_backward_rows_any(real *restrict dx, real *g, const real *dy, const real *x,
                           const real *mean, const real *scale, const real *w, Norm k,
                           int N) {
    const real *gain = w + k.gain;
    real *restrict dgain = g + k.gain, *restrict dbias = g + k.bias;
    const int C = k.C;
    for (int r = 0; r < N; r++, dx += C, dy += C, x += C) {
        const real m = mean[r], s = scale[r];
        real sum = 0, along = 0;
        #pragma omp simd reduction(+ : sum, along)
        for (int c = 0; c < C; c++) {
            sum += dy[c] * gain[c];
            along += dy[c] * gain[c] * (x[c] - m) * s;
        }
        sum /= (real)C;
        along /= (real)C;
        for (int c = 0; c < C; c++) {
            const real n = (x[c] - m) * s;
            dx[c] += s * (dy[c] * gain[c] - sum - n * along);
            dgain[c] += dy[c] * n;
            dbias[c] += dy[c];
        }
    }
}
PER_CPU(norm_backward_rows,
        (real *dx, real *g, const real *dy, const real *x, const real *mean,
         const real *scale, const real *w, Norm k, int N),
        (dx, g, dy, x, mean, scale, w, k, N))

// The same, each thread in its turn: gain and bias have one gradient for all of them.
static void norm_backward(real *dx, real *g, const real *dy, const real *x,
                          const real *mean, const real *scale, const real *w, Norm k,
                          int N) {
    IN_TURN { norm_backward_rows(dx, g, dy, x, mean, scale, w, k, N); }
}

typedef enum { RELU, GELU } Activation;

// GELU(x) = x s(z) with s(z) = 1 / (1 + e^-z) and z = x (k + k3 x^2): the tanh form of
// Hendrycks and Gimpel 2016, since (1 + tanh(z/2)) / 2 = s(z).
#define GELU_K (real)1.5957691216057308
#define GELU_K3 (real)(1.5957691216057308 * 0.044715)

// y (n) = ReLU or GELU of x (n)
// lab 1
ANY activation_forward_any(real *y, const real *x, Activation kind, int n) {
    for (int i = 0; i < n && kind == RELU; i++) y[i] = x[i] > 0 ? x[i] : 0;
    for (int i = 0; i < n && kind == GELU; i++)
        y[i] = x[i] / (1 + e_to(-x[i] * (GELU_K + GELU_K3 * x[i] * x[i])));
}
PER_CPU(activation_forward, (real *y, const real *x, Activation kind, int n),
        (y, x, kind, n))

// ReLU: dx = dy where x > 0. GELU: dx = dy (s + x s (1 - s) z'). Overwrites d (n), which
// comes as dy and leaves as dx, and y (n): computing y again is cheaper than keeping it.
// lab 1
ANY activation_backward_any(real *y, real *d, const real *x, Activation kind, int n) {
    for (int i = 0; i < n && kind == RELU; i++) {
        y[i] = x[i] > 0 ? x[i] : 0;
        d[i] = x[i] > 0 ? d[i] : 0;
    }
    for (int i = 0; i < n && kind == GELU; i++) {
        const real square = x[i] * x[i],
                   s = 1 / (1 + e_to(-x[i] * (GELU_K + GELU_K3 * square)));
        y[i] = x[i] * s;
        d[i] *= s + y[i] * (1 - s) * (GELU_K + 3 * GELU_K3 * square);
    }
}
PER_CPU(activation_backward, (real *y, real *d, const real *x, Activation kind, int n),
        (y, d, x, kind, n))

// The largest of n numbers: one maximum for each place in four cache lines, then the
// maximum of these, so that neither neighbours nor the next line wait for each other.
INLINE real largest(const real *p, int n) {
    enum { PLACES = 4 * LINE };
    real most[PLACES];
    int i = 0;
    for (int j = 0; j < PLACES; j++) most[j] = -INFINITY;
    for (; i + PLACES <= n; i += PLACES)
        for (int j = 0; j < PLACES; j++)
            most[j] = p[i + j] > most[j] ? p[i + j] : most[j];
    for (; i < n; i++) most[0] = p[i] > most[0] ? p[i] : most[0];
    for (int half = PLACES / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++)
            most[j] = most[j + half] > most[j] ? most[j + half] : most[j];
    return most[0];
}

// Each of N rows of p, n long and `row` apart, becomes e^(scale p) / sum. The maximum is
// subtracted first: e^89 is more than a float can hold. total (N), if not NULL, receives
// the logarithm of each row's sum of e^(scale p).
// lab 1
ANY softmax_any(real *p, size_t row, int N, int n, real scale, real *total) {
    for (int r = 0; r < N; r++, p += row) {
        const real most = largest(p, n);
        real sum = 0;
        for (int i = 0; i < n; i++) p[i] = e_to((p[i] - most) * scale);
        #pragma omp simd reduction(+ : sum)
        for (int i = 0; i < n; i++) sum += p[i];
        const real share = 1 / sum;
        for (int i = 0; i < n; i++) p[i] *= share;
        if (total) total[r] = most * scale + (real)log(sum);
    }
}
PER_CPU(softmax, (real *p, size_t row, int N, int n, real scale, real *total),
        (p, row, N, n, scale, total))

// forward: p = softmax(scale x); so dx = scale p (dp - sum of p dp), which replaces dp.
// lab 3
ANY softmax_backward_any(real *dp, const real *p, size_t row, int N, int n, real scale) {
    for (int r = 0; r < N; r++, dp += row, p += row) {
        real sum = 0;
        #pragma omp simd reduction(+ : sum)
        for (int i = 0; i < n; i++) sum += p[i] * dp[i];
        for (int i = 0; i < n; i++) dp[i] = scale * p[i] * (dp[i] - sum);
    }
}
PER_CPU(softmax_backward,
        (real *dp, const real *p, size_t row, int N, int n, real scale),
        (dp, p, row, N, n, scale))

// loss (N) in nats = -ln p[target] = ln(sum of e^logit) - logit[target]. Overwrites the
// logits (N,V) with the probabilities.
// lab 1
static void cross_entropy_forward(real *loss, real *logits, const int *targets, int N,
                                  int V) {
    for (int r = 0; r < N; r++) loss[r] = -logits[(size_t)r * V + targets[r]];
    for (int r = 0; r < N; r++) {
        real total;
        softmax(logits + (size_t)r * V, V, 1, V, 1, &total);
        loss[r] += total;
    }
}

// So dlogit = p - (1 at the target). Overwrites p (N,V) with the gradient; `share` is
// what one row counts in the mean: 1 / (B T).
// lab 1
static void cross_entropy_backward(real *p, const int *targets, real share, int N,
                                   int V) {
    for (int r = 0; r < N; r++, p += V) {
        p[targets[r]] -= 1;
        for (int v = 0; v < V; v++) p[v] *= share;
    }
}

// 4. A model without context
//
// How far does one get by looking at the last character only? Counting answers: a table
// of V x V numbers says how often each character followed each other one. No model that
// sees one character can beat the table's entropy on the text it was counted on, and the
// MLP baseline, which is the transformer of section 6 with attention and positions taken
// out, learns just this table.

// counts (V,V): how often token j came right after token i. Free the result.
static double *count_pairs(Stream s, int V) {
    double *counts = allocate((size_t)V * V, sizeof *counts);
    for (size_t i = 1; i < s.n; i++) counts[(size_t)s.at[i - 1] * V + s.at[i]]++;
    return counts;
}

// The table's entropy in nats per token, of a token given the one before (pairs = true)
// or given nothing: sum of n ln(total / n), divided by the sum of n.
static double entropy(const double *counts, int V, bool pairs) {
    double *next = allocate(V, sizeof *next), nats = 0, all = 0;
    for (int i = 0; i < V; i++) {
        const double *row = counts + (size_t)i * V;
        double total = 0;
        for (int j = 0; j < V; j++) total += row[j], next[j] += row[j];
        for (int j = 0; j < V && pairs; j++)
            if (row[j] > 0) nats += row[j] * log(total / row[j]);
        all += total;
    }
    for (int j = 0; j < V && !pairs; j++)
        if (next[j] > 0) nats += next[j] * log(all / next[j]);
    free(next);
    return nats / all;
}

// Mean nats per token of `text` under the table; one is added to every count, so that a
// pair that was never seen is unlikely, not impossible (Laplace's rule).
static double table_loss(const double *counts, int V, Stream text) {
    double nats = 0, *total = allocate(V, sizeof *total);
    for (size_t i = 0; i < (size_t)V * V; i++) total[i / V] += counts[i] + 1;
    for (size_t i = 1; i < text.n; i++)
        nats -= log((counts[(size_t)text.at[i - 1] * V + text.at[i]] + 1) /
                    total[text.at[i - 1]]);
    free(total);
    return nats / (double)(text.n - 1);
}

// The token that follows `last`, drawn from the table.
static int draw_from_table(const double *counts, int V, int last, Random *r) {
    const double *row = counts + (size_t)last * V;
    double total = 0;
    for (int j = 0; j < V; j++) total += row[j];
    double u = random_uniform(r) * total;
    for (int j = 0; j < V; j++)
        if ((u -= row[j]) < 0) return j;
    return V - 1;
}

// 5. Attention
//
// The only place where positions talk to each other. Each position t puts out a query, a
// key and a value of D numbers per head. Its query is multiplied with the keys of all
// positions s <= t; the softmax of these scores says how much of each value it takes.
// In: qkv (N,3C), where head h has its query at h*D, its key at C + h*D and its value at
// 2C + h*D. Out: (N,C), the heads in a row.
//
// The mask: the future, s > t, gets the score -infinity, and so the weight e^-inf = 0.

enum { QUERIES = 32 }; // rows of scores at a time, so that no (T,T) array is ever needed

static size_t attention_work(int room, int D) { // reals of scratch that one thread needs
    return padded((size_t)(2 * QUERIES + D) * room);
}

// P (n,room) = softmax(Q Kt / sqrt(D)): queries t0 to t0 + n - 1 of one head against the
// keys 0 to t0 + n - 1; the weight of a key after the query is 0. q (n,.) has rows of 3C,
// kt (D,room) are the keys, turned.
// lab 2
static void attention_weights(real *P, const real *q, const real *kt, int t0, int n,
                              int D, int C, int room) {
    const real scale = 1 / root((real)D);
    product(P, room, rows(NULL, 0), rows(q, 3 * C), rows(kt, room), n, t0 + n, D);
    for (int i = 0; i < n; i++) {
        real *row = P + (size_t)i * room;
        for (int s = t0 + i + 1; s < t0 + n; s++) row[s] = -INFINITY; // the future
    }
    softmax(P, room, n, t0 + n, scale, NULL);
}

// out (B*T,C) from qkv (B*T,3C). Writes the turned keys kt (B,H,D,room), room >= T, which
// later calls and the backward use again: with from > 0 (and B = 1) only positions from
// `from` on are computed, the keys and values before are those of earlier calls. That is
// the KV cache. p, if not NULL, receives the weights (H,room,room) of the last story's
// computed rows. Heads with off[h] put out 0; off may be NULL.
// lab 2
static void attention_forward(real *out, real *kt, real *p, real *work, const real *qkv,
                              const char *off, int B, int T, int from, int room, int C,
                              int H) {
    const int D = C / H;
    for (int bh = 0; bh < B * H; bh++) {
        const int h = bh % H;
        const real *q = qkv + (size_t)(bh / H) * T * 3 * C + h * D, *k = q + C,
                   *v = q + 2 * C;
        real *keys = kt + (size_t)bh * D * room,
             *o = out + (size_t)(bh / H) * T * C + h * D;
        turn(keys + from, room, k + (size_t)from * 3 * C, 3 * C, T - from, D);
        for (int t = from, n; t < T; t += n) {
            n = smaller(QUERIES, T - t);
            attention_weights(work, q + (size_t)t * 3 * C, keys, t, n, D, C, room);
            product(o + (size_t)t * C, C, rows(NULL, 0), rows(work, room), rows(v, 3 * C),
                    n, D, t + n);
            for (int i = 0; i < n && p; i++)
                memcpy(p + ((size_t)h * room + t + i) * room, work + (size_t)i * room,
                       sizeof(real) * (t + n));
            for (int i = 0; i < n && off && off[h]; i++)
                memset(o + (size_t)(t + i) * C, 0, sizeof(real) * D);
        }
    }
}

// forward: S = Q Kt / sqrt(D), P = softmax(S), O = P V; so, for each head,
//     dV = Pt dO    dP = dO Vt    dS = P (dP - sum of P dP) / sqrt(D)
//     dQ = dS K     dK = dSt Q
// A key at s is touched by every query t >= s: its gradient is a sum over all of these.
// P is computed again: T x T numbers per head and layer would not stay in the cache.
// Overwrites dqkv (B*T,3C).
// lab 3
static void attention_backward(real *dqkv, real *work, const real *dout, const real *qkv,
                               const real *kt, int B, int T, int room, int C, int H) {
    const int D = C / H;
    const size_t W = 3 * (size_t)C;
    memset(dqkv, 0, sizeof(real) * B * T * W);
    for (int bh = 0; bh < B * H; bh++) {
        const size_t first = (size_t)(bh / H) * T * W + bh % H * D;
        const real *q = qkv + first, *k = q + C, *v = q + 2 * C,
                   *keys = kt + (size_t)bh * D * room;
        const real *dO = dout + (size_t)(bh / H) * T * C + bh % H * D;
        real *dq = dqkv + first, *dk = dq + C, *dv = dq + 2 * C;
        real *P = work, *dP = P + (size_t)QUERIES * room;
        real *vt = dP + (size_t)QUERIES * room;
        turn(vt, room, v, W, T, D);
        for (int t = 0, n; t < T; t += n) {
            n = smaller(QUERIES, T - t);
            attention_weights(P, q + t * W, keys, t, n, D, C, room);
            product(dP, room, rows(NULL, 0), rows(dO + (size_t)t * C, C), rows(vt, room),
                    n, t + n, D);
            product(dv, W, rows(dv, W), turned(P, room), rows(dO + (size_t)t * C, C),
                    t + n, D, n);
            softmax_backward(dP, P, room, n, t + n, 1 / root((real)D));
            product(dq + t * W, W, rows(NULL, 0), rows(dP, room), rows(k, W), n, D,
                    t + n);
            product(dk, W, rows(dk, W), turned(dP, room), rows(q + t * W, W), t + n, D,
                    n);
        }
    }
}

// 6. The transformer
//
// The pieces put together. A stream of C numbers per position starts as the embedding;
// every layer reads it twice and adds to it twice: once what attention found at other
// positions, once what the MLP made of it. At the end the head compares it with every
// token's embedding. Where a token stands is added at the beginning, as a learned row or
// one of sinusoids, or it turns queries and keys (rotary); each key may first be
// mixed with those before it (smeared, the default).
//
//     pre-norm  (GPT-2):      x = x + f(norm(x))      and one norm more before the head
//     post-norm (the paper):  x = norm(x + f(x))      Vaswani et al. 2017
//
// The MLP baseline has no attention and no positions; everything else is the same code.

// In the order in which section 13's table of options names them.
enum { TRANSFORMER, MLP };
enum { SIN, LEARNED, ROTARY, SMEARED, NONE };
enum { PRE, POST };
enum { SMEAR = 3 }; // how many keys before it a smeared key takes in

typedef struct {
    int model, pos, norm, act, tie;
    int layers, heads, dim, hidden, context, V;
} Config;

static bool adds_positions(const Config *c) {
    return c->model == TRANSFORMER && (c->pos == SIN || c->pos == LEARNED);
}

static bool rotates(const Config *c) { return c->pos == ROTARY || c->pos == SMEARED; }

// With smeared keys head 0 of every layer begins as one that copies. Returns how many
// channels that head has; 0 where there is none. (A context of 1 holds nothing to copy.)
static int copying(const Config *c) {
    const bool smeared = c->model == TRANSFORMER && c->pos == SMEARED;
    return smeared && c->context > 1 ? c->dim / c->heads : 0;
}

// The table of tensors: what a model consists of. It drives initialisation, Adam,
// checkpoints, the gradient check and `gpt info`.
typedef struct {
    char name[48];
    int rows, cols;   // rows = 0: a vector
    size_t at;        // where its numbers begin in w, g, m and v
    double mean, std; // of the initial values
    bool decays;      // weight decay pulls it towards 0 (matrices only)
    bool fixed;       // never trained: a table of sinusoids
    int blocks;       // for Muon: how many matrices stand side by side in it; 0: none
} Tensor;

typedef struct {
    Tensor *tensor;
    int count;
    uint64_t size;       // numbers in w; every tensor begins on a cache line
    real *w, *g, *m, *v; // weights, gradients, two moments, in one layout
    real *wt;            // and the matrices of the layers, turned for the backward
    bool has_muon;       // matrices of the layers learn by Muon, not by Adam
} Params;

typedef struct {
    Norm norm1, norm2;         // before (or after) each sub-layer
    size_t smear;              // (SMEAR,C) with --pos smeared
    Linear qkv, proj, fc, out; // attention has the first two, the MLP the others
} Layer;

typedef struct {
    Config c;
    Vocab vocab;
    Params p;
    size_t wte, wpe, head; // head = wte when tied
    Norm normf;
    Layer *layer;
    char *off; // (L,H) heads that are switched off
} Model;

typedef struct {        // what one sub-layer keeps for its backward pass
    const real *x;      // (N,C) the stream that came in
    real *sum;          // (N,C) x + f(...)
    real *y;            // (N,C) the norm's output
    real *mean, *scale; // (N) the norm's statistics
} Sublayer;

typedef struct {
    Sublayer attn, mlp;
    real *qkv;   // (N,3C)
    real *own;   // (N,C) the keys before they are smeared
    real *kt;    // (B,H,D,room) the keys, turned
    real *heads; // (N,C) what the heads put out
    real *fc;    // (N,F) before the activation
} LayerActs;

typedef struct Acts {  // what forward and backward passes write
    int rows, room;    // N at most, T at most
    int lanes;         // with `more`, this many micro-batches are computed side by side
    struct Acts *more; // (lanes-1)
    double sum;        // of the losses
    real *memory;
    LayerActs *layer;
    real *x;                // (N,C) what enters the first layer
    const real *stream;     // (N,C) after the last layer
    real *y, *mean, *scale; // (N,C), (N), (N) the final norm
    const real *last;       // (N,C) what the head reads
    real *head_turned;      // (C,V)
    real *logits, *loss;    // (N,V), (N)
    real *act, *work;       // (N,F) after the activation; attention's scratch
    real *p;            // NULL, or (L,H,room,room), of one story: attention's weights
    real *dx, *dy, *ds; // (N,C) gradients of the stream; of what a sub-layer reads, used
                        // with pre-norm; of what it adds, with post-norm. dy is ds.
    real *dqkv, *dfc;   // (N,3C), (N,F): in one place, since one is used after the other
} Acts;

static uint64_t tensor_size(const Tensor *t) {
    return (uint64_t)(t->rows ? t->rows : 1) * t->cols;
}

static size_t add_tensor(Params *p, int rows, int cols, double mean, double std,
                         const char *name, ...) {
    Tensor *t = &p->tensor[p->count++];
    *t = (Tensor){.rows = rows, .cols = cols, .at = p->size, .mean = mean, .std = std};
    t->decays = rows > 0;
    va_list args;
    va_start(args, name);
    vsnprintf(t->name, sizeof t->name, name, args);
    va_end(args);
    p->size += padded(tensor_size(t));
    return t->at;
}

static Norm add_norm(Params *p, int C, const char *name) {
    size_t gain = add_tensor(p, 0, C, 1, 0, "transformer.%s.weight", name);
    return (Norm){gain, add_tensor(p, 0, C, 0, 0, "transformer.%s.bias", name), C};
}

static Linear add_linear(Params *p, int I, int O, double std, int l, const char *name) {
    size_t w = add_tensor(p, I, O, 0, std, "transformer.h.%d.%s.weight", l, name);
    p->tensor[p->count - 1].blocks = strstr(name, "c_attn") ? 3 : 1;
    return (Linear){w, add_tensor(p, 0, O, 0, 0, "transformer.h.%d.%s.bias", l, name), I,
                    O};
}

// Fills the table for a model of this shape; allocates no weights yet. Names and layouts
// are those of GPT-2's own checkpoints (Radford et al. 2019), but for rotary positions,
// where wpe is the table of hands (T,D).
static Model model_shape(Config c) {
    Model m = {.c = c};
    const int C = c.dim, F = c.hidden;
    const double deep = 0.02 / sqrt(2.0 * c.layers); // 2L branches add up on the stream
    char name[32];
    Params *p = &m.p;
    p->tensor = allocate((size_t)c.layers * 13 + 5, sizeof(Tensor));
    m.layer = allocate(c.layers, sizeof(Layer));
    m.off = allocate((size_t)c.layers * c.heads, 1);
    m.wte = add_tensor(p, c.V, C, 0, 0.02, "transformer.wte.weight");
    if (c.model == TRANSFORMER && c.pos != NONE) {
        const int width = rotates(&c) ? C / c.heads : C;
        m.wpe = add_tensor(p, c.context, width, 0, 0.02, "transformer.wpe.weight");
        p->tensor[p->count - 1].fixed = c.pos != LEARNED;
    }
    for (int l = 0; l < c.layers; l++) {
        Layer *k = &m.layer[l];
        if (c.model == TRANSFORMER) {
            sprintf(name, "h.%d.ln_1", l);
            k->norm1 = add_norm(p, C, name);
            k->qkv = add_linear(p, C, 3 * C, 0.02, l, "attn.c_attn");
            k->proj = add_linear(p, C, C, deep, l, "attn.c_proj");
            if (copying(&c))
                k->smear =
                    add_tensor(p, SMEAR, C, 0, 0, "transformer.h.%d.attn.smear", l);
        }
        sprintf(name, "h.%d.ln_2", l);
        k->norm2 = add_norm(p, C, name);
        k->fc = add_linear(p, C, F, 0.02, l, "mlp.c_fc");
        k->out = add_linear(p, F, C, deep, l, "mlp.c_proj");
    }
    if (c.norm == PRE) m.normf = add_norm(p, C, "ln_f");
    m.head = c.tie ? m.wte : add_tensor(p, c.V, C, 0, 0.02, "lm_head.weight");
    return m;
}

// Positions as sines and cosines (Vaswani et al. 2017): each pair of channels is a clock
// hand with its own speed, `length` long. Added to tokens, which start at deviation 0.02,
// hands of length 1 would drown them; those that rotate() turns by must have it.
static void fill_sinusoids(real *wpe, int T, int C, double length) {
    for (int t = 0; t < T; t++)
        for (int c = 0; c < C; c++) {
            double angle = t / pow(10000, (double)(c / 2 * 2) / C);
            wpe[(size_t)t * C + c] = (real)(length * (c % 2 ? cos(angle) : sin(angle)));
        }
}

// Head 0 of a layer with smeared keys begins as one that copies. Its keys are copies of
// its queries, so that a letter agrees with itself (Trockman and Kolter 2023), three
// times as large as others, so that it shows, and most of each is the one before: the
// head looks for what followed the same letter. Training makes of it what it likes.
static void begin_copying(real *w, const Layer *k, int C, int D) {
    for (int c = 0; c < C; c++) {
        real *query = w + k->qkv.w + (size_t)c * 3 * C;
        for (int j = 0; j < D; j++) query[C + j] = query[j] *= 3;
    }
    for (int j = 0; j < D; j++) w[k->smear + j] = 2;
}

static void model_init(Model *m, Random *r) {
    m->p.w = reals(m->p.size);
    for (int i = 0; i < m->p.count; i++) {
        const Tensor *t = &m->p.tensor[i];
        real *w = m->p.w + t->at;
        if (t->fixed) fill_sinusoids(w, t->rows, t->cols, m->c.pos == SIN ? 0.1 : 1);
        for (size_t j = 0; j < tensor_size(t) && !t->fixed; j++)
            w[j] = (real)(t->mean + (t->std > 0 ? t->std * random_normal(r) : 0));
    }
    const int D = copying(&m->c);
    for (int l = 0; D > 0 && l < m->c.layers; l++)
        begin_copying(m->p.w, &m->layer[l], m->c.dim, D);
}

static void params_free(Params *p) {
    free(p->tensor);
    aligned_free(p->w), aligned_free(p->g), aligned_free(p->m), aligned_free(p->v);
    aligned_free(p->wt);
}

static void model_free(Model *m) {
    params_free(&m->p);
    vocab_free(&m->vocab);
    free(m->layer);
    free(m->off);
}

static size_t parameters(const Params *p) { // that are trained
    size_t n = 0;
    for (int i = 0; i < p->count; i++)
        n += p->tensor[i].fixed ? 0 : tensor_size(&p->tensor[i]);
    return n;
}

static real *take(real *memory, uint64_t *used, uint64_t n) {
    real *p = memory ? memory + *used : NULL;
    *used += padded(n);
    return p;
}

// Deals out one block of memory; with a->memory = NULL it only adds up what that takes.
static uint64_t acts_plan(Acts *a, const Config *c, bool learns) {
    const uint64_t N = a->rows, C = c->dim, F = c->hidden, V = c->V,
                   wide = F > 3 * C ? F : 3 * C;
    uint64_t n = 0;
    real *M = a->memory;
    a->x = take(M, &n, N * C);
    for (int l = 0; l < c->layers; l++) {
        LayerActs *s = &a->layer[l];
        for (int i = c->model == MLP; i < 2; i++) {
            Sublayer *sub = i ? &s->mlp : &s->attn;
            sub->sum = take(M, &n, N * C), sub->y = take(M, &n, N * C);
            sub->mean = take(M, &n, N), sub->scale = take(M, &n, N);
        }
        s->fc = take(M, &n, N * F);
        if (c->model == MLP) continue;
        s->qkv = take(M, &n, N * 3 * C), s->heads = take(M, &n, N * C);
        if (c->pos == SMEARED) s->own = take(M, &n, N * C);
        s->kt = take(M, &n, (N + a->room - 1) / a->room * a->room * C);
    }
    a->y = take(M, &n, N * C), a->mean = take(M, &n, N), a->scale = take(M, &n, N);
    a->logits = take(M, &n, N * V), a->loss = take(M, &n, N);
    a->head_turned = take(M, &n, C * V), a->act = take(M, &n, N * F);
    a->work = take(M, &n, attention_work(a->room, c->dim / c->heads));
    if (!learns) return n;
    a->dx = take(M, &n, N * C), a->dy = a->ds = take(M, &n, N * C);
    a->dqkv = a->dfc = take(M, &n, N * wide);
    return n;
}

static Acts acts_new(const Config *c, int rows, int room, bool learns) {
    if ((uint64_t)rows * c->hidden > INT_MAX) // loops count these with int
        die("--context %d times --hidden %d is too much", room, c->hidden);
    Acts a = {.rows = rows, .room = room, .lanes = 1};
    a.layer = allocate(c->layers, sizeof(LayerActs));
    a.memory = reals(acts_plan(&a, c, learns));
    acts_plan(&a, c, learns);
    return a;
}

static void acts_free(Acts *a) {
    for (int i = 1; i < a->lanes; i++) acts_free(&a->more[i - 1]);
    free(a->more);
    free(a->layer);
    aligned_free(a->memory), aligned_free(a->p);
}

// x (n) += y (n), the residual connection
static void add(real *x, const real *y, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] += y[i];
}

typedef struct {    // the rows that a forward pass computes
    int B, T, from; // positions `from` to T-1 of B stories; from > 0 needs B = 1
} Span;

static int span_rows(Span s) { return s.B * (s.T - s.from); }

// Rotates channels j and j+1 of each query and key in qkv (N,3C) by the angle whose sine
// and cosine hands (T,D) holds there for the row's position: then a score depends on how
// far the key is back, not on where both stand (RoPE, Su et al. 2021). If D is odd, the
// last channel stays as it is, and so do the first `still` ones of C: whoever copies must
// find a letter at any distance. N rows of stories of T; way is 1, or -1 for the
// backward: a rotated vector's gradient has to be rotated back.
static void rotate(real *qkv, const real *hands, int way, int N, int T, int C, int D,
                   int still) {
    for (int r = 0; r < N; r++)
        for (int c = 0; c < 2 * C; c += D)
            for (int j = 0; j + 1 < D && c % C >= still; j += 2) {
                const real *hand = hands + (size_t)(r % T) * D + j;
                real *x = qkv + (size_t)r * 3 * C + c + j, first = x[0];
                x[0] = first * hand[1] - way * x[1] * hand[0];
                x[1] = x[1] * hand[1] + way * first * hand[0];
            }
}

// Adds to each key in qkv (N,3C) the three before it, channel by channel times taps
// (SMEAR,C): then a position can be found by what stands before it, and a single layer
// can copy (smeared keys, Olsson et al. 2022). own (N,C) keeps the keys as they were, for
// the backward and for the positions that come after.
static void smear_forward(real *qkv, real *own, const real *taps, Span s, int C) {
    for (int r = 0; r < span_rows(s); r++) {
        real *key = qkv + (size_t)r * 3 * C + C, *x = own + (size_t)r * C;
        memcpy(x, key, sizeof(real) * C);
        for (int i = 1; i <= SMEAR && i <= s.from + r % (s.T - s.from); i++)
            for (int c = 0; c < C; c++) key[c] += taps[(i - 1) * C + c] * x[c - i * C];
    }
}

// forward: key[t] = own[t] + sum over i of taps[i] own[t-i]; so the gradient of taps[i]
// is the sum over t of dkey[t] own[t-i], and that of own[t] is dkey[t] + sum over i of
// taps[i] dkey[t+i]. It takes the place of dkey, from the first row on: those after it,
// which it needs, are still as they came.
static void smear_backward(real *dqkv, real *dtaps, const real *own, const real *taps,
                           int N, int T, int C) {
    for (int r = 0; r < N; r++) {
        const real *x = own + (size_t)r * C;
        real *d = dqkv + (size_t)r * 3 * C + C;
        for (int i = 1; i <= SMEAR && i <= r % T; i++)
            for (int c = 0; c < C; c++) dtaps[(i - 1) * C + c] += d[c] * x[c - i * C];
        for (int i = 1; i <= SMEAR && i < T - r % T; i++)
            for (int c = 0; c < C; c++) d[c] += taps[(i - 1) * C + c] * d[c + i * 3 * C];
    }
}

// out, in (N,C): queries, keys, values; attention; a linear layer that mixes the heads
static void attend_forward(const Model *m, Acts *a, int l, real *out, const real *in,
                           Span s) {
    const int C = m->c.dim, H = m->c.heads, D = C / H, N = span_rows(s);
    const real *w = m->p.w;
    LayerActs *k = &a->layer[l];
    real *p = a->p ? a->p + (size_t)l * H * a->room * a->room : NULL;
    real *qkv = k->qkv + (size_t)s.from * 3 * C;
    linear_forward(qkv, in, w, m->layer[l].qkv, N);
    if (m->c.pos == SMEARED)
        smear_forward(qkv, k->own + (size_t)s.from * C, w + m->layer[l].smear, s, C);
    if (rotates(&m->c))
        rotate(qkv, w + m->wpe + (size_t)s.from * D, 1, N, s.T - s.from, C, D,
               copying(&m->c));
    attention_forward(k->heads, k->kt, p, a->work, k->qkv, m->off + l * H, s.B, s.T,
                      s.from, a->room, C, H);
    linear_forward(out, k->heads + (size_t)s.from * C, w, m->layer[l].proj, N);
}

// forward: qkv = linear(in), smeared, rotated; heads = attention(qkv); out =
// linear(heads). Overwrites din.
static void attend_backward(const Model *m, Acts *a, int l, real *din, const real *dout,
                            const real *in, Span s) {
    const Layer *k = &m->layer[l];
    const real *w = m->p.w, *qkv = a->layer[l].qkv;
    const int C = m->c.dim, H = m->c.heads, N = span_rows(s);
    real *g = m->p.g, *dheads = din; // its place is free until the end
    linear_backward(dheads, g, dout, a->layer[l].heads, m->p.wt, k->proj, N);
    attention_backward(a->dqkv, a->work, dheads, qkv, a->layer[l].kt, s.B, s.T, a->room,
                       C, H);
    if (rotates(&m->c))
        rotate(a->dqkv, w + m->wpe, -1, N, s.T, C, C / H, copying(&m->c));
    if (m->c.pos == SMEARED) {
        IN_TURN {
            smear_backward(a->dqkv, g + k->smear, a->layer[l].own, w + k->smear, N, s.T,
                           C);
        }
    }
    linear_backward(din, g, a->dqkv, in, m->p.wt, k->qkv, N);
}

// out, in (N,C): up to F hidden units, the activation, and back
static void mlp_forward(const Model *m, Acts *a, int l, real *out, const real *in,
                        Span s) {
    real *fc = a->layer[l].fc + (size_t)s.from * m->c.hidden;
    linear_forward(fc, in, m->p.w, m->layer[l].fc, span_rows(s));
    activation_forward(a->act, fc, m->c.act, span_rows(s) * m->c.hidden);
    linear_forward(out, a->act, m->p.w, m->layer[l].out, span_rows(s));
}

// forward: fc = linear(in); act = activation(fc); out = linear(act). Overwrites din. The
// second linear layer goes back in two halves, since activation_backward computes act
// again in between.
static void mlp_backward(const Model *m, Acts *a, int l, real *din, const real *dout,
                         const real *in, Span s) {
    const Layer *k = &m->layer[l];
    const int N = span_rows(s);
    linear_backward_input(a->dfc, dout, m->p.wt, k->out, N);
    activation_backward(a->act, a->dfc, a->layer[l].fc, m->c.act, N * m->c.hidden);
    linear_backward_weights(m->p.g, dout, a->act, k->out, N);
    linear_backward(din, m->p.g, a->dfc, in, m->p.wt, k->fc, N);
}

// One reading of the stream x and one addition to it, for the rows of the span. Keeps x,
// x + f(...), the norm's output, mean and scale for the backward. Returns the stream that
// goes on: the sum (pre-norm) or the norm's output (post-norm).
// lab 4
static const real *sublayer_forward(const Model *m, Acts *a, int l, bool attends,
                                    const real *x, Span s) {
    const Norm norm = attends ? m->layer[l].norm1 : m->layer[l].norm2;
    Sublayer *k = attends ? &a->layer[l].attn : &a->layer[l].mlp;
    const bool pre = m->c.norm == PRE;
    const int N = span_rows(s);
    const size_t row = s.from, first = row * m->c.dim; // where the rows to compute begin
    const real *in = first + (pre ? k->y : x);
    real *y = k->y + first, *sum = k->sum + first, *mean = k->mean + row,
         *scale = k->scale + row;
    k->x = x;
    if (pre) norm_forward(y, mean, scale, x + first, m->p.w, norm, N);
    if (attends) attend_forward(m, a, l, sum, in, s);
    else mlp_forward(m, a, l, sum, in, s);
    add(sum, x + first, (size_t)N * m->c.dim);
    if (!pre) norm_forward(y, mean, scale, sum, m->p.w, norm, N);
    return pre ? k->sum : k->y;
}

// forward, pre-norm: out = x + f(norm(x)); so dx = dout + norm'(f'(dout)). forward,
// post-norm: out = norm(x + f(x)); so with ds = norm'(dout), dx = ds + f'(ds). The
// gradient of the stream comes in and goes out as a->dx.
// lab 4
static void sublayer_backward(const Model *m, Acts *a, int l, bool attends, Span s) {
    const Norm norm = attends ? m->layer[l].norm1 : m->layer[l].norm2;
    const Sublayer *k = attends ? &a->layer[l].attn : &a->layer[l].mlp;
    const bool pre = m->c.norm == PRE;
    const size_t N = span_rows(s), n = N * m->c.dim;
    real *g = m->p.g, *din = pre ? a->dy : a->dx, *dout = pre ? a->dx : a->ds;
    if (!pre) {
        memset(a->ds, 0, sizeof(real) * n);
        norm_backward(a->ds, g, a->dx, k->sum, k->mean, k->scale, m->p.w, norm, N);
    }
    if (attends) attend_backward(m, a, l, din, dout, pre ? k->y : k->x, s);
    else mlp_backward(m, a, l, din, dout, pre ? k->y : k->x, s);
    if (pre) norm_backward(a->dx, g, a->dy, k->x, k->mean, k->scale, m->p.w, norm, N);
    else add(a->dx, a->ds, n);
}

// The whole model up to the head: ids (N) to a->last (N,C), for the rows of the span.
static void forward(const Model *m, Acts *a, const int *ids, Span s) {
    const int C = m->c.dim, N = span_rows(s);
    const size_t row = s.from, first = row * C;
    const real *w = m->p.w;
    embedding_forward(a->x + first, ids + row, w + m->wte,
                      adds_positions(&m->c) ? w + m->wpe : NULL, N, s.T - s.from, s.from,
                      C);
    a->stream = a->x;
    for (int l = 0; l < m->c.layers; l++)
        for (int attends = m->c.model == TRANSFORMER; attends >= 0; attends--)
            a->stream = sublayer_forward(m, a, l, attends, a->stream, s);
    a->last = m->c.norm == PRE ? a->y : a->stream;
    if (m->c.norm == PRE)
        norm_forward(a->y + first, a->mean + row, a->scale + row, a->stream + first, w,
                     m->normf, N);
}

// The head's table, turned for head_forward. To be called when the weights have changed.
static void head_turn(const Model *m, Acts *a) {
    turn(a->head_turned, m->c.V, m->p.w + m->head, m->c.dim, m->c.V, m->c.dim);
}

// logits (N,V) = x (N,C) head (V,C) turned: how well does x agree with each embedding?
static void head_forward(const Model *m, Acts *a, real *logits, const real *x, int N) {
    const int C = m->c.dim, V = m->c.V;
    project(logits, rows(NULL, 0), rows(x, C), rows(a->head_turned, V), N, C, V);
}

// Sum of the losses (nats) of windows ids (B,T) with targets (B,T).
static double loss_forward(const Model *m, Acts *a, const int *ids, const int *targets,
                           int B, int T) {
    forward(m, a, ids, (Span){B, T, 0});
    head_forward(m, a, a->logits, a->last, B * T);
    cross_entropy_forward(a->loss, a->logits, targets, B * T, m->c.V);
    double sum = 0;
    for (int r = 0; r < B * T; r++) sum += a->loss[r];
    return sum;
}

// The whole backward pass, after loss_forward on the same windows: adds the gradient of
// `share` x (sum of losses) into m->p.g. A tied head adds into the embedding's gradient:
// one tensor that is used twice has one gradient, the sum of two, added in one turn.
static void loss_backward(const Model *m, Acts *a, const int *ids, const int *targets,
                          real share, int B, int T) {
    const int C = m->c.dim, V = m->c.V, N = B * T;
    const real *head = m->p.w + m->head;
    const bool pre = m->c.norm == PRE,
               learns = m->c.model == TRANSFORMER && m->c.pos == LEARNED;
    real *g = m->p.g, *dhead = g + m->head, *dlast = pre ? a->dy : a->dx;
    cross_entropy_backward(a->logits, targets, share, N, V);
    matmul(dlast, C, rows(NULL, 0), rows(a->logits, V), rows(head, C), N, C, V);
    if (pre) {
        memset(a->dx, 0, sizeof(real) * N * C);
        norm_backward(a->dx, g, a->dy, a->stream, a->mean, a->scale, m->p.w, m->normf, N);
    }
    for (int l = m->c.layers - 1; l >= 0; l--)
        for (int attends = 0; attends <= (m->c.model == TRANSFORMER); attends++)
            sublayer_backward(m, a, l, attends, (Span){B, T, 0});
    IN_TURN {
        matmul(dhead, C, rows(dhead, C), turned(a->logits, V), rows(a->last, C), V, C, N);
        embedding_backward(g + m->wte, learns ? g + m->wpe : NULL, a->dx, ids, N, T, C);
    }
}

// 7. Learning
//
// Gradients say which way is downhill; Adam decides how far to step, and for the matrices
// inside the layers Muon does. Around them the training loop: learning rate, clipping,
// evaluation on text the model has not seen, saving, and stopping in good order. Last,
// the gradient check, which compares every backward pass with the definition of a
// derivative.

// What the command line says. Section 13 fills it, checkpoints store part of it.
typedef struct {
    Config c;
    int batch, steps, warmup, seed, eval_every, stop_at, optimizer;
    double lr, weight_decay, minutes;
    const char *self, *data, *valid, *out, *resume, *log, *file;
    const char *prompt, *ablate, *csv, *tokens, *adapter, *old;
    int chars, top_k, samples, past_end, no_cache, position, repeat, rank, matmul;
    double temperature;
    bool given[64]; // which rows of the table of options stood on the command line
} Options;

static const struct {
    double beta1, beta2, epsilon, momentum, clip, last_lr;
} constant = {
    .beta1 = 0.9,  // how long Adam remembers the gradient: 10 steps
    .beta2 = 0.99, // how long it remembers the gradient's square: 100 steps
    .epsilon = 1e-8,
    .momentum = 0.95, // how long Muon remembers the gradient: 20 steps
    .clip = 1,       // the gradient's length is cut to this
    .last_lr = 0.05, // the learning rate ends at this share of --lr
};

enum { ADAM, MUON };

enum { CHUNK = 1 << 13 }; // numbers that one thread handles at a time

// How many windows one thread takes through the model at a time: 512 tokens, or 256 where
// the model is wide and each of them leaves much to keep.
static int micro_batch(const Config *c) {
    const int tokens = c->dim > 256 ? 256 : 512;
    return c->context < tokens ? tokens / c->context : 1;
}

// Adam with decoupled weight decay (Kingma and Ba 2015, Loshchilov and Hutter 2019), for
// n numbers. m and v are running means of g and g^2 that begin at 0; fix1 and fix2
// correct for that beginning. Leaves g cleared for the next step.
ANY adam_any(real *w, real *g, real *m, real *v, int n, real lr, real decay, real clip,
             real fix1, real fix2) {
    const real b1 = (real)constant.beta1, b2 = (real)constant.beta2,
               epsilon = (real)constant.epsilon;
    for (int i = 0; i < n; i++) {
        const real d = g[i] * clip;
        m[i] = b1 * m[i] + (1 - b1) * d;
        v[i] = b2 * v[i] + (1 - b2) * d * d;
        w[i] -= lr * (m[i] * fix1 / (root(v[i] * fix2) + epsilon) + decay * w[i]);
        g[i] = 0;
    }
}
PER_CPU(adam,
        (real *w, real *g, real *m, real *v, int n, real lr, real decay, real clip,
         real fix1, real fix2),
        (w, g, m, v, n, lr, decay, clip, fix1, fix2))

ANY sum_squares_any(const real *x, int n, real *sum) {
    real s = 0;
    #pragma omp simd reduction(+ : s)
    for (int i = 0; i < n; i++) s += x[i] * x[i];
    *sum = s;
}
PER_CPU(sum_squares, (const real *x, int n, real *sum), (x, n, sum))

static int chunk(size_t left) { return left < CHUNK ? (int)left : CHUNK; }

// The length of the whole gradient. Any thread sums a chunk; the sums are added in order.
static double gradient_norm(const Params *p) {
    const int chunks = (int)((p->size + CHUNK - 1) / CHUNK);
    real *sums = reals(chunks);
    #pragma omp parallel for
    for (int i = 0; i < chunks; i++) {
        const size_t at = (size_t)i * CHUNK;
        sum_squares(p->g + at, chunk(p->size - at), &sums[i]);
    }
    double sum = 0;
    for (int i = 0; i < chunks; i++) sum += sums[i];
    aligned_free(sums);
    return sqrt(sum);
}

// x (R,C), R <= C, is a sum of R directions, each with its own strength (singular value).
// Here all but the faintest (below a 600th of the whole) get about the same one, between
// 0.7 and 1.2: five times
//     x = a x + (b A + c A A) x    with A = x xt
// which leaves directions alone and pulls strengths between 0 and 1 towards 1 (Newton and
// Schulz 1933; the numbers are Jordan's). Overwrites x, y (R,C), which receives the
// result, and A (2,R,R).
static void orthogonalise(real *x, real *y, real *A, int R, int C) {
    real *B = A + (size_t)R * R;
    double squares = 1e-30;
    for (int i = 0; i < R * C; i++) squares += x[i] * x[i];
    for (int i = 0; i < R * C; i++) x[i] *= (real)(1 / sqrt(squares)); // at most 1 now
    for (int times = 0; times < 5; times++) {
        turn(y, R, x, C, R, C);
        matmul(A, R, rows(NULL, 0), rows(x, C), rows(y, R), R, R, C);
        matmul(B, R, rows(NULL, 0), rows(A, R), rows(A, R), R, R, R);
        for (int i = 0; i < R * R; i++)
            B[i] = (real)2.0315 * B[i] - (real)4.775 * A[i] +
                   (i % (R + 1) ? 0 : (real)3.4445);
        matmul(y, C, rows(NULL, 0), rows(B, R), rows(x, C), R, C, R);
        real *old = x;
        x = y, y = old;
    }
}

// Muon (Jordan et al. 2024), for one matrix of a layer, or three side by side: the mean
// of its gradients, orthogonalised, is the step. So directions in which the gradient is
// small count as much as those in which it is large. Scaled so that its numbers are as
// large as Adam's steps, about 0.2 (Liu et al. 2025). v isn't needed: it is scratch here,
// and so is g.
static void muon(Params *p, const Tensor *t, real lr, real decay, real clip) {
    const int I = t->rows, O = t->cols / t->blocks, R = smaller(I, O), C = I + O - R;
    const size_t n = tensor_size(t), block = (size_t)I * O;
    real *w = p->w + t->at, *g = p->g + t->at, *m = p->m + t->at, *v = p->v + t->at;
    const real b = (real)constant.momentum, size = (real)0.2 * root((real)C);
    for (size_t i = 0; i < n; i++) {
        m[i] = b * m[i] + (1 - b) * clip * g[i];
        g[i] = b * m[i] + (1 - b) * clip * g[i]; // the mean as it will be (Nesterov)
    }
    real *work = reals(2 * (size_t)R * R);
    for (int k = 0; k < t->blocks; k++) // each with its shorter side down
        if (I > O) turn(v + k * block, I, g + k * O, t->cols, I, O);
        else
            for (int i = 0; i < I; i++)
                memcpy(v + k * block + i * O, g + k * O + i * t->cols, sizeof(real) * O);
    for (int k = 0; k < t->blocks; k++) {
        real *x = v + k * block, *step = g + k * block; // both are free now
        orthogonalise(x, step, work, R, C);
        if (I > O) turn(x, O, step, I, O, I), step = x;
        for (int i = 0; i < I; i++)
            for (int o = 0; o < O; o++) {
                real *at = w + (size_t)i * t->cols + k * O + o;
                *at -= lr * (size * step[i * O + o] + decay * *at);
            }
    }
    memset(g, 0, sizeof(real) * n), memset(v, 0, sizeof(real) * n);
    aligned_free(work);
}

// One step downhill, by Adam and, with has_muon, Muon; `step` counts from 0. Clears the
// gradient.
static void optimizer_step(Params *p, int step, double lr, double decay) {
    const double norm = gradient_norm(p),
                 clip = norm > constant.clip ? constant.clip / norm : 1;
    const double fix1 = 1 / (1 - pow(constant.beta1, step + 1));
    const double fix2 = 1 / (1 - pow(constant.beta2, step + 1));
    #pragma omp parallel for schedule(dynamic) if (p->has_muon)
    for (int i = 0; i < p->count; i++)
        if (p->has_muon && p->tensor[i].blocks)
            muon(p, &p->tensor[i], (real)lr, (real)decay, (real)clip);
    for (int i = 0; i < p->count; i++) {
        const Tensor *t = &p->tensor[i];
        if (t->fixed || (p->has_muon && t->blocks)) continue;
        const size_t n = tensor_size(t), end = t->at + n;
        #pragma omp parallel for if (n > CHUNK)
        for (size_t at = t->at; at < end; at += CHUNK)
            adam(p->w + at, p->g + at, p->m + at, p->v + at, chunk(end - at), (real)lr,
                 t->decays ? (real)decay : 0, (real)clip, (real)fix1, (real)fix2);
    }
}

static void params_train(Params *p) { // room for learning
    p->g = reals(p->size), p->m = reals(p->size), p->v = reals(p->size);
    p->wt = reals(p->size);
}

static Acts *lane(Acts *a, int i) { return i ? &a->more[i - 1] : a; }

// Room for as many micro-batches side by side as there are threads, at most `most`.
static void acts_share(Acts *a, const Model *m, int most, bool learns) {
    int threads = 1;
    omp_set_dynamic(0); // later teams will be as large as this one
    #pragma omp parallel
    #pragma omp single
    threads = omp_get_num_threads();
    a->lanes = smaller(threads, most);
    a->more = allocate(a->lanes, sizeof(Acts));
    for (int i = 1; i < a->lanes; i++)
        *lane(a, i) = acts_new(&m->c, a->rows, a->room, learns);
}

// How many a batch is cut into: an even number, so that two threads have the same to do.
static int micro_batches(const Config *c, int B) {
    const int count = (B + micro_batch(c) - 1) / micro_batch(c);
    return count % 2 && count < B ? count + 1 : count;
}

// The matrices of all layers, turned: to be called when the weights have changed.
static void turn_layers(Model *m) {
    #pragma omp parallel for schedule(static, 1)
    for (int i = 0; i < 4 * m->c.layers; i++) {
        const Layer *k = &m->layer[i / 4];
        const Linear each[] = {k->qkv, k->proj, k->fc, k->out};
        linear_turn(m->p.wt, m->p.w, each[i % 4]);
    }
}

// Mean loss of B windows, and its gradient added into p.g. Each micro-batch is the work
// of one thread. All add into one gradient, each tensor's in the order of the
// micro-batches, so that the bits don't depend on the number of threads.
static double gradient(Model *m, Acts *a, const int *x, const int *y, int B, int T) {
    const int count = micro_batches(&m->c, B);
    double sum = 0;
    turn_layers(m);
    for (int first = 0, n; first < count; first += n) {
        n = smaller(a->lanes, count - first);
        #pragma omp parallel num_threads(n) if (n > 1)
        {
            const int i = first + omp_get_thread_num();
            const int from = (int)((double)B * i / count);
            const int stories = (int)((double)B * (i + 1) / count) - from;
            const size_t at = (size_t)from * T;
            Acts *mine = lane(a, i - first);
            head_turn(m, mine);
            mine->sum = loss_forward(m, mine, x + at, y + at, stories, T);
            loss_backward(m, mine, x + at, y + at, (real)(1.0 / B / T), stories, T);
        }
        for (int i = 0; i < n; i++) sum += lane(a, i)->sum;
    }
    return sum / B / T;
}

// Mean loss in nats per token: windows of T that follow each other without overlap, the
// last may be short. tokens, if not NULL, receives a line per token.
static double evaluate(const Model *m, Acts *a, Stream s, FILE *tokens) {
    const size_t T = m->c.context, targets = s.n - 1;
    int *ids = allocate(2 * T * a->lanes, sizeof *ids);
    double sum = 0;
    for (int i = 0; i < a->lanes; i++) head_turn(m, lane(a, i));
    for (size_t first = 0; first < targets; first += T * a->lanes) {
        #pragma omp parallel for schedule(static, 1) if (a->lanes > 1)
        for (int i = 0; i < a->lanes; i++) {
            const size_t at = first + T * i, left = at < targets ? targets - at : 0;
            const int n = (int)(left < T ? left : T);
            int *x = ids + 2 * T * i, *y = x + T;
            for (int t = 0; t < n; t++) x[t] = s.at[at + t], y[t] = s.at[at + t + 1];
            lane(a, i)->sum = n ? loss_forward(m, lane(a, i), x, y, 1, n) : 0;
        }
        for (int i = 0; i < a->lanes; i++) {
            sum += lane(a, i)->sum;
            const size_t at = first + T * i;
            for (size_t t = 0; t < T && at + t < targets && tokens; t++) {
                fprintf(tokens, "%zu,%zu,", t, at + t + 1);
                put_csv_token(tokens, &m->vocab, s.at[at + t + 1]);
                fprintf(tokens, ",%.6f\n", (double)lane(a, i)->loss[t]);
            }
        }
    }
    free(ids);
    return sum / (double)targets;
}

// Everything that a training run is made of.
typedef struct {
    Options o;
    Model m;
    Acts a;
    Corpus text;
    Random random;
    int step, best_step;
    double best;            // lowest validation loss so far
    int first;              // the step at which this process began
    double began, measured; // seconds: at the start, and spent in training steps
    FILE *log;
} Training;

// Ctrl-C finishes the step and saves; a second one kills.
static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    stop_signal = number;
    signal(number, SIG_DFL);
}

// Down along half a cosine, times a linear warm-up. `done` runs from 0 to 1.
static double learning_rate(const Options *o, int step, double done) {
    double warm = step < o->warmup ? (step + 1.0) / o->warmup : 1;
    return o->lr * warm *
           (constant.last_lr +
            (1 - constant.last_lr) * 0.5 * (1 + cos(3.141592653589793 * done)));
}

// The share that is done, by steps or by the clock, whichever is nearer its end.
static double training_done(const Training *t) {
    double steps = t->o.steps ? (double)t->step / t->o.steps : 0;
    double clock = t->o.minutes > 0 ? (seconds() - t->began) / (60 * t->o.minutes) : 0;
    return steps > clock ? steps : clock < 1 ? clock : 1;
}

// The first tensor that holds a number which is not finite, or NULL.
static const char *first_bad_tensor(const Params *p, const real *numbers) {
    for (int i = 0; i < p->count; i++)
        for (size_t j = 0; j < tensor_size(&p->tensor[i]); j++)
            if (!isfinite(numbers[p->tensor[i].at + j])) return p->tensor[i].name;
    return NULL;
}

static void stop_at_nan(const Training *t, const char *which) {
    const char *bad = first_bad_tensor(&t->m.p, t->m.p.w),
               *where = bad ? "weights" : "gradient";
    if (!bad) bad = first_bad_tensor(&t->m.p, t->m.p.g);
    die("the %s loss is no longer a number at step %d (first bad tensor of the %s: %s); "
        "%s%s; try a smaller --lr",
        which, t->step, where, bad ? bad : "none",
        isinf(t->best) ? "nothing was saved" : t->o.out,
        isinf(t->best) ? "" : " keeps the best weights so far");
}

// Windows, gradient, optimizer. Returns the mean loss of the batch before the step.
static double training_step(Training *t, int *x, int *y, double lr) {
    const double start = seconds();
    draw_windows(t->text.train, x, y, t->o.batch, t->m.c.context, &t->random);
    double loss = gradient(&t->m, &t->a, x, y, t->o.batch, t->m.c.context);
    if (!isfinite(loss)) stop_at_nan(t, "training");
    optimizer_step(&t->m.p, t->step, lr, t->o.weight_decay);
    t->step++;
    t->measured += seconds() - start;
    return loss;
}

static void save_last(Training *t); // section 9
static void save_best(Training *t);

static double training_speed(const Training *t) { // tokens per second of this process
    return (double)(t->step - t->first) * t->o.batch * t->m.c.context / t->measured;
}

static void clear_progress_line(void) {
    if (has_progress_line) fputs("\r\033[K", stderr);
    has_progress_line = false;
}

// Evaluates, saves, and prints the line that says how it goes.
static void report(Training *t, double train_loss, double lr) {
    double valid = evaluate(&t->m, &t->a, t->text.valid, NULL),
           now = seconds() - t->began;
    if (!isfinite(valid)) stop_at_nan(t, "validation");
    if (valid < t->best) t->best = valid, t->best_step = t->step, save_best(t);
    save_last(t);
    clear_progress_line();
    printf("step %d train %.4f valid %.4f lr %.3g tokens/s %.0f seconds %.1f\n", t->step,
           train_loss, valid, lr, training_speed(t), now);
    if (fflush(stdout)) stop_signal = SIGPIPE; // nobody reads: stop in good order
    if (t->log) {
        fprintf(t->log, "%d,%.6f,%.6f,%.6g,%.0f,%.2f\n", t->step, train_loss, valid, lr,
                training_speed(t), now);
        fflush(t->log); // it tells as much as F.last holds
    }
    if ((t->step - t->best_step) / 3 >= t->o.eval_every && valid > t->best + 0.01)
        fprintf(stderr,
                "note: the validation loss has risen since step %d: the model learns "
                "this text by heart; %s keeps the best\n",
                t->best_step, t->o.out);
}

// Steps until the schedule, step `until` (0: none) or a signal ends it. True at the end
// of the schedule.
static bool training_loop(Training *t, int until) {
    const int B = t->o.batch, T = t->m.c.context;
    const bool terminal = isatty(fileno(stderr));
    int *x = allocate(B, 2 * T * sizeof *x), *y = x + (size_t)B * T, since = 0;
    double sum = 0, shown = 0;
    if (t->began == 0) t->began = seconds(), t->first = t->step;
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal), signal(SIGPIPE, SIG_IGN);
    // what an earlier process did of the schedule tells nothing of the time that is left
    const double earlier = t->o.steps ? (double)t->first / t->o.steps : 0;
    double done = training_done(t);
    while (done < 1 && !stop_signal && !(until && t->step >= until)) {
        const double lr = learning_rate(&t->o, t->step, done);
        sum += training_step(t, x, y, lr), since++;
        const double now = seconds();
        if (terminal && now - shown > 0.2) {
            fprintf(stderr, "\r\033[Kstep %d loss %.3f %.0f tokens/s %.0f s left",
                    t->step, sum / since, training_speed(t),
                    (now - t->began) * (1 - done) /
                        (done > earlier ? done - earlier : 1));
            shown = now, has_progress_line = true;
        }
        done = training_done(t);
        if (t->step % t->o.eval_every && done < 1) continue;
        report(t, sum / since, lr);
        sum = 0, since = 0, done = training_done(t);
    }
    clear_progress_line();
    free(x);
    return done >= 1;
}

// A number that changes when any hidden unit crosses zero, where ReLU has no derivative.
static uint64_t kinks(const Model *m, const Acts *a, int N) {
    uint64_t hash = 0;
    for (int l = 0; l < m->c.layers && m->c.act == RELU; l++)
        for (int i = 0; i < N * m->c.hidden; i++)
            hash = hash * 31 + (a->layer[l].fc[i] > 0);
    return hash;
}

// The slope of the loss along one number of the table, from the definition of a
// derivative: (loss(w + h) - loss(w - h)) / 2h. NaN when a ReLU has its kink in between.
static double slope(Model *m, Acts *a, size_t at, double h, const int *x, const int *y,
                    int B, int T) {
    const real kept = m->p.w[at], up = (real)(kept + h), down = (real)(kept - h);
    m->p.w[at] = up;
    head_turn(m, a);
    double above = loss_forward(m, a, x, y, B, T) / B / T;
    uint64_t before = kinks(m, a, B * T);
    m->p.w[at] = down;
    head_turn(m, a);
    double below = loss_forward(m, a, x, y, B, T) / B / T;
    m->p.w[at] = kept;
    return before == kinks(m, a, B * T) ? (above - below) / ((double)up - (double)down)
                                        : NAN;
}

// ||analytic - numeric|| / (||analytic|| + ||numeric||) over some numbers of a tensor, or
// all if it has few; infinite if none has a slope: then nothing was compared.
static double gradient_error(Model *m, Acts *a, const Tensor *t, double h, const int *x,
                             const int *y, int B, int T, Random *r) {
    enum { SAMPLES = 40 };
    const size_t n = tensor_size(t);
    double apart = 0, analytic = 0, numeric = 0;
    for (int s = 0, tried = 0; s < SAMPLES && tried < (s ? 4 : 8) * SAMPLES; tried++) {
        const size_t at = t->at + (n <= SAMPLES ? (size_t)tried % n
                                                : (size_t)(random_uniform(r) * n));
        const double step = tried < 4 * SAMPLES ? h : h / 10; // only kinks so far
        const double d = slope(m, a, at, step, x, y, B, T), g = m->p.g[at];
        if (isnan(d)) continue;
        apart += (d - g) * (d - g), analytic += g * g, numeric += d * d;
        s++;
    }
    return numeric > 0 ? sqrt(apart) / (sqrt(analytic) + sqrt(numeric)) : INFINITY;
}

// The error of every tensor, drawn wide (at the usual 0.02 rounding alone would pass), on
// two windows of random tokens.
static int check(Options *o) {
    enum { B = 2 };
    const bool is_double = sizeof(real) == sizeof(double);
    const double limit = is_double ? 1e-6 : 1e-2, h = is_double ? 1e-5 : 1e-2;
    const int T = o->c.context;
    if (o->c.dim < 2) usage("--dim 1: the norm of one number is always 0; take 2");
    Random r = {(uint64_t)o->seed};
    o->c.V = 11;
    Model m = model_shape(o->c);
    model_init(&m, &r);
    params_train(&m.p);
    for (int i = 0; i < m.p.count; i++) {
        const Tensor *t = &m.p.tensor[i];
        for (size_t j = 0; j < tensor_size(t) && !t->fixed; j++)
            m.p.w[t->at + j] = (real)(t->mean + 0.3 * random_normal(&r));
    }
    Acts a = acts_new(&o->c, B * T, T, true);
    acts_share(&a, &m, 1, true);
    int *x = allocate(2 * (size_t)B * T, sizeof *x), *y = x + B * T, bad = 0;
    for (int i = 0; i < 2 * B * T; i++) x[i] = (int)(random_uniform(&r) * o->c.V);
    double loss = gradient(&m, &a, x, y, B, T);
    printf("loss %.6f, ln V %.6f, numbers are %s, limit %g\n", loss, log(o->c.V),
           is_double ? "double" : "float", limit);
    for (int i = 0; i < m.p.count; i++) {
        const Tensor *t = &m.p.tensor[i];
        const double error =
            t->fixed ? 0 : gradient_error(&m, &a, t, h, x, y, B, T, &r);
        const bool fine = error < limit;
        printf("%-4s %-40s %8zu numbers  relative error %.1e\n",
               t->fixed ? "-"
               : fine   ? "ok"
                        : "BAD",
               t->name, (size_t)tensor_size(t), error);
        bad += !fine;
    }
    if (bad) printf("%d tensor%s a wrong gradient\n", bad, bad == 1 ? " has" : "s have");
    else puts("every gradient is right");
    free(x);
    acts_free(&a);
    model_free(&m);
    return bad > 0;
}

// 8. Talking
//
// A language model writes by guessing the next character, again and again. Logits become
// probabilities by temperature and top-k; the cache makes each character cost one row of
// work instead of a whole window.

static int descending(const void *a, const void *b) {
    const real x = *(const real *)a, y = *(const real *)b;
    return (x < y) - (x > y);
}

// Draws a token. temperature 0: the likeliest, the smaller id on a tie. top_k 0: all may
// come. Overwrites the logits (V) with the probabilities, unless temperature is 0; sorted
// (V) is scratch.
// lab 5
static int draw(real *logits, real *sorted, int V, double temperature, int top_k,
                Random *r) {
    int best = 0;
    for (int v = 1; v < V; v++)
        if (logits[v] > logits[best]) best = v;
    if (temperature < 1e-6) return best; // dividing by it would overflow
    if (top_k > 0 && top_k < V) {
        memcpy(sorted, logits, sizeof(real) * V);
        qsort(sorted, V, sizeof(real), descending);
        int ties = 0; // how many that equal the k-th best still fit
        for (int v = 0; v < top_k; v++) ties += sorted[v] == sorted[top_k - 1];
        for (int v = 0; v < V; v++)
            if (logits[v] < sorted[top_k - 1] ||
                (logits[v] == sorted[top_k - 1] && ties-- <= 0))
                logits[v] = -INFINITY;
    }
    softmax(logits, V, 1, V, (real)(1 / temperature), NULL);
    double u = random_uniform(r);
    for (int v = 0; v < V; v++)
        if ((u -= logits[v]) < 0) return v;
    return best; // rounding left a crumb
}

// A text in the making: the tokens in the window, and how many of them the cache knows.
typedef struct {
    const Model *m;
    Acts a;
    int *window, length, cached;
    bool uses_cache;
} Writer;

static Writer writer_new(const Model *m, bool uses_cache) {
    const int T = m->c.context;
    Writer w = {m,         acts_new(&m->c, T, T, false), allocate(T, sizeof(int)), 0, 0,
                uses_cache};
    head_turn(m, &w.a);
    return w;
}

static void writer_free(Writer *w) {
    acts_free(&w->a);
    free(w->window);
}

// Adds a token. A full window keeps its last half and is read again from position 0: the
// model knows no positions beyond those of its window.
static void writer_add(Writer *w, int token) {
    const int T = w->m->c.context, keep = T / 2 > 0 ? T / 2 : 1;
    if (w->length == T) {
        memmove(w->window, w->window + T - keep + 1, sizeof(int) * (keep - 1));
        w->length = keep - 1;
        w->cached = 0;
    }
    w->window[w->length++] = token;
}

// The logits (V) of the next token. Keys and values of cached positions stand where the
// last call left them, so only the new rows are computed: all of the prompt at first,
// then one at a time.
static real *writer_logits(Writer *w) {
    const size_t last = w->length - 1;
    forward(w->m, &w->a, w->window, (Span){1, w->length, w->uses_cache ? w->cached : 0});
    w->cached = w->length;
    head_forward(w->m, &w->a, w->a.logits, w->a.last + last * w->m->c.dim, 1);
    return w->a.logits;
}

// The prompt as tokens, an end-of-text token first. Free the result.
static int *read_prompt(const char *prompt, const Vocab *v, int *n) {
    const unsigned char *s = (const unsigned char *)(prompt ? prompt : "");
    const size_t size = strlen((const char *)s);
    int *ids = allocate(size + 1, sizeof *ids);
    *n = 0;
    ids[(*n)++] = v->V - 1;
    for (size_t at = 0; at < size;) {
        uint32_t c;
        int length = decode(s + at, size - at, &c);
        if (!length) usage("--prompt: byte %zu (0x%02x) is not UTF-8", at, s[at]);
        if (!v->index[c])
            usage("--prompt: the model never saw the character '%.*s' (U+%04X) at byte "
                  "%zu",
                  length, (const char *)s + at, (unsigned)c, at);
        ids[(*n)++] = v->index[c] - 1;
        at += length;
    }
    return ids;
}

// Writes one text to stdout as it comes, character by character.
static void write_text(const Model *m, const Options *o, const char *prompt,
                       uint64_t seed) {
    Writer w = writer_new(m, !o->no_cache);
    real *sorted = reals(m->c.V);
    Random r = {seed};
    char utf8[5];
    int n, *ids = read_prompt(prompt, &m->vocab, &n);
    for (int i = 0; i < n; i++) writer_add(&w, ids[i]);
    if (prompt) fputs(prompt, stdout);
    for (int i = 0; i < o->chars; i++) {
        int id = draw(writer_logits(&w), sorted, m->c.V, o->temperature, o->top_k, &r);
        if (id == m->c.V - 1 && !o->past_end) break;
        if (id == m->c.V - 1) fputs("\n" SEPARATOR "\n", stdout);
        else encode(m->vocab.points[id], utf8), fputs(utf8, stdout);
        if (fflush(stdout)) break; // nobody reads any more
        writer_add(&w, id);
    }
    putchar('\n');
    free(ids);
    aligned_free(sorted);
    writer_free(&w);
}

// 9. Remembering
//
// A checkpoint is a safetensors file: eight bytes that say how long the header is, a
// header in JSON (text about the model, then name, type, shape and place of each tensor),
// and the numbers, little-endian, one tensor after the other. Python reads it as it is. A
// file is written under another name first and renamed when it is whole, so that what was
// there before is never lost.

typedef struct {
    char *at;
    size_t n, room;
} Text;

static void put(Text *s, const char *format, ...) { // appends, like printf
    va_list args;
    for (int more = 0;;) {
        va_start(args, format);
        more = vsnprintf(s->at ? s->at + s->n : NULL, s->room - s->n, format, args);
        va_end(args);
        if (s->n + more < s->room) {
            s->n += more;
            return;
        }
        if (!(s->at = realloc(s->at, s->room = 2 * (s->n + more) + 1000)))
            die("out of memory for a header");
    }
}

static void put_json_char(Text *s, uint32_t c) {
    if (c == '"' || c == '\\') put(s, "\\%c", (int)c);
    else if (c >= 32 && c < 127) put(s, "%c", (int)c);
    else if (c < 0x10000) put(s, "\\u%04x", (unsigned)c);
    else
        put(s, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
            (unsigned)(0xdc00 + (c & 0x3ff)));
}

static void put_options(Text *s, const Options *o); // section 13
static bool take_options(Options *o, const char *header, const char **wrong);

#define DTYPE (sizeof(real) == sizeof(double) ? "F64" : "F32")

static void put_tensors(Text *s, const Params *p, const char *prefix, uint64_t *offset) {
    for (int i = 0; i < p->count; i++) {
        const Tensor *t = &p->tensor[i];
        uint64_t end = *offset + tensor_size(t) * sizeof(real);
        put(s, ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", prefix, t->name, DTYPE);
        if (t->rows) put(s, "%d,", t->rows);
        put(s, "%d],\"data_offsets\":[%llu,%llu]}", t->cols, (unsigned long long)*offset,
            (unsigned long long)end);
        *offset = end;
    }
}

// The header of a model's file. Reading builds it again from the metadata and compares,
// so what is read is shaped as it is written here. Returns the size of the numbers.
static uint64_t put_header(Text *s, const Training *t, bool with_adam) {
    uint64_t offset = 0;
    put(s, "{\"__metadata__\":{\"format\":\"pt\"");
    put_options(s, &t->o);
    put(s, ",\"step\":\"%d\",\"best_step\":\"%d\",\"best_loss\":\"%.17g\"", t->step,
        t->best_step, t->best);
    put(s, ",\"random\":\"%016llx\",\"text\":\"%016llx\"",
        (unsigned long long)t->random.state, (unsigned long long)t->text.fingerprint);
    put(s, ",\"vocab_size\":\"%d\",\"vocab\":\"", t->m.c.V);
    for (int i = 0; i < t->m.c.V - 1; i++) put_json_char(s, t->m.vocab.points[i]);
    put(s, "\"}");
    put_tensors(s, &t->m.p, "", &offset);
    if (with_adam)
        put_tensors(s, &t->m.p, "adam.m.", &offset),
            put_tensors(s, &t->m.p, "adam.v.", &offset);
    put(s, "}");
    while (s->n % 8) put(s, " ");
    return offset;
}

// n reals from or to a file, little-endian on every machine. False when the file refuses.
static bool move_reals(FILE *f, real *x, size_t n, bool writes) {
    const uint16_t probe = 1;
    if (*(const unsigned char *)&probe)
        return (writes ? fwrite(x, sizeof(real), n, f) : fread(x, sizeof(real), n, f)) ==
               n;
    for (size_t i = 0; i < n; i++) {
        unsigned char bytes[sizeof(real)], *p = (unsigned char *)&x[i];
        for (size_t b = 0; b < sizeof(real) && writes; b++)
            bytes[b] = p[sizeof(real) - 1 - b];
        if ((writes ? fwrite(bytes, sizeof bytes, 1, f)
                    : fread(bytes, sizeof bytes, 1, f)) != 1)
            return false;
        for (size_t b = 0; b < sizeof(real) && !writes; b++)
            p[b] = bytes[sizeof(real) - 1 - b];
    }
    return true;
}

static bool move_params(FILE *f, const Params *p, real *x, bool writes) {
    for (int i = 0; i < p->count; i++)
        if (!move_reals(f, x + p->tensor[i].at, tensor_size(&p->tensor[i]), writes))
            return false;
    return true;
}

enum { LONGEST_NAME = 4096 };

static char *with_ending(char *name, const char *file, const char *ending) {
    if (snprintf(name, LONGEST_NAME, "%s%s", file, ending) >= LONGEST_NAME)
        die("the name %.40s... is too long", file);
    return name;
}

// Header, then n arrays of the numbers of p, to `file` by way of `file`.tmp.
static void save(const char *file, const Text *header, const Params *p,
                 real *const arrays[], int n) {
    char name[LONGEST_NAME];
    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)header->n >> 8 * i);
    FILE *f = fopen(with_ending(name, file, ".tmp"), "wb");
    bool fine = f && fwrite(size, 8, 1, f) && fwrite(header->at, header->n, 1, f);
    for (int i = 0; i < n && fine; i++) fine = move_params(f, p, arrays[i], true);
    fine = fine && !fflush(f) && !fsync(fileno(f));
    int problem = errno;
    if (f && fclose(f) && fine) fine = false, problem = errno;
    if (fine && rename(name, file)) fine = false, problem = errno;
    if (fine) return;
    if (f) remove(name);
    die("cannot write %s: %s; %s itself is unchanged", name, strerror(problem), file);
}

static void check_writable(const char *file) { // before minutes are spent on training
    char name[LONGEST_NAME];
    with_ending(name, file, ".tmp");
    struct stat about;
    if (!stat(file, &about) && !S_ISREG(about.st_mode)) // /dev/null would be replaced
        die("cannot write %s: it is not an ordinary file", file);
    FILE *f = fopen(file, "rb+"); // rename() would not ask
    if (f) fclose(f);
    else if (errno != ENOENT) die("cannot write %s: %s", file, strerror(errno));
    if (!(f = fopen(name, "wb"))) die("cannot write %s: %s", name, strerror(errno));
    fclose(f);
    remove(name);
}

static void save_training(const Training *t, const char *file, bool with_adam) {
    Text header = {0};
    put_header(&header, t, with_adam);
    save(file, &header, &t->m.p, (real *const[]){t->m.p.w, t->m.p.m, t->m.p.v},
         with_adam ? 3 : 1);
    free(header.at);
}

static void save_best(Training *t) { save_training(t, t->o.out, false); }

static void save_last(Training *t) {
    char name[LONGEST_NAME];
    save_training(t, with_ending(name, t->o.out, ".last"), true);
}

// The text of "key":"..." in a header, up to its closing quote. False if it isn't there.
static bool metadata(const char *header, const char *key, char *out, size_t size) {
    char name[64];
    snprintf(name, sizeof name, ",\"%s\":\"", key);
    const char *from = strstr(header, name);
    if (!from) return false;
    from += strlen(name);
    size_t n = strcspn(from, "\"");
    if (n >= size) return false;
    memcpy(out, from, n);
    out[n] = 0;
    return true;
}

// The vocabulary from its JSON string; V is 0 when it isn't one of ours.
static Vocab take_vocab(const char *s) {
    char hex[5] = "", next[7] = ""; // sscanf() would measure all that follows
    Vocab v = vocab_new((int)(strlen(s) < MOST_TOKENS ? strlen(s) : MOST_TOKENS));
    uint32_t last = 0, c;
    for (; *s && *s != '"'; last = c) {
        unsigned high = 0, low = 0;
        int n = 1;
        c = (unsigned char)*s;
        if (s[0] == '\\' && s[1] == 'u' &&
            sscanf(strncpy(hex, s + 2, 4), "%4x", &high) == 1) {
            c = high, n = 6;
            if (high >> 10 == 0x36 &&
                sscanf(strncpy(next, s + 6, 6), "\\u%4x", &low) == 1)
                c = 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff)), n = 12;
        } else if (s[0] == '\\') c = (unsigned char)s[1], n = 2;
        if (c >= CODE_POINTS || (v.V > 1 && c <= last) || v.V >= MOST_TOKENS ||
            strnlen(s, n) < (size_t)n)
            break;
        vocab_add(&v, c);
        s += n;
    }
    if (*s != '"') v.V = 0;
    return v;
}

static void check_shape(const Config *c) {
    if (c->model == MLP || c->dim % c->heads == 0) return; // an MLP has no heads
    if (c->heads > c->dim) usage("--heads %d: at most --dim %d", c->heads, c->dim);
    int below = c->heads, above = c->heads;
    while (c->dim % below) below--;
    while (above < c->dim && c->dim % above) above++;
    usage("--heads %d does not divide --dim %d; try %d or %d", c->heads, c->dim, below,
          above);
}

// Opens a file that save() wrote and reads its header of n bytes, which is returned.
static char *read_header(const char *file, FILE **f, uint64_t *n) {
    if (!(*f = fopen(file, "rb"))) die("cannot open %s: %s", file, strerror(errno));
    unsigned char size[8] = {0};
    bool whole = fread(size, 8, 1, *f) == 1;
    if (ferror(*f)) die("cannot read %s: %s", file, strerror(errno));
    *n = 0;
    for (int i = 0; i < 8; i++) *n |= (uint64_t)size[i] << 8 * i;
    const char *begins = "{\"__metadata__\":{\"format\":\"pt\",";
    if (!whole || *n < strlen(begins) || *n > 1 << 24)
        die("%s is not a checkpoint of gpt (its header would have %llu bytes)", file,
            (unsigned long long)*n);
    char *header = allocate(*n + 1, 1);
    if (fread(header, 1, *n, *f) < *n)
        die("%s is cut short: it ends within its header", file);
    if (strlen(header) != *n || strncmp(header, begins, strlen(begins)))
        die("%s is not a checkpoint of gpt; README.md shows how to convert others", file);
    return header;
}

static void check_size(FILE *f, const char *file, uint64_t n, uint64_t bytes) {
    if (fseek(f, 0, SEEK_END) || (uint64_t)ftell(f) != 8 + n + bytes ||
        fseek(f, (long)(8 + n), SEEK_SET))
        die("%s is cut short or too long: it should have %llu bytes", file,
            (unsigned long long)(8 + n + bytes));
}

// Reads a checkpoint into t: options, model, state; Adam's moments too if with_adam. It
// trusts nothing: the header must be the one that we would write for what it says, the
// size must fit.
static void load(Training *t, const char *file, bool with_adam) {
    FILE *f;
    uint64_t n;
    char *header = read_header(file, &f, &n), value[64];
    const char *wrong = NULL, *vocab;
    if (metadata(header, "adapter", value, sizeof value))
        die("%s is an adapter, not a model; gpt sample MODEL --adapter %s uses it", file,
            file);
    if (!take_options(&t->o, header, &wrong))
        die("%s: its metadata has no valid %s", file, wrong);
    if ((uint64_t)t->o.c.layers > n / 400) // each would fill more of the header
        die("%s: its header is too short for %d layers", file, t->o.c.layers);
    unsigned long long random = 0, text = 0;
    if (metadata(header, "step", value, sizeof value)) t->step = atoi(value);
    if (metadata(header, "best_step", value, sizeof value)) t->best_step = atoi(value);
    if (metadata(header, "best_loss", value, sizeof value)) t->best = strtod(value, NULL);
    if (metadata(header, "random", value, sizeof value))
        random = strtoull(value, NULL, 16);
    if (metadata(header, "text", value, sizeof value)) text = strtoull(value, NULL, 16);
    t->random.state = random, t->text.fingerprint = text;
    if (t->step < 0 || t->step > 1000000000 || t->best_step < 0 ||
        t->best_step > t->step || isnan(t->best))
        die("%s: its metadata has no valid step", file);
    vocab = strstr(header, ",\"vocab\":\"");
    Vocab v = take_vocab(vocab ? vocab + 10 : "");
    if (v.V < 2) die("%s: its metadata has no valid vocab", file);
    t->o.c.V = v.V;
    if (t->o.c.model != MLP && t->o.c.dim % t->o.c.heads)
        die("%s: its n_head does not divide its n_embd", file);
    t->m = model_shape(t->o.c);
    t->m.vocab = v;
    const bool has_adam = strstr(header, ",\"adam.m.") != NULL;
    Text ours = {0};
    uint64_t bytes = put_header(&ours, t, has_adam);
    if (ours.n != n || memcmp(ours.at, header, n)) {
        size_t at = strspn(header, "{");
        while (at < n && at < ours.n && header[at] == ours.at[at]) at++;
        die("%s is not as gpt writes it%s; its header differs at byte %zu: %.40s", file,
            strstr(header, "F64") && sizeof(real) == 4
                ? " (F64 numbers need a build with -DREAL=double)"
                : "",
            at + 8, header + at);
    }
    if (with_adam && !has_adam)
        die("%s holds no training state; --resume wants the file that ends in .last",
            file);
    check_size(f, file, n, bytes);
    t->m.p.w = reals(t->m.p.size);
    if (with_adam) params_train(&t->m.p);
    bool fine = move_params(f, &t->m.p, t->m.p.w, false);
    if (with_adam)
        fine = fine && move_params(f, &t->m.p, t->m.p.m, false) &&
               move_params(f, &t->m.p, t->m.p.v, false);
    if (!fine) die("cannot read %s: %s", file, strerror(errno));
    fclose(f);
    free(header);
    free(ours.at);
}

// 10. Looking inside
//
// What has a model learned? Five instruments look at what the forward pass keeps: trace
// follows one position through every step, attend draws where each head looks, lens asks
// every layer for its guess, heads finds those that copy, and --ablate switches heads off
// to see who misses them. Layers, heads and positions count from 0, as in the names of
// tensors; position 0 is <eot>, unless the prompt is longer than the context.

static void load_model(Training *t, const Options *o); // section 13
static void training_free(Training *t);

static FILE *open_csv(const char *file, const char *header) { // NULL without a name
    FILE *f = file ? fopen(file, "w") : NULL;
    if (file && !f) die("cannot write %s: %s", file, strerror(errno));
    if (f) fprintf(f, "%s\n", header);
    return f;
}

static void close_csv(FILE *f, const char *file) {
    bool failed = f && ferror(f);
    if (f && (fclose(f) || failed)) die("cannot write %s: %s", file, strerror(errno));
}

// Loads the model and sends the prompt through it once, with attention's weights kept.
// Returns the T tokens that it saw: the last ones, when there are more than it can see.
static int *look(Training *t, const Options *o, int *T) {
    load_model(t, o);
    const Config *c = &t->m.c;
    int *ids = read_prompt(o->prompt, &t->m.vocab, T);
    if (*T > c->context) {
        fprintf(stderr,
                "note: <eot> and the prompt are %d tokens, the model sees %d at a time: "
                "shown are the last %d\n",
                *T, c->context, c->context);
        memmove(ids, ids + *T - c->context, sizeof *ids * c->context);
        *T = c->context;
    }
    t->a = acts_new(c, *T, *T, false);
    if (c->model == TRANSFORMER) t->a.p = reals((uint64_t)c->layers * c->heads * *T * *T);
    head_turn(&t->m, &t->a);
    forward(&t->m, &t->a, ids, (Span){1, *T, 0});
    return ids;
}

static void insist_on_attention(const Model *m, const char *file) {
    if (m->c.model == MLP)
        die("%s is an MLP: no attention (gpt trace and gpt lens look into it)", file);
}

// A token's name between quotes, cut or filled up to `width` columns of the terminal: a
// character takes one column, however many bytes it has.
static void put_name(const Vocab *v, int id, const char *quote, int width) {
    char name[16];
    int columns = 2 * (int)strlen(quote);
    fputs(quote, stdout);
    for (const char *s = token_name(v, id, name); *s; s++) {
        const bool begins = (*s & 0xc0) != 0x80;
        if (begins && columns == width) break;
        columns += begins;
        putchar(*s);
    }
    printf("%s%*s", quote, width - columns, "");
}

// A probability as a shade. The root tells small ones apart: '.' is 0.01 to 0.04, '@'
// 0.81 to 1.
static char shade(double p) { return " .:-=+*#%@"[p < 1 ? (int)(10 * sqrt(p)) : 9]; }
static const char bar[] = "##############################"; // one '#' is 1/30

static int likeliest(const real *p, int V) {
    int best = 0;
    for (int v = 1; v < V; v++)
        if (p[v] > p[best]) best = v;
    return best;
}

// A line of numbers: name and shape, then the first few of each of `parts` equal parts.
static void show(const real *x, int n, int parts, const char *name, ...) {
    const int width = n / parts, few = parts > 1 ? 2 : 6;
    char label[80];
    va_list args;
    va_start(args, name);
    vsnprintf(label, sizeof label, name, args);
    va_end(args);
    printf("  %-24s", label);
    for (int i = 0; i < parts; i++) {
        if (i) printf("%s%*s", i % 4 ? " |" : "\n", i % 4 ? 0 : 26, "");
        for (int j = 0; j < few && j < width; j++)
            printf(" %7.4f", (double)x[i * width + j]);
    }
    puts(width > few ? " .." : "");
}

static void show_norm(const real *y, real mean, real scale, int T, int C) {
    printf("  norm: mean %.4f deviation %.4f\n", (double)mean, 1 / (double)scale);
    show(y, C, 1, "normed (%d,%d)", T, C);
}

static void show_stream(const char *name, const real *x, int C) {
    real squares;
    sum_squares(x, C, &squares);
    printf("  stream %s: length %.4f\n", name, sqrt((double)squares));
}

// What position t looks at, a line per key: the score with each of up to 4 heads, before
// the mask, and what mask and softmax make of it.
static void show_scores(const Model *m, const Acts *a, const int *ids, int l, int t,
                        int T) {
    const int C = m->c.dim, H = m->c.heads, D = C / H;
    const real *q = a->layer[l].qkv + (size_t)t * 3 * C;
    const real *p = a->p + (size_t)l * H * T * T;
    for (int first = 0; first < H; first += 4) {
        const int end = first + 4 < H ? first + 4 : H;
        printf("  scores and weights (%d,%d,%d)\n%26s", H, T, T, "");
        for (int h = first; h < end; h++) printf(" head %-10d |", h);
        for (int s = 0; s < T; s++) {
            printf("\n    key %3d ", s);
            put_name(&m->vocab, ids[s], "'", 14);
            for (int h = first; h < end; h++) {
                const real *k = a->layer[l].qkv + (size_t)s * 3 * C + C + h * D;
                double score = 0;
                for (int d = 0; d < D; d++) score += (double)q[h * D + d] * (double)k[d];
                printf(" %8.4f", score / sqrt(D));
                if (s > t) printf(" masked |");
                else printf(" %.4f |", (double)p[((size_t)h * T + t) * T + s]);
            }
        }
        putchar('\n');
    }
}

// One reading of the stream and one addition to it, at position t. Queries and keys are
// shown as they meet: smeared or rotated, if --pos says so.
static void trace_sublayer(const Model *m, Acts *a, const int *ids, int l, bool attends,
                           int t, int T) {
    const int C = m->c.dim, H = m->c.heads, D = C / H, F = m->c.hidden;
    const LayerActs *s = &a->layer[l];
    const Sublayer *k = attends ? &s->attn : &s->mlp;
    const size_t row = (size_t)t * C;
    printf("\nlayer %d, %s\n", l, attends ? "attention" : "MLP");
    show_stream("before", k->x + row, C);
    if (m->c.norm == PRE) show_norm(k->y + row, k->mean[t], k->scale[t], T, C);
    if (attends) {
        const real *qkv = s->qkv + 3 * row;
        show(qkv, C, H, "queries (%d,%d,%d)", T, H, D);
        show(qkv + C, C, H, "keys (%d,%d,%d)", T, H, D);
        show(qkv + 2 * C, C, H, "values (%d,%d,%d)", T, H, D);
        show_scores(m, a, ids, l, t, T);
        show(s->heads + row, C, H, "heads put out (%d,%d,%d)", T, H, D);
    } else {
        const real *fc = s->fc + (size_t)t * F;
        int zeros = 0;
        activation_forward(a->act, fc, m->c.act, F); // again: it keeps one layer's
        for (int i = 0; i < F; i++) zeros += a->act[i] == 0;
        show(fc, F, 1, "hidden (%d,%d)", T, F);
        show(a->act, F, 1, "after %s", m->c.act == RELU ? "ReLU" : "GELU");
        printf("  %d of %d are zero\n", zeros, F);
    }
    real *added = reals(C);
    for (int c = 0; c < C; c++) added[c] = k->sum[row + c] - k->x[row + c];
    show(added, C, 1, "added (%d,%d)", T, C);
    show_stream("after", k->sum + row, C);
    if (m->c.norm == POST) show_norm(k->y + row, k->mean[t], k->scale[t], T, C);
    aligned_free(added);
}

// The logits after position t, and the ten likeliest characters.
static void show_guess(const Model *m, Acts *a, int t, int T) {
    const int V = m->c.V;
    real *p = reals(V);
    head_forward(m, a, a->logits, a->last + (size_t)t * m->c.dim, 1);
    show(a->logits, V, 1, "logits (%d,%d)", T, V);
    memcpy(p, a->logits, sizeof(real) * V);
    softmax(p, V, 1, V, 1, NULL);
    for (int i = 0; i < 10 && i < V; i++) {
        const int best = likeliest(p, V);
        const double sure = (double)p[best];
        printf("  %5d ", best);
        put_name(&m->vocab, best, "'", 8);
        printf(" logit %8.4f probability %.4f %.*s\n", (double)a->logits[best], sure,
               (int)(30 * sure + 0.5), bar);
        p[best] = -1;
    }
    aligned_free(p);
}

static int trace(Options *o) {
    Training run = {0};
    int T, *ids = look(&run, o, &T), t = o->position < 0 ? T - 1 : o->position;
    const Model *m = &run.m;
    const int C = m->c.dim, V = m->c.V;
    const bool attends = m->c.model == TRANSFORMER;
    if (t >= T) usage("--position %d: this text has positions 0 to %d", t, T - 1);
    printf("position, character, id (%d)\n", T);
    for (int s = 0; s < T; s++) {
        printf("  %5d ", s);
        put_name(&m->vocab, ids[s], "'", 8);
        printf(" %5d%s\n", ids[s], s == t ? "  <- what comes after this one?" : "");
    }
    printf("\nembedding\n");
    show(m->p.w + m->wte + (size_t)ids[t] * C, C, 1, "wte (%d,%d) row %d", V, C, ids[t]);
    if (adds_positions(&m->c))
        show(m->p.w + m->wpe + (size_t)t * C, C, 1, "wpe (%d,%d) row %d", m->c.context, C,
             t);
    show(run.a.x + (size_t)t * C, C, 1, "stream (%d,%d)", T, C);
    for (int l = 0; l < m->c.layers; l++) {
        if (attends) trace_sublayer(m, &run.a, ids, l, true, t, T);
        trace_sublayer(m, &run.a, ids, l, false, t, T);
    }
    printf("\nhead\n");
    show_stream("before", run.a.stream + (size_t)t * C, C);
    if (m->c.norm == PRE)
        show_norm(run.a.y + (size_t)t * C, run.a.mean[t], run.a.scale[t], T, C);
    show_guess(m, &run.a, t, T);
    if (!attends)
        printf("\nEmbedding, MLP, head, and nothing else: this model has no attention. "
               "Only the last character\nmatters; every text that ends in it gets the "
               "same guess.\n");
    free(ids);
    training_free(&run);
    return 0;
}

// One map: a line for each query, a cell for each key up to it.
static void draw_map(const Vocab *v, const int *ids, const real *p, int T) {
    const int width = T <= 36 ? 2 : 1; // two columns make a square cell
    printf("%5s", "");
    for (int s = 0; s < T; s++) put_name(v, ids[s], "", width);
    for (int t = 0; t < T; t++) {
        printf("\n ");
        put_name(v, ids[t], "", 3);
        putchar('|');
        for (int i = 0; i < width * (t + 1); i++)
            putchar(shade((double)p[(size_t)t * T + i / width]));
    }
    printf("|\n");
}

static int attend(Options *o) {
    Training t = {0};
    int T, *ids = look(&t, o, &T);
    insist_on_attention(&t.m, o->file);
    const Vocab *v = &t.m.vocab;
    FILE *f = open_csv(o->csv, "layer,head,query,key,query_char,key_char,weight");
    printf("a line: where one position looks; . 0.01  : 0.04  - 0.09  = 0.16  + 0.25  "
           "* 0.36  # 0.49  %% 0.64  @ 0.81\n");
    for (int map = 0; map < t.m.c.layers * t.m.c.heads; map++) {
        const int l = map / t.m.c.heads, h = map % t.m.c.heads;
        const real *p = t.a.p + (size_t)map * T * T;
        printf("\nlayer %d head %d (%d,%d)\n", l, h, T, T);
        draw_map(v, ids, p, T);
        for (size_t i = 0, n = (size_t)T * T; i < n && f; i++) {
            if (i % T > i / T) continue;
            fprintf(f, "%d,%d,%d,%d,", l, h, (int)(i / T), (int)(i % T));
            put_csv_token(f, v, ids[i / T]);
            putc(',', f);
            put_csv_token(f, v, ids[i % T]);
            fprintf(f, ",%.6f\n", (double)p[i]);
        }
    }
    close_csv(f, o->csv);
    free(ids);
    training_free(&t);
    return 0;
}

// What the model would say if it ended before layer l (nostalgebraist 2020): the stream
// there, the final norm with statistics of that stream, the head. Returns logits (T,V);
// with l = L, they are the model's own. Overwrites a->y.
static real *lens_forward(const Model *m, Acts *a, int l, int T) {
    const LayerActs *k = &a->layer[l];
    const real *x = l == m->c.layers          ? a->stream
                  : m->c.model == TRANSFORMER ? k->attn.x
                                              : k->mlp.x;
    if (m->c.norm == PRE) {
        norm_forward(a->y, a->mean, a->scale, x, m->p.w, m->normf, T);
        x = a->y;
    }
    head_forward(m, a, a->logits, x, T);
    return a->logits;
}

static int lens(Options *o) {
    Training run = {0};
    int T, *ids = look(&run, o, &T);
    const int L = run.m.c.layers, V = run.m.c.V;
    const Vocab *v = &run.m.vocab;
    const size_t table = (size_t)T * V;
    real *guess = reals((uint64_t)(L + 1) * table); // (L+1,T,V)
    for (int l = 0; l <= L; l++)
        memcpy(guess + l * table, lens_forward(&run.m, &run.a, l, T),
               sizeof(real) * table);
    softmax(guess, V, (L + 1) * T, V, 1, NULL);
    // "layers" are those passed: 0 for the embedding, L for the model's own guess
    FILE *f = open_csv(o->csv, "layers,position,character,guess,probability,right");
    printf("what comes next? [right]; '@' is sure\nposition    embedding ");
    for (int l = 0; l < L; l++) printf("layer %-4d", l);
    for (int t = 0; t < T; t++) {
        printf("\n%5d ", t);
        put_name(v, ids[t], "", 6);
        for (int l = 0; l <= L; l++) {
            const real *row = guess + l * table + (size_t)t * V;
            const int best = likeliest(row, V);
            const double p = (double)row[best];
            const bool right = t + 1 < T && best == ids[t + 1];
            putchar(right ? '[' : ' ');
            put_name(v, best, "", 2);
            printf("%c%c%c%c   ", right ? ']' : ' ', shade(p), shade(p), shade(p));
            if (!f) continue;
            fprintf(f, "%d,%d,", l, t);
            put_csv_token(f, v, ids[t]);
            putc(',', f);
            put_csv_token(f, v, best);
            fprintf(f, ",%.6f,%s\n", p, t + 1 == T ? "" : right ? "1" : "0");
        }
    }
    putchar('\n');
    close_csv(f, o->csv);
    free(ids);
    aligned_free(guess);
    training_free(&run);
    return 0;
}

// <eot>, then N characters twice: ids (2N), and what follows each. Dealt from a shuffled
// deck: none comes twice while there are others.
static void draw_repeated(int *ids, int N, int V, int *deck, Random *r) {
    for (int i = 0; i < N; i++) {
        if (i % (V - 1) == 0)
            for (int j = 0; j < V - 1; j++) {
                const int k = (int)(random_uniform(r) * (j + 1));
                deck[j] = deck[k], deck[k] = j;
            }
        ids[1 + i] = ids[1 + N + i] = deck[i % (V - 1)];
    }
    ids[0] = V - 1;
}

// score (3,count) += share x each head's attention, in the second half, to what came
// after the earlier occurrence of this character (Olsson et al. 2022 call heads that do
// so induction heads), to the position before, and to position 0. a->p is (count,2N,2N);
// a position of the second half counts from N + 1 on, the first whose past repeats.
// lab 6
static void score_heads(const Acts *a, real *score, int count, int N, real share) {
    for (int i = 0; i < count; i++)
        for (int t = N + 1; t < 2 * N; t++) {
            const real *p = a->p + ((size_t)i * 2 * N + t) * 2 * N;
            score[i] += share * p[t - N + 1];
            score[count + i] += share * p[t - 1];
            score[2 * count + i] += share * p[0];
        }
}

// Which heads copy? On N random characters twice, where only a copier knows what comes.
static int heads(Options *o) {
    enum { DRAWS = 20 };
    Training t = {0};
    load_model(&t, o);
    insist_on_attention(&t.m, o->file);
    const int H = t.m.c.heads, count = t.m.c.layers * H, most = t.m.c.context / 2,
              N = o->repeat ? o->repeat
                : most < 25 ? most
                            : 25;
    if (most < 2)
        die("%s has a context of %d, too short for repeats", o->file, t.m.c.context);
    if (N < 2 || N > most)
        usage("--repeat %d: must be 2 to %d, half the model's context of %d", N, most,
              t.m.c.context);
    t.a = acts_new(&t.m.c, 2 * N, 2 * N, false);
    t.a.p = reals((uint64_t)count * 4 * N * N);
    int *ids = allocate(2 * (size_t)N + 1 + t.m.c.V, sizeof *ids);
    real *score = reals(3 * (size_t)count);
    Random r = {(uint64_t)o->seed};
    double loss[2] = {0};
    head_turn(&t.m, &t.a);
    for (int i = 0; i < DRAWS; i++) {
        draw_repeated(ids, N, t.m.c.V, ids + 2 * N + 1, &r);
        loss_forward(&t.m, &t.a, ids, ids + 1, 1, 2 * N);
        score_heads(&t.a, score, count, N, (real)(1.0 / DRAWS / (N - 1)));
        for (int j = 0; j < 2 * N; j++) // what follows the first half can't be known
            if (j != N) loss[j > N] += (double)t.a.loss[j] / DRAWS / (j > N ? N - 1 : N);
    }
    FILE *f = open_csv(o->csv, "layer,head,induction,previous,first");
    for (int i = 0; i < count; i++) {
        const int k = likeliest(score, count);
        const double best = (double)score[k], previous = (double)score[count + k],
                     first = (double)score[2 * count + k];
        printf("layer %d head %d induction %.4f previous %.4f first %.4f %.*s\n", k / H,
               k % H, best, previous, first, (int)(30 * best + 0.5), bar);
        if (f) fprintf(f, "%d,%d,%.6f,%.6f,%.6f\n", k / H, k % H, best, previous, first);
        score[k] = -1;
    }
    close_csv(f, o->csv);
    printf("loss first half %.4f second half %.4f (%d characters, %d draws)\n", loss[0],
           loss[1], N, DRAWS);
    free(ids);
    aligned_free(score);
    training_free(&t);
    return 0;
}

// Switches heads off: "1.0", "1.0,1.3", or "1.*" for a whole layer.
static void ablate(Model *m, const char *list) {
    for (const char *s = list; *s;) {
        int l = -1, h = 0, last, n = 0;
        if (sscanf(s, "%4d.%4d%n", &l, &h, &n) == 2 && n) last = h;
        else if (sscanf(s, "%4d.*%n", &l, &n) == 1 && n) h = 0, last = m->c.heads - 1;
        else break;
        if (m->c.model == MLP) die("--ablate %s: an MLP has no heads", list);
        if (l < 0 || l >= m->c.layers || h < 0 || h >= m->c.heads)
            usage("--ablate %s: layers are 0 to %d, heads 0 to %d", list, m->c.layers - 1,
                  m->c.heads - 1);
        memset(m->off + l * m->c.heads + h, 1, last - h + 1);
        s += n;
        if (!*s) return;
        if (*s++ != ',') break;
    }
    usage("--ablate %s: write LAYER.HEAD, like 0.1 or 0.1,2.3, or 1.* for a whole layer",
          list);
}

// 11. Adapting
//
// A model that knows how to write needs little to change its manner. LoRA (Hu et al.
// 2021) freezes all weights and learns, beside the matrices W of queries and values, a
// product of two thin ones:
//
//     W + (alpha/R) A B       W (C,C), A (C,R) random, B (R,C) zero at first
//
// so that step 0 is the old model, bit for bit. A and B are the adapter, a file of their
// own with a few per cent of the parameters. Added to W it costs no time; a model may
// have many, one for each manner.

enum { ALPHA = 16 }; // fixed, so that another rank needs no other learning rate

typedef struct {
    int rank, alpha;
    Params p;     // per layer: A and B of the queries, A and B of the values
    real *scaled; // p.w times alpha/R
    real *base;   // the model's weights as they were
    real *turned; // (C,R) a scaled B
} Adapter;

static Adapter adapter_new(const Model *m, int rank, int alpha, Random *r) {
    const int C = m->c.dim, count = 4 * m->c.layers;
    Adapter d = {.rank = rank, .alpha = alpha, .turned = reals((size_t)C * rank)};
    d.p.tensor = allocate(count, sizeof(Tensor));
    for (int i = 0; i < count; i++)
        add_tensor(&d.p, i % 2 ? rank : C, i % 2 ? C : rank, 0, i % 2 ? 0 : 1 / sqrt(C),
                   "transformer.h.%d.attn.c_attn.lora_%c.%c", i / 4, "AB"[i % 2],
                   "qv"[i / 2 % 2]);
    d.p.w = reals(d.p.size);
    d.scaled = reals(d.p.size);
    for (const Tensor *t = d.p.tensor; t < d.p.tensor + count; t++)
        for (size_t j = 0; j < tensor_size(t); j++)
            d.p.w[t->at + j] = (real)(t->std * random_normal(r));
    d.base = memcpy(reals(m->p.size), m->p.w, sizeof(real) * m->p.size);
    return d;
}

static void adapter_free(Adapter *d) {
    params_free(&d->p);
    aligned_free(d->scaled), aligned_free(d->base), aligned_free(d->turned);
}

// Where the i-th adapted W begins in the table: the columns of a layer's queries (i even)
// or of its values, within c_attn's rows of 3C.
static size_t adapted(const Model *m, int i) {
    return m->layer[i / 2].qkv.w + (size_t)(i % 2) * 2 * m->c.dim;
}

// W = W0 + s A B, with s = alpha/R. Leaves s A and s B in d->scaled for the backward.
// lab 7
static void adapter_forward(Model *m, const Adapter *d) {
    const int C = m->c.dim, R = d->rank;
    for (size_t j = 0; j < d->p.size; j++) d->scaled[j] = d->p.w[j] * d->alpha / R;
    for (int i = 0; i < 2 * m->c.layers; i++) {
        const size_t at = adapted(m, i);
        const real *A = d->scaled + d->p.tensor[2 * i].at,
                   *B = d->p.w + d->p.tensor[2 * i + 1].at;
        matmul(m->p.w + at, 3 * C, rows(d->base + at, 3 * C), rows(A, R), rows(B, C), C,
               C, R);
    }
}

// forward: W = W0 + s A B; so dA += s dW Bt, dB += s At dW. dW stands in the model's g;
// what its backward pass found for all other tensors is thrown away. Clears g.
// lab 7
static void adapter_backward(Model *m, Adapter *d) {
    const int C = m->c.dim, R = d->rank;
    for (int i = 0; i < 2 * m->c.layers; i++) {
        const size_t A = d->p.tensor[2 * i].at, B = d->p.tensor[2 * i + 1].at;
        const Matrix dW = rows(m->p.g + adapted(m, i), 3 * C);
        real *dA = d->p.g + A, *dB = d->p.g + B;
        turn(d->turned, R, d->scaled + B, C, R, C);
        matmul(dA, R, rows(dA, R), dW, rows(d->turned, R), C, R, C);
        matmul(dB, C, rows(dB, C), turned(d->scaled + A, R), dW, R, C, C);
    }
    memset(m->p.g, 0, sizeof(real) * m->p.size);
}

static uint64_t put_adapter_header(Text *s, const Adapter *d, const Config *c) {
    uint64_t offset = 0;
    put(s, "{\"__metadata__\":{\"format\":\"pt\",\"adapter\":\"lora\",\"rank\":\"%d\"",
        d->rank);
    put(s, ",\"alpha\":\"%d\",\"n_layer\":\"%d\",\"n_head\":\"%d\",\"n_embd\":\"%d\"}",
        d->alpha, c->layers, c->heads, c->dim);
    put_tensors(s, &d->p, "", &offset);
    put(s, "}");
    while (s->n % 8) put(s, " ");
    return offset;
}

static void adapter_save(const Adapter *d, const Config *c, const char *file) {
    Text header = {0};
    put_adapter_header(&header, d, c);
    save(file, &header, &d->p, (real *const[]){d->p.w}, 1);
    free(header.at);
}

// Reads an adapter and adds it to the model's weights. As in load(), the file must be
// what we would write, for this model.
static void adapter_load(Model *m, const char *file) {
    FILE *f;
    uint64_t n;
    char *header = read_header(file, &f, &n), value[2][8] = {"", ""};
    metadata(header, "rank", value[0], sizeof value[0]);
    metadata(header, "alpha", value[1], sizeof value[1]);
    const int rank = atoi(value[0]), alpha = atoi(value[1]);
    if (m->c.model == MLP || rank < 1 || rank > m->c.dim)
        die("%s is not an adapter for this model; gpt tune makes one", file);
    Adapter d = adapter_new(m, rank, alpha, &(Random){0});
    Text ours = {0};
    const uint64_t bytes = put_adapter_header(&ours, &d, &m->c);
    if (ours.n != n || memcmp(ours.at, header, n))
        die("%s is not an adapter for this model (%d layers, %d heads, --dim %d)", file,
            m->c.layers, m->c.heads, m->c.dim);
    check_size(f, file, n, bytes);
    if (!move_params(f, &d.p, d.p.w, false))
        die("cannot read %s: %s", file, strerror(errno));
    fclose(f);
    adapter_forward(m, &d);
    adapter_free(&d);
    free(header);
    free(ours.at);
}

// Downhill with A and B alone: Adam knows no other numbers.
static void tune_loop(Training *t, Adapter *d, const Options *o) {
    const int B = o->batch, T = t->m.c.context, every = o->steps < 10 ? 1 : o->steps / 10;
    int *x = allocate(B, 2 * T * sizeof *x), *y = x + (size_t)B * T;
    double sum = 0;
    for (int step = 0; step < o->steps && !stop_signal; step++) {
        draw_windows(t->text.train, x, y, B, T, &t->random);
        adapter_forward(&t->m, d);
        sum += gradient(&t->m, &t->a, x, y, B, T);
        if (!isfinite(sum))
            die("the loss is no longer a number at step %d; try a smaller --lr", step);
        adapter_backward(&t->m, d);
        optimizer_step(&d->p, step, learning_rate(o, step, (double)step / o->steps),
                       o->weight_decay);
        if ((step + 1) % every) continue;
        printf("step %d train %.4f\n", step + 1, sum / every);
        if (fflush(stdout)) stop_signal = SIGPIPE;
        sum = 0;
    }
    adapter_forward(&t->m, d);
    free(x);
}

static void print_losses(const char *when, Training *t, Stream old) {
    const double loss = evaluate(&t->m, &t->a, t->text.valid, NULL);
    printf("%s new %.6f old %.6f\n", when, loss, evaluate(&t->m, &t->a, old, NULL));
    fflush(stdout);
}

static int tune(Options *o) {
    Training t = {0};
    load_model(&t, o);
    insist_on_attention(&t.m, o->file);
    const Config *c = &t.m.c;
    if (o->rank > c->dim)
        usage("--rank %d: at most the model's --dim %d", o->rank, c->dim);
    check_writable(o->out);
    Corpus old = read_corpus(o->old, NULL, &t.m.vocab);
    t.text = read_corpus(o->data, o->valid, &t.m.vocab);
    if (t.text.train.n < (size_t)c->context + 1)
        die("%s has %zu tokens to train on, the model's context needs %d", o->data,
            t.text.train.n, c->context + 1);
    t.random.state = (uint64_t)o->seed;
    t.m.p.g = reals(t.m.p.size); // dW comes from here
    t.m.p.wt = reals(t.m.p.size);
    t.a = acts_new(c, micro_batch(c) * c->context, c->context, true);
    acts_share(&t.a, &t.m, INT_MAX, true);
    Adapter d = adapter_new(&t.m, o->rank, ALPHA, &t.random);
    params_train(&d.p);
    const size_t ours = parameters(&d.p), all = ours + parameters(&t.m.p);
    printf("rank %d alpha %d trainable %zu of %zu parameters (%.2f %%)\n", d.rank,
           d.alpha, ours, all, 100.0 * (double)ours / (double)all);
    print_losses("before", &t, old.valid);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal), signal(SIGPIPE, SIG_IGN);
    tune_loop(&t, &d, o);
    adapter_save(&d, c, o->out);
    const int number = stop_signal;
    if (number) fprintf(stderr, "stopped; %s holds the adapter so far\n", o->out);
    else print_losses("after", &t, old.valid);
    adapter_free(&d);
    corpus_free(&old);
    training_free(&t);
    return number ? 128 + number : 0;
}

// 12. Fast
//
// The product of section 2, for speed. A tile of c, 8 rows by 48 columns, stays in
// registers while k runs: a step loads 3 vectors of b and 8 numbers of a for 24
// multiply-adds of vectors: arithmetic, not memory, sets the pace. One text, all CPUs.

#ifdef __GNUC__
typedef void Tiles(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M, int K);

// Tiles below each other: c (M,width) = start (M,width) + a (M,K) b (K,width), where
// width is one to three vectors and M a multiple of TALL. Memory answers late, so it is
// asked early: for the tile's part of start, which is added last, and, if it is three
// vectors wide, in each step for a line of b that the tiles to the right will need.
#define TILES(name, TARGET, BYTES, TALL, VECTORS)                                       \
    TARGET static void name(real *c, size_t c_row, Matrix start, Matrix a, Matrix b,    \
                            int M, int K) {                                             \
        typedef real V                                                                  \
            __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));      \
        enum { LANES = BYTES / sizeof(real) };                                          \
        for (int top = 0; top < M; top += TALL) {                                       \
            const real *s = part(start, top, 0).at, *x = part(a, top, 0).at, *y = b.at; \
            V sum[TALL][VECTORS] = {0};                                                 \
            for (int i = 0; i < TALL && s; i++)                                         \
                for (int j = 0; j < VECTORS; j++)                                       \
                    __builtin_prefetch(s + i * start.row + j * LANES);                  \
            for (int k = 0; k < K; k++, x += a.col, y += b.row) {                       \
                if (VECTORS == 3) __builtin_prefetch(y + (3 + top / TALL % 3) * LANES); \
                for (int i = 0; i < TALL; i++)                                          \
                    for (int j = 0; j < VECTORS; j++)                                   \
                        sum[i][j] += x[i * a.row] * *(V *)(y + j * LANES);              \
            }                                                                           \
            if (s)                                                                      \
                for (int i = 0; i < TALL; i++)                                          \
                    for (int j = 0; j < VECTORS; j++)                                   \
                        sum[i][j] += *(V *)(s + i * start.row + j * LANES);             \
            for (int i = 0; i < TALL; i++)                                              \
                for (int j = 0; j < VECTORS; j++)                                       \
                    *(V *)(c + (top + i) * c_row + j * LANES) = sum[i][j];              \
        }                                                                               \
    }

typedef struct {
    int tall, bytes;
    Tiles *tiles[3]; // of one, two and three vectors
} Kernel;

#define KERNEL(name, TARGET, BYTES, TALL)    \
    TILES(name##_1, TARGET, BYTES, TALL, 1)  \
    TILES(name##_2, TARGET, BYTES, TALL, 2)  \
    TILES(name##_3, TARGET, BYTES, TALL, 3)  \
    static const Kernel name = {TALL, BYTES, {name##_1, name##_2, name##_3}};

KERNEL(sse, , 16, 4)
#ifdef __x86_64__
KERNEL(avx2, FOR_AVX2, 32, 4)
KERNEL(avx512, FOR_AVX512, 64, 8)
static const Kernel *const kernels[] = {[SSE] = &sse, [AVX2] = &avx2, [AVX512] = &avx512};
#else
static const Kernel *const kernels[] = {[SSE] = &sse};
#endif

enum { DEEP = 256, WIDEST = 3 * LINE }; // a slice of b, DEEP x WIDEST, stays in cache

// One tile whose right edge lies beyond the matrix: computed beside it, then copied.
static void tile_at_edge(Tiles *tiles, int tall, int width, int left, real *c,
                         size_t c_row, Matrix start, Matrix a, Matrix b, int K) {
    real beside[8 * WIDEST] = {0};
    for (int i = 0; i < tall && start.at; i++)
        memcpy(beside + i * width, start.at + i * start.row, sizeof(real) * left);
    tiles(beside, width, rows(start.at ? beside : NULL, width), a, b, tall, K);
    for (int i = 0; i < tall; i++)
        memcpy(c + i * c_row, beside + i * width, sizeof(real) * left);
}

// A single row: memory sets the pace. Four rows of b at a time, so c moves a quarter as
// often; the next four, if b is large and they follow at once, are asked for early.
ANY product_row_any(real *restrict c, Matrix start, Matrix a, Matrix b, int N, int K) {
    const size_t one = a.col, row = b.row;
    const int early = row == (size_t)N && (double)N * K > 1 << 16 ? 4 * N : 0;
    const real *x = a.at, *y = b.at;
    for (int j = 0; j < N && start.at != c; j++) c[j] = start.at ? start.at[j] : 0;
    for (; K >= 4; K -= 4, x += 4 * one, y += 4 * row) {
        for (int j = 0; j < early; j += LINE) __builtin_prefetch(y + 4 * row + j);
        for (int j = 0; j < N; j++)
            c[j] += x[0] * y[j] + x[one] * y[row + j] + x[2 * one] * y[2 * row + j] +
                    x[3 * one] * y[3 * row + j];
    }
    for (; K > 0; K--, x += one, y += row)
        for (int j = 0; j < N; j++) c[j] += *x * y[j];
}
PER_CPU(product_row, (real *c, Matrix start, Matrix a, Matrix b, int N, int K),
        (c, start, a, b, N, K))

// One slice of k: whole tiles of up to three vectors beside each other, then single rows.
static void product_slice(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M,
                          int N, int K) {
    const Kernel *kernel = kernels[path];
    const int lanes = kernel->bytes / (int)sizeof(real);
    const int tall = kernel->tall, whole = M - M % tall;
    real edge[DEEP * WIDEST]; // the last columns of b, filled up with zeros
    for (int j = 0, width; j < N && whole; j += width) {
        const int left = N - j, needed = (left + lanes - 1) / lanes;
        const int vectors = needed == 4 ? 2 : smaller(needed, 3);
        Tiles *tiles = kernel->tiles[vectors - 1];
        width = vectors * lanes;
        if (width <= left)
            tiles(c + j, c_row, part(start, 0, j), a, part(b, 0, j), whole, K);
        for (int k = 0; k < K && width > left; k++) {
            memset(edge + k * width, 0, sizeof(real) * width);
            memcpy(edge + k * width, part(b, k, j).at, sizeof(real) * left);
        }
        for (int i = 0; i < whole && width > left; i += tall)
            tile_at_edge(tiles, tall, width, left, c + i * c_row + j, c_row,
                         part(start, i, j), part(a, i, 0), rows(edge, width), K);
    }
    for (int i = whole; i < M; i++)
        product_row(c + i * c_row, part(start, i, 0), part(a, i, 0), b, N, K);
}
#endif

static void product(real *c, size_t c_row, Matrix start, Matrix a, Matrix b, int M, int N,
                    int K) {
    if (path == PLAIN || !K) product_plain(c, c_row, start, a, b, M, N, K);
#ifdef __GNUC__
    for (int k = 0; k < K && path != PLAIN; k += DEEP, start = rows(c, (int)c_row))
        product_slice(c, c_row, start, part(a, 0, k), part(b, k, 0), M, N,
                      smaller(DEEP, K - k));
#endif
}

// 13. The command line
//
// One table of options drives parsing, help and what a checkpoint says about its model.
// One table of commands says which of them belong together. Then the commands, and main.

typedef enum { WHOLE, NUMBER, NAME, CHOICE, FLAG } Kind;

typedef struct {
    const char *name;
    Kind kind;
    size_t at;            // where in Options
    const char *fallback; // its default, as one would type it
    double least, most;   // the range of a number
    const char *choices;  // "adam|muon": its value is the word's place, 0 or 1
    const char *key;      // its name in a checkpoint's metadata
    const char *commands; // letters of the commands that take it
    const char *help;
} Option;

#define AT(field) offsetof(Options, field)
#define TEXT(field, fallback, shown) NAME, AT(field), fallback, 0, 0, shown
#define INT(field, fallback, least, most) WHOLE, AT(field), fallback, least, most, NULL
#define DOUBLE(field, fallback, least, most) \
    NUMBER, AT(field), fallback, least, most, NULL
#define ONE_OF(field, fallback, choices) CHOICE, AT(field), fallback, 0, 0, choices
#define SWITCH(field) FLAG, AT(field), NULL, 0, 0, NULL

static const Option options[] = {
    {"data", TEXT(data, "data/stories.txt", "F"), NULL, "teu",
     "the text, stories separated by lines " SEPARATOR},
    {"valid", TEXT(valid, NULL, "F"), NULL, "tu",
     "text for validation (default: the last tenth of the stories)"},
    {"out", TEXT(out, "gpt.safetensors", "F"), NULL, "t",
     "where the best weights go; F.last holds all that --resume needs"},
    {"resume", TEXT(resume, NULL, "F"), NULL, "t",
     "go on with the run saved in F (a file that ends in .last)"},
    {"log", TEXT(log, NULL, "F.csv"), NULL, "t", "write losses as CSV"},
    {"model", ONE_OF(c.model, "transformer", "transformer|mlp"), "model", "tcb",
     "mlp sees one character only"},
    {"layers", INT(c.layers, "4", 1, 1000), "n_layer", "tcb", "blocks of the model"},
    {"heads", INT(c.heads, "4", 1, 1024), "n_head", "tcb",
     "attention heads in each, must divide --dim"},
    {"dim", INT(c.dim, "128", 1, 16384), "n_embd", "tcb", "numbers per position"},
    {"hidden", INT(c.hidden, "0", 0, 65536), "n_inner", "tcb",
     "hidden units of the MLP (0: four times --dim)"},
    {"context", INT(c.context, "768", 1, 65536), "n_ctx", "tcb",
     "characters that the model sees at once"},
    {"pos", ONE_OF(c.pos, "smeared", "sin|learned|rotary|smeared|none"), "pos", "tcb",
     "how positions are told apart"},
    {"norm", ONE_OF(c.norm, "pre", "pre|post"), "norm", "tcb",
     "layer norm before or after each sub-layer"},
    {"act", ONE_OF(c.act, "relu", "relu|gelu"), "act", "tcb", "activation of the MLP"},
    {"tie", ONE_OF(c.tie, "yes", "no|yes"), "tie", "tcb",
     "the head is the embedding table"},
    {"batch", INT(batch, "6", 1, 65536), "batch", "tub", "windows per step"},
    {"steps", INT(steps, "0", 0, 1e9), "steps", "tb",
     "steps to train (0: 2000, or until --minutes)"},
    {"minutes", DOUBLE(minutes, "0", 0, 1e6), "minutes", "t",
     "minutes to train, evaluation included (0: until --steps)"},
    {"stop-at", INT(stop_at, "0", 0, 1e9), NULL, "t",
     "stop after this step as if interrupted (0: don't)"},
    {"lr", DOUBLE(lr, "0.006", 0, 100), "lr", "tu", "highest learning rate"},
    {"optimizer", ONE_OF(optimizer, "muon", "adam|muon"), "optimizer", "tb",
     "how the matrices of the layers learn; all else learns by Adam"},
    {"warmup", INT(warmup, "100", 0, 1e9), "warmup", "tu", "steps until it is reached"},
    {"weight-decay", DOUBLE(weight_decay, "0.1", 0, 100), "weight_decay", "tu",
     "pull of every matrix towards 0"},
    {"seed", INT(seed, "1", 0, 2147483647), "seed", "tcsubn",
     "where random numbers begin"},
    {"eval-every", INT(eval_every, "250", 1, 1e9), "eval_every", "t",
     "steps between evaluations"},
    {"prompt", TEXT(prompt, NULL, "S"), NULL, "sral",
     "how the text begins (default: a new story)"},
    {"chars", INT(chars, "1000", 0, 1e9), NULL, "s", "characters to write at most"},
    {"temperature", DOUBLE(temperature, "0.8", 0, 1000), NULL, "s",
     "0: always the likeliest; 1: as learned; more: wilder"},
    {"top-k", INT(top_k, "0", 0, 65535), NULL, "s",
     "choose among the k likeliest (0: all)"},
    {"samples", INT(samples, "1", 1, 1e9), NULL, "s",
     "how many texts; number k uses seed + k"},
    {"past-end", SWITCH(past_end), NULL, "s", "go on after the end of the story"},
    {"no-cache", SWITCH(no_cache), NULL, "s",
     "compute every position again for each character"},
    {"tokens", TEXT(tokens, NULL, "F.csv"), NULL, "e",
     "write position, offset, character and loss of every token"},
    {"adapter", TEXT(adapter, NULL, "F"), NULL, "serlan",
     "add the adapter that gpt tune wrote to F"},
    {"ablate", TEXT(ablate, NULL, "L.H,..."), NULL, "serlan",
     "switch heads off: layer.head, or layer.* for all of a layer"},
    {"position", INT(position, "-1", -1, 65535), NULL, "r",
     "which position to follow (-1: the last)"},
    {"csv", TEXT(csv, NULL, "F.csv"), NULL, "lan", "write the numbers as CSV"},
    {"out", TEXT(out, "gpt.safetensors", "F"), NULL, "u", "where the adapter goes"},
    {"steps", INT(steps, "0", 0, 1e9), NULL, "u", "steps to train"},
    {"old", TEXT(old, "data/stories.txt", "F"), NULL, "u",
     "a text the model knows already, to see what it forgets"},
    {"rank", INT(rank, "8", 1, 16384), NULL, "u",
     "columns of A, rows of B: how much can change"},
    {"repeat", INT(repeat, "0", 0, 1e6), NULL, "n",
     "characters until they come again (0: 25, or what fits)"},
    // for tests/bench.c, whose letter is b
    {"repeat", INT(repeat, "0", 0, 1e6), NULL, "b", "1: only the step"},
    {"matmul", ONE_OF(matmul, "auto", "auto|plain|sse|avx2|avx512"), NULL, "*",
     "which matrix product"},
};
enum { OPTIONS = sizeof options / sizeof *options };

typedef struct {
    const char *name;
    char letter;
    bool takes_model;
    const char *preset; // defaults of its own
    int (*run)(Options *o);
    const char *help;
} Command;

// Sets an option from its text; false when the text is no value for it.
static bool set_option(Options *o, const Option *p, const char *text) {
    char *end, *field = (char *)o + p->at;
    if (p->kind == NAME) {
        if (*p->choices == 'F' && !*text) return false; // help shows files as F, F.csv
        *(const char **)field = text;
    } else if (p->kind == FLAG) *(int *)field = 1;
    else if (p->kind == CHOICE) {
        const size_t n = strlen(text);
        int which = 0;
        for (const char *c = p->choices;; c++, which++) {
            size_t length = strcspn(c, "|");
            if (length == n && !memcmp(c, text, n)) return *(int *)field = which, true;
            if (!*(c += length)) return false;
        }
    } else {
        double x = strtod(text, &end);
        if (end == text || *end || !(x >= p->least && x <= p->most) ||
            (p->kind == WHOLE && x != floor(x)))
            return false;
        if (p->kind == WHOLE) *(int *)field = (int)x;
        else *(double *)field = x;
    }
    return true;
}

// The option's value as text, in out (32 bytes): as short as it can be read back exactly.
static char *option_text(const Options *o, const Option *p, char *out) {
    const char *field = (const char *)o + p->at;
    if (p->kind == CHOICE) {
        const char *c = p->choices;
        for (int i = *(const int *)field; i > 0; i--) c += strcspn(c, "|") + 1;
        snprintf(out, 32, "%.*s", (int)strcspn(c, "|"), c);
    } else if (p->kind == NUMBER) {
        double x = *(const double *)field;
        for (int digits = 1; digits <= 17; digits++)
            if (snprintf(out, 32, "%.*g", digits, x), strtod(out, NULL) == x) break;
    } else snprintf(out, 32, "%d", *(const int *)field);
    return out;
}

static void put_options(Text *s, const Options *o) {
    char value[32];
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].key)
            put(s, ",\"%s\":\"%s\"", options[i].key, option_text(o, &options[i], value));
}

static bool take_options(Options *o, const char *header, const char **wrong) {
    char value[64];
    for (int i = 0; i < OPTIONS; i++)
        if ((*wrong = options[i].key) &&
            !(metadata(header, options[i].key, value, sizeof value) &&
              set_option(o, &options[i], value)))
            return false;
    *wrong = "hidden";
    return o->c.hidden > 0;
}

static const char *path_name(Path p) {
    static const char *const names[] = {"plain", "sse", "avx2", "avx512"};
    return names[p];
}

static void training_free(Training *t) {
    acts_free(&t->a);
    corpus_free(&t->text);
    model_free(&t->m);
    close_csv(t->log, t->o.log);
}

// What was read and what is to be expected of it.
static void describe_text(const Training *t) {
    const int V = t->m.c.V;
    printf("text %s: %zu characters, %zu stories, vocabulary %d (%d characters and "
           "end-of-text)\n",
           t->o.data, t->text.characters, t->text.stories, V, V - 1);
    printf("train %zu tokens, valid %zu tokens\n", t->text.train.n - 1,
           t->text.valid.n - 1);
    double *own = count_pairs(t->text.valid, V), *train = count_pairs(t->text.train, V);
    printf("uniform %.4f\nunigram %.4f\nbigram %.4f\nbigram-counted %.4f\n", log(V),
           entropy(own, V, false), entropy(own, V, true),
           table_loss(train, V, t->text.valid));
    if (t->text.characters < 200000)
        printf("so little text is soon known by heart: watch the validation loss; 1 MB "
               "or more teaches better\n");
    else
        printf("a loss near %.1f knows letters, near %.1f pairs of letters (the MLP's "
               "floor); words come below 1.5, sentences below 1.1\n",
               entropy(own, V, false), entropy(own, V, true));
    free(own);
    free(train);
}

// Does this file hold the best weights of the run? There may be none, or another run's.
static bool holds_best(const Training *t, const char *file) {
    char start[4096] = "", loss[64]; // our metadata is shorter, but for the vocabulary
    FILE *f = fopen(file, "rb");
    if (!f) return false;
    const bool fine = !fseek(f, 8, SEEK_SET) && fread(start, 1, sizeof start - 1, f) &&
                      metadata(start, "best_loss", loss, sizeof loss);
    fclose(f);
    return fine && strtod(loss, NULL) == t->best;
}

// Goes on with the run of --resume: its options, unless the command line overrides them.
static void take_over(Training *t, const Options *o) {
    char was[32], now[32];
    load(t, o->resume, true);
    const Options stored = t->o;
    t->o = *o;
    for (int i = 0; i < OPTIONS; i++) {
        const Option *p = &options[i];
        if (!p->key) continue;
        option_text(&stored, p, was);
        if (!o->given[i]) set_option(&t->o, p, was);
        else if (strcmp(was, option_text(o, p, now))) {
            printf("override --%s %s (was %s)\n", p->name, now, was);
            if (p->at == AT(seed)) t->random.state = (uint64_t)o->seed;
        }
    }
    t->o.c.V = stored.c.V;
    if (memcmp(&t->o.c, &stored.c, sizeof stored.c))
        usage("--resume goes on with the model in %s; its shape can't change", o->resume);
    if (t->o.optimizer == ADAM && stored.optimizer == MUON) // which keeps no v beside m
        for (int i = 0; i < t->m.p.count; i++) {
            const Tensor *x = &t->m.p.tensor[i];
            if (x->blocks) memset(t->m.p.m + x->at, 0, sizeof(real) * tensor_size(x));
        }
    // the next ones are the best there
    if (!holds_best(t, t->o.out)) t->best = INFINITY, t->best_step = 0;
}

// Prepares the run that o asks for: a new model, or the one of --resume.
static void training_new(Training *t, const Options *o, bool quiet) {
    char last[LONGEST_NAME];
    check_writable(o->out), check_writable(with_ending(last, o->out, ".last"));
    if (o->resume) take_over(t, o);
    else {
        t->o = *o;
        t->random.state = (uint64_t)o->seed;
        t->best = INFINITY;
    }
    if (!t->o.steps && !(t->o.minutes > 0)) t->o.steps = 2000;
    const uint64_t fingerprint = t->text.fingerprint;
    t->text = read_corpus(o->data, o->valid, &t->m.vocab);
    if (o->resume && fingerprint != t->text.fingerprint)
        die("%s is not the text that %s was trained on", o->data, o->resume);
    if (o->resume && t->o.steps && t->step >= t->o.steps)
        fprintf(stderr,
                "note: %s is at step %d, --steps is %d: a larger number goes on, or 0 "
                "with --minutes\n",
                o->resume, t->step, t->o.steps);
    t->o.c.V = t->m.vocab.V;
    if (t->text.train.n < (size_t)t->o.c.context + 1)
        die("%s has %zu tokens to train on, --context %d needs %d; try --context %zu",
            o->data, t->text.train.n, t->o.c.context, t->o.c.context + 1,
            t->text.train.n > 2 ? t->text.train.n / 2 : 1);
    if (!o->resume) {
        const Vocab v = t->m.vocab;
        t->m = model_shape(t->o.c);
        t->m.vocab = v;
    }
    if (!quiet) describe_text(t);
    const int micro = micro_batch(&t->o.c), most = smaller(t->o.batch, micro);
    Acts plan = {.rows = most * t->o.c.context,
                 .room = t->o.c.context,
                 .layer = allocate(t->o.c.layers, sizeof(LayerActs))};
    const double lanes =
        smaller(omp_get_max_threads(), micro_batches(&t->o.c, t->o.batch));
    double mb = (5.0 * t->m.p.size + lanes * acts_plan(&plan, &t->o.c, true)) *
                    sizeof(real) / 1e6 +
                t->text.characters * sizeof(Token) / 1e6;
    free(plan.layer);
    printf("model %zu parameters, memory %.0f MB, threads %d, matmul %s, %s\n",
           parameters(&t->m.p), mb, omp_get_max_threads(), path_name(path),
           sizeof(real) == 4 ? "float" : "double");
    fflush(stdout);
    if (!o->resume) {
        model_init(&t->m, &t->random);
        params_train(&t->m.p);
    }
    t->m.p.has_muon = t->o.optimizer == MUON;
    t->a = acts_new(&t->o.c, plan.rows, plan.room, true);
    acts_share(&t->a, &t->m, micro_batches(&t->o.c, t->o.batch), true);
}

static int train(Options *o) {
    Training t = {0};
    training_new(&t, o, false);
    if (o->log && !(t.log = fopen(o->log, o->resume ? "a" : "w")))
        die("cannot write %s: %s", o->log, strerror(errno));
    if (t.log && (!o->resume || (!fseek(t.log, 0, SEEK_END) && !ftell(t.log))))
        fprintf(t.log, "step,train,valid,lr,tokens_per_second,seconds\n");
    const bool ended = training_loop(&t, o->stop_at);
    if (ended && !isinf(t.best))
        printf("best step %d valid %.6f in %s\n", t.best_step, t.best, t.o.out);
    else if (!ended || !o->resume) { // or else nothing was done, as a note has said
        if (isinf(t.best)) save_best(&t); // something to sample from
        save_last(&t);
        const bool other = strcmp(o->data, "data/stories.txt");
        fprintf(stderr,
                "stopped at step %d; go on with: gpt train --resume %s.last%s%s%s%s\n",
                t.step, t.o.out, other ? " --data " : "", other ? o->data : "",
                o->valid ? " --valid " : "", o->valid ? o->valid : "");
    }
    const int number = stop_signal;
    training_free(&t);
    return number ? 128 + number : 0;
}

static void load_model(Training *t, const Options *o) {
    load(t, o->file, false);
    if (o->adapter) adapter_load(&t->m, o->adapter);
    if (o->ablate) ablate(&t->m, o->ablate);
}

static int sample(Options *o) {
    Training t = {0};
    load_model(&t, o);
    for (int i = 0; i < o->samples; i++) {
        write_text(&t.m, o, o->prompt, (uint64_t)o->seed + i);
        if (i + 1 < o->samples) puts(SEPARATOR);
    }
    training_free(&t);
    return 0;
}

static int eval(Options *o) {
    Training t = {0};
    load_model(&t, o);
    t.text = read_corpus(o->data, NULL, &t.m.vocab);
    const int V = t.m.c.V, T = t.m.c.context, most = micro_batch(&t.m.c) * T;
    double *own = count_pairs(t.text.valid, V);
    printf("unigram %.6f\nbigram %.6f\n", entropy(own, V, false), entropy(own, V, true));
    FILE *f = open_csv(o->tokens, "position,offset,character,loss");
    t.a = acts_new(&t.m.c, most, T, false);
    acts_share(&t.a, &t.m, INT_MAX, false);
    double loss = evaluate(&t.m, &t.a, t.text.valid, f);
    close_csv(f, o->tokens);
    printf("loss %.6f bits/char %.6f perplexity %.6f tokens %zu\n", loss, loss / log(2),
           exp(loss), t.text.valid.n - 1);
    free(own);
    training_free(&t);
    return 0;
}

static int info(Options *o) {
    Training t = {0};
    char value[32], name[16];
    load_model(&t, o);
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].key)
            printf("%s %s\n", options[i].name, option_text(&t.o, &options[i], value));
    printf("step %d\nbest_step %d\nbest_loss %.6f\nparameters %zu\nvocabulary %d:",
           t.step, t.best_step, t.best, parameters(&t.m.p), t.m.c.V);
    for (int i = 0; i < t.m.c.V; i++) printf(" %s", token_name(&t.m.vocab, i, name));
    putchar('\n');
    for (int i = 0; i < t.m.p.count; i++) {
        const Tensor *p = &t.m.p.tensor[i];
        double squares = 0;
        for (size_t j = 0; j < tensor_size(p); j++)
            squares += (double)t.m.p.w[p->at + j] * t.m.p.w[p->at + j];
        if (p->rows) snprintf(value, sizeof value, "(%d,%d)", p->rows, p->cols);
        else snprintf(value, sizeof value, "(%d)", p->cols);
        printf("%-40s %-12s rms %.4f%s%s\n", p->name, value,
               sqrt(squares / tensor_size(p)), p->decays ? " decays" : "",
               p->fixed ? " fixed" : "");
    }
    training_free(&t);
    return 0;
}

static int demo(Options *o);
static int help(Options *o);

static int version(Options *o) {
    (void)o;
    printf("gpt %s, compiler %s, OpenMP %s, threads %d, matmul %s, %s\n", VERSION,
           COMPILER, OPENMP, omp_get_max_threads(), path_name(path),
           sizeof(real) == 4 ? "float" : "double");
    return 0;
}
static void parse_line(Options *o, const Command *c, const char *line);

static const Command commands[] = {
    {"demo", 'd', false, "", demo, "count, train the MLP and the transformer, compare"},
    {"train", 't', false, "", train, "train a model on a text"},
    {"sample", 's', true, "", sample, "let a model write"},
    {"eval", 'e', true, "", eval, "the loss on the validation part of a text"},
    {"check", 'c', false, "--layers 2 --heads 3 --dim 12 --hidden 20 --context 7", check,
     "compare every gradient with its definition"},
    {"trace", 'r', true, "", trace, "every step of the forward pass, with its numbers"},
    {"attend", 'a', true, "", attend, "draw where each head looks"},
    {"lens", 'l', true, "", lens, "what every layer would guess"},
    {"heads", 'n', true, "", heads, "find the heads that copy"},
    {"tune", 'u', true,
     "--data data/pirates.txt --out adapter.safetensors "
     "--batch 16 --steps 300 --lr 0.005 --warmup 20 --weight-decay 0",
     tune, "adapt a model to another text with LoRA"},
    {"info", 'i', true, "", info, "what is in a checkpoint"},
    {"version", 'v', false, "", version, "version, compiler, threads, matrix product"},
    {"help", 'h', false, "", help, "this text; gpt help COMMAND lists its options"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const Command *find_command(const char *name) {
    const char *plain = name + strspn(name, "-"); // --help, --version
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(commands[i].name, strcmp(plain, "h") ? plain : "help"))
            return &commands[i];
    usage("unknown command %s; gpt help lists them", name);
    return NULL;
}

static int help(Options *o) {
    if (!o->file) {
        printf("gpt: a character language model in one file\n\ngpt                   the "
               "demo, on data/stories.txt\n");
        for (int i = 0; i < COMMANDS; i++)
            printf("gpt %-7s %-10s%s\n", commands[i].name,
                   commands[i].takes_model ? "MODEL" : "", commands[i].help);
        printf("\ngpt help COMMAND lists the options of a command\n");
        return 0;
    }
    const Command *c = find_command(o->file);
    Options preset = *o;
    parse_line(&preset, c, c->preset);
    char name[64], range[64], value[32];
    printf("gpt %s%s: %s\n", c->name, c->takes_model ? " MODEL" : "", c->help);
    for (int i = 0; i < OPTIONS; i++) {
        const Option *p = &options[i];
        if (!strchr(p->commands, c->letter) && *p->commands != '*') continue;
        snprintf(name, sizeof name, "--%s%s%s", p->name, p->choices ? " " : "",
                 p->choices          ? p->choices
                 : p->kind == WHOLE  ? " N"
                 : p->kind == NUMBER ? " X"
                                     : "");
        if (p->kind == WHOLE || p->kind == NUMBER)
            snprintf(range, sizeof range, ", %.10g to %.10g", p->least, p->most);
        else range[0] = 0;
        printf("  %-34s %s", name, p->help);
        if (p->fallback)
            printf(" [%s%s]",
                   p->kind == NAME ? *(const char **)((char *)&preset + p->at)
                                   : option_text(&preset, p, value),
                   range);
        putchar('\n');
    }
    return 0;
}

static void parse(Options *o, const Command *c, int argc, char **argv) {
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2)) {
            if (o->file || !(c->takes_model || c->run == help))
                usage("unexpected argument %s for gpt %s; options begin with --", argv[i],
                      c->name);
            o->file = argv[i];
            continue;
        }
        const size_t length = strcspn(argv[i] + 2, "=");
        const Option *p = NULL;
        for (int k = 0; k < OPTIONS; k++)
            if (strlen(options[k].name) == length &&
                !strncmp(options[k].name, argv[i] + 2, length) &&
                (*options[k].commands == '*' || strchr(options[k].commands, c->letter)))
                p = &options[k];
        if (!p)
            usage("gpt %s has no option %.*s; gpt help %s lists those it has", c->name,
                  (int)length + 2, argv[i], c->name);
        const char *value = argv[i][2 + length] ? argv[i] + 3 + length
                          : p->kind == FLAG     ? ""
                          : i + 1 < argc        ? argv[++i]
                                                : NULL;
        if (!value) usage("--%s wants a value", p->name);
        if (p->kind == FLAG && argv[i][2 + length]) usage("--%s takes no value", p->name);
        o->given[p - options] = true;
        if (set_option(o, p, value)) continue;
        if (p->kind == NAME) usage("--%s wants the name of a file", p->name);
        if (p->kind == CHOICE)
            usage("--%s %s: choose one of %s", p->name, value, p->choices);
        usage("--%s %s: must be a %s from %.10g to %.10g", p->name, value,
              p->kind == WHOLE ? "whole number" : "number", p->least, p->most);
    }
}

// Options from a line of words, like "--model mlp --steps 300".
static void parse_line(Options *o, const Command *c, const char *line) {
    static char copies[4][256]; // options that are names go on pointing here
    static int lines;
    char *copy = copies[lines++ % 4], *words[32];
    int n = 0;
    snprintf(copy, sizeof *copies, "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        words[n++] = word;
    parse(o, c, n, words);
}

// Few of the longer windows begin where a story does: a minute is too short to learn from
// them how stories begin.
#define DEMO "--context 256 --batch 8 "
#define DEMO_MLP \
    DEMO "--model mlp --layers 1 --steps 600 --eval-every 200 --lr 0.01 --warmup 20"
#define DEMO_GPT DEMO "--layers 3 --dim 96 --steps 1800 --eval-every 300 --warmup 50"

static void demo_sample(const Training *t, const Options *o, const char *title) {
    Options talk = *o;
    talk.chars = 300;
    printf("\n-- %s\n", title);
    write_text(&t->m, &talk, NULL, 1);
    putchar('\n');
}

static void demo_train(Training *t, int until) {
    training_loop(t, until);
    if (stop_signal) exit(128 + stop_signal);
}

static void demo_row(const char *name, const Training *t) {
    printf("%-12s %10zu %10.3f %10.2f %10.0f %8.1f\n", name, parameters(&t->m.p),
           t->best, exp(t->best),
           (double)t->step * t->o.batch * t->m.c.context / t->measured, t->measured);
}

// Seconds that the run will take here: one second of steps, whose result is thrown away.
static double demo_estimate(Training *t) {
    const int B = t->o.batch, T = t->m.c.context;
    int *x = allocate(2 * (size_t)B * T, sizeof *x), n = 0;
    Random r = {1};
    const double start = seconds();
    for (; n < 2 || seconds() - start < 1; n++) {
        draw_windows(t->text.train, x, x + B * T, B, T, &r);
        gradient(&t->m, &t->a, x, x + B * T, B, T);
    }
    memset(t->m.p.g, 0, sizeof(real) * t->m.p.size);
    free(x);
    return (seconds() - start) / n * t->o.steps;
}

// About a minute: one text, seen by a table, a model without context, a transformer.
static int demo(Options *o) {
    const Command *as_train = find_command("train");
    Options small = *o, large = *o;
    Training mlp = {0}, gpt = {0};
    parse_line(&small, as_train, DEMO_MLP " --out demo-mlp.safetensors");
    parse_line(&large, as_train, DEMO_GPT " --out demo-gpt.safetensors");
    small.c.hidden = 4 * small.c.dim, large.c.hidden = 4 * large.c.dim;
    puts("== The text, and what counting knows of it");
    training_new(&mlp, &small, false);
    const int V = mlp.m.c.V;
    Random r = {1};
    double *counts = count_pairs(mlp.text.train, V);
    char name[5];
    puts("\n-- drawn from the table of pairs");
    for (int i = 0, last = V - 1;
         i < 300 && (last = draw_from_table(counts, V, last, &r)) != V - 1; i++)
        encode(mlp.m.vocab.points[last], name), fputs(name, stdout);
    puts("\n\n== The transformer: layers that look back");
    training_new(&gpt, &large, true);
    printf("this demo will take about %.0f seconds here\n",
           1.1 * demo_estimate(&gpt) + 8);
    puts("\n== The MLP: layers, but no look at anything except the last character");
    demo_train(&mlp, small.steps);
    demo_sample(&mlp, o, "the MLP writes");
    puts("== The transformer");
    demo_sample(&gpt, o, "untrained, it writes");
    demo_train(&gpt, 300);
    demo_sample(&gpt, o, "after 300 steps");
    demo_train(&gpt, large.steps);
    demo_sample(&gpt, o, "after all steps");
    printf("%-12s %10s %10s %10s %10s %8s\n", "model", "parameters", "valid loss",
           "perplexity", "tokens/s", "seconds");
    double pairs = table_loss(counts, V, mlp.text.valid);
    printf("%-12s %10d %10.3f %10.2f\n", "pair table", V * V, pairs, exp(pairs));
    demo_row("MLP", &mlp);
    demo_row("transformer", &gpt);
    printf("\nTry next (in place of gpt: %s):\n"
           "  gpt sample demo-gpt.safetensors --prompt \"Once\"\n"
           "  gpt attend demo-gpt.safetensors --prompt \"Once there\"\n"
           "  gpt train --minutes 5\n  gpt train --data mine.txt --out mine.safetensors\n"
           "  gpt help\n",
           o->self);
    free(counts);
    training_free(&mlp);
    training_free(&gpt);
    return 0;
}

// The fastest path that this CPU has.
static Path best_path(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return AVX2;
#endif
#ifdef __GNUC__
    return SSE;
#else
    return PLAIN;
#endif
}

static void choose_path(int wanted) { // 0: the best, k: path k - 1
    const Path best = best_path();
    path = wanted ? (Path)(wanted - 1) : best;
    if (path > best)
        usage("--matmul %s: this CPU or compiler can't; the best here is %s",
              path_name(path), path_name(best));
}

// Without --out a resumed run goes on where it wrote: --resume F.last writes F.
static void name_out(Options *o) {
    static char out[LONGEST_NAME];
    const size_t n = o->resume ? strlen(o->resume) : 0;
    for (int i = 0; i < OPTIONS; i++)
        if (o->given[i] && options[i].at == AT(out)) return;
    if (n >= sizeof out) die("the name %.40s... is too long", o->resume);
    if (n <= 5 || strcmp(o->resume + n - 5, ".last")) return;
    o->out = memcpy(out, o->resume, n - 5);
}

// By name, or by device and number; Windows has no numbers (0).
static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return !strcmp(a, b) || (!stat(a, &x) && !stat(b, &y) && x.st_ino &&
                             x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

// Refuses to write a file under the name of one that may be read, or two under one name.
// (Every command has a default for --out; tune writes it, train also OUT.last, which
// --resume may have read; both by way of .tmp.)
static void spare_what_is_read(const Options *o, const Command *c) {
    enum { IN = 6, OUT = 7 };
    char last[LONGEST_NAME], tmp[LONGEST_NAME], last_tmp[LONGEST_NAME];
    with_ending(tmp, o->out, ".tmp");
    with_ending(last_tmp, with_ending(last, o->out, ".last"), ".tmp");
    const bool trains = c->run == train, writes = trains || c->run == tune;
    const char *in[IN] = {o->file, o->data, o->valid, o->old, o->adapter, o->resume};
    const char *out[OUT] = {o->log, o->tokens, o->csv, writes ? o->out : NULL,
                            writes ? tmp : NULL, trains ? last : NULL,
                            trains ? last_tmp : NULL};
    for (int i = 0; i < IN; i++)
        for (int k = 0; k < OUT; k++)
            if (in[i] && out[k] && same_file(in[i], out[k]) &&
                !(in[i] == o->resume && out[k] == last))
                usage("%s is to be read; choose another name for what is written", in[i]);
    for (int i = 0; i < OUT; i++)
        for (int k = 0; k < i; k++)
            if (out[i] && out[k] && same_file(out[i], out[k]))
                usage("%s would be written twice; choose another name", out[i]);
}

int main(int argc, char **argv) {
    Options o = {.self = argv[0]};
    const Command *c = find_command(argc < 2 ? "demo" : argv[1]);
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    parse_line(&o, c, c->preset);
    parse(&o, c, argc > 2 ? argc - 2 : 0, argv + 2);
    if (c->takes_model && !o.file)
        usage("gpt %s wants a MODEL, a file that gpt train wrote", c->name);
    if (!o.c.hidden && c->run != help) o.c.hidden = 4 * o.c.dim;
    if (!o.resume) check_shape(&o.c); // load() checks a stored one
    name_out(&o);
    spare_what_is_read(&o, c);
    choose_path(o.matmul);
    const int status = c->run(&o);
    if (fflush(stdout) || ferror(stdout))
        die("cannot write the results: %s", strerror(errno));
    return status;
}
