// text.c: characters, stories, vocabulary, split and windows. Writes small files where it runs.
#include "test.h"

static const char file[] = "text.tmp", file2[] = "valid.tmp";

static void write_file(const char *name, const void *s, size_t n) {
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(s, 1, n, f) != n || fclose(f)) abort();
}

static void write_string(const char *s) { write_file(file, s, strlen(s)); }

// ---- characters ----

static void every_code_point(void) {
    for (uint32_t c = 0; c < 0x110000; c++) {
        char out[5];
        unsigned char bytes[8];
        uint32_t back = 0xffffffff;
        if (c >= 0xd800 && c < 0xe000) continue; // surrogates are no characters
        int length = encode(c, out), want = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        WHERE("U+%04X", (unsigned)c);
        SAME(length, want);
        SAME(out[length], 0);
        memcpy(bytes, out, 4);
        memset(bytes + length, 0xbf, 3); // what comes after is another character
        SAME(decode(bytes, length + 2, &back), length);
        SAME(back, c);
        for (int n = 0; n < length; n++) SAME(decode(bytes, n, &back), 0);
        if (test_problems) return;
    }
}

// The table of well-formed sequences in the Unicode standard, row by row.
static int well_formed(const unsigned char *s, int n) {
    static const unsigned char table[][9] = {
        {1, 0x00, 0x7f},
        {2, 0xc2, 0xdf, 0x80, 0xbf},
        {3, 0xe0, 0xe0, 0xa0, 0xbf, 0x80, 0xbf},
        {3, 0xe1, 0xec, 0x80, 0xbf, 0x80, 0xbf},
        {3, 0xed, 0xed, 0x80, 0x9f, 0x80, 0xbf},
        {3, 0xee, 0xef, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf0, 0xf0, 0x90, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf1, 0xf3, 0x80, 0xbf, 0x80, 0xbf, 0x80, 0xbf},
        {4, 0xf4, 0xf4, 0x80, 0x8f, 0x80, 0xbf, 0x80, 0xbf},
    };
    for (size_t row = 0; row < sizeof table / sizeof *table; row++) {
        int length = table[row][0], fits = n >= length;
        for (int i = 0; i < length && fits; i++)
            fits = s[i] >= table[row][1 + 2 * i] && s[i] <= table[row][2 + 2 * i];
        if (fits) return length;
    }
    return 0;
}

static void every_byte_sequence(void) {
    static const unsigned char fourth[] = {0, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    for (uint32_t bits = 0; bits < 1 << 24; bits++) {
        unsigned char s[4] = {(unsigned char)(bits >> 16), (unsigned char)(bits >> 8),
                              (unsigned char)bits, fourth[bits % 6]};
        uint32_t c;
        int n = 1 + (int)(bits % 4), got = decode(s, n, &c), want = well_formed(s, n);
        int got4 = decode(s, 4, &c), want4 = well_formed(s, 4);
        if (got != want || got4 != want4) {
            test_fail(__LINE__, "decode(%02x %02x %02x %02x) of %d and 4 bytes is %d and %d, "
                      "should be %d and %d", s[0], s[1], s[2], s[3], n, got, got4, want, want4);
            return;
        }
    }
}

// ---- stories ----

// What read_tokens should make of s, the slow way: find the lines that separate, mark them and
// the newline on either side, and keep what is left. -1 is an end-of-text token. Returns how many.
static int expected(const char *s, int *out) {
    static char text[4096], gone[4096];
    int n = 0, tokens = 0;
    if (!strncmp(s, "\xef\xbb\xbf", 3)) s += 3;
    for (; *s; s++)
        if (!(s[0] == '\r' && s[1] == '\n')) text[n++] = *s;
    text[n] = 0;
    memset(gone, 0, sizeof gone);
    const int length = (int)strlen(SEPARATOR);
    for (int i = 0; i + length <= n; i++)
        if ((i == 0 || text[i - 1] == '\n') && !strncmp(text + i, SEPARATOR, length) &&
            (i + length == n || text[i + length] == '\n')) {
            if (i) gone[i - 1] = gone[i - 1] ? gone[i - 1] : 'n';
            memset(gone + i, 's', length);
            gone[i + length] = 'n';
        }
    if (n && text[n - 1] == '\n' && !gone[n - 1]) gone[n - 1] = 'n';
    out[tokens++] = -1;
    for (int i = 0; i < n;) {
        int begin = tokens, only_newlines = 1;
        while (i < n && gone[i]) i++;
        for (; i < n && !gone[i]; i++) {
            out[tokens++] = (unsigned char)text[i];
            only_newlines &= text[i] == '\n';
        }
        if (only_newlines)
            tokens = begin;
        else
            out[tokens++] = -1;
    }
    return tokens;
}

static void compare_with_expected(const char *s) {
    int want[4096], n = expected(s, want);
    Vocab v = {0};
    size_t got_n, characters;
    write_string(s);
    char shown[150] = "";
    for (const char *c = s; *c && strlen(shown) < 130; c++)
        snprintf(shown + strlen(shown), 8, *c == '\n' ? "\\n" : *c == '\r' ? "\\r" : "%c", *c);
    WHERE("text \"%s\"", shown);
    if (n == 1) {
        DIES(1, read_tokens(file, &v, &got_n, &characters));
        return;
    }
    Token *got = read_tokens(file, &v, &got_n, &characters);
    SAME(got_n, n);
    for (int i = 0; i < n && got_n == (size_t)n; i++) {
        int c = got[i] == v.V - 1 ? -1 : (int)v.points[got[i]];
        SAME(c, want[i]);
    }
    free(got), vocab_free(&v);
}

static void separators(void) {
    static const char *const pieces[] = {"a", "\n", SEPARATOR, "\r\n", "b" SEPARATOR};
    for (int length = 1; length <= 4; length++) {
        int many = 1;
        for (int i = 0; i < length; i++) many *= 5;
        for (int which = 0; which < many; which++) {
            char s[200] = "";
            for (int i = 0, rest = which; i < length; i++, rest /= 5) strcat(s, pieces[rest % 5]);
            compare_with_expected(s);
            if (test_problems) return;
        }
    }
}

static void separators_by_hand(void) {
    static const char *const texts[] = {
        "one\n" SEPARATOR "\ntwo\n" SEPARATOR "\n",
        "one\r\n" SEPARATOR "\r\ntwo\r\n" SEPARATOR "\r\n",
        "\xef\xbb\xbfone\n" SEPARATOR "\ntwo",
        "one\n\n" SEPARATOR "\n\ntwo\n\n",                  // one newline belongs, the other doesn't
        SEPARATOR "\n" SEPARATOR "\n\n" SEPARATOR "\none\n", // empty stories
        "a " SEPARATOR "\nb\n" SEPARATOR " \nc",             // not a line of its own
        "<|endoftext|\nx\n<|endoftext|>>\ny",
        "<|endoftext",
        "a\rb\r\r\nc\r",
        "no separator at all\nbut\n\ntwo paragraphs\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) compare_with_expected(texts[i]);
}

static void not_texts(void) {
    static const char *const invalid[] = {
        "abc\xff", "\xc0\x80", "caf\xe9 au lait", "abc\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "a\n" SEPARATOR "\nb\x80", "\xfe\xff\1a\1b",
    };
    Vocab v = {0};
    size_t n, m;
    static size_t i; // static: it outlives a jump
    for (i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        WHERE("invalid text %zu", i);
        write_string(invalid[i]);
        DIES(1, read_tokens(file, &v, &n, &m));
    }
    WHERE("%s", "");
    write_string("");
    DIES(1, read_tokens(file, &v, &n, &m));
    write_string("\n\n");
    DIES(1, read_tokens(file, &v, &n, &m));
    write_string("\xef\xbb\xbf");
    DIES(1, read_tokens(file, &v, &n, &m));
    DIES(1, read_tokens(".", &v, &n, &m));
    DIES(1, read_tokens("there/is/no/such/file", &v, &n, &m));
}

// ---- vocabulary ----

static void vocabulary(void) {
    const char *s = "zebra\n" SEPARATOR "\n\xf0\x9f\x90\x93 \xc3\xa9\xe2\x82\xac A";
    static const uint32_t want[] = {' ', 'A', 'a', 'b', 'e', 'r', 'z', 0xe9, 0x20ac, 0x1f413};
    Vocab v = {0};
    size_t n, characters;
    write_string(s);
    Token *tokens = read_tokens(file, &v, &n, &characters);
    SAME(v.V, 11);
    SAME(characters, 11);
    SAME(n, 14);
    for (int i = 0; i < 10; i++) {
        SAME(v.points[i], want[i]);
        SAME(v.index[want[i]], i + 1);
    }
    SAME(v.index['|'], 0);
    SAME(tokens[0], 10);
    SAME(tokens[1], 6);
    SAME(tokens[6], 10);
    SAME(tokens[7], 9);
    SAME(tokens[13], 10);
    char name[16];
    HOLDS(!strcmp(token_name(&v, 10, name), "<eot>"));
    HOLDS(!strcmp(token_name(&v, 8, name), "\xe2\x82\xac"));
    // a second text speaks the same language, or is refused
    write_file(file2, "bra", 3);
    Token *valid = read_tokens(file2, &v, &n, &characters);
    SAME(v.V, 11);
    SAME(valid[1], 3);
    write_file(file2, "bro", 3);
    DIES(1, read_tokens(file2, &v, &n, &characters));
    free(tokens), free(valid), vocab_free(&v);
}

static void few_and_many_characters(void) {
    Vocab v = {0};
    size_t n, characters;
    char *s = malloc(200000);
    memset(s, 'a', 1000);
    write_file(file, s, 1000);
    Token *tokens = read_tokens(file, &v, &n, &characters);
    SAME(v.V, 2);
    SAME(n, 1002);
    free(tokens), vocab_free(&v);

    size_t size = 0; // 5,000 Chinese characters, each several times
    for (int i = 0; i < 25000; i++) size += encode(0x4e00 + (uint32_t)(i * 7919 % 5000), s + size);
    write_file(file, s, size);
    v = (Vocab){0};
    tokens = read_tokens(file, &v, &n, &characters);
    SAME(v.V, 5001);
    SAME(characters, 25000);
    for (int i = 0; i < 25000; i++) SAME(v.points[tokens[i + 1]], 0x4e00 + i * 7919 % 5000);
    free(tokens), vocab_free(&v);

    size = 0; // a zero byte is a character too
    memcpy(s, "a\0b", 3);
    write_file(file, s, 3);
    v = (Vocab){0};
    tokens = read_tokens(file, &v, &n, &characters);
    SAME(v.V, 4);
    SAME(n, 5);
    free(tokens), vocab_free(&v), free(s);
}

// ---- training and validation ----

static void split(void) {
    for (int stories = 1; stories < 45; stories += stories < 12 ? 1 : 8) {
        char s[8192] = "";
        for (int i = 0; i < stories; i++)
            sprintf(s + strlen(s), "%s%d%.*s", i ? "\n" SEPARATOR "\n" : "", i % 10, i % 37 + 30,
                    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst");
        write_string(s);
        WHERE("%d stories", stories);
        Vocab v = {0};
        Corpus c = read_corpus(file, NULL, &v);
        const int end = v.V - 1;
        SAME(c.stories, stories);
        int in_valid = 0;
        for (size_t i = 1; i < c.valid.n; i++) in_valid += c.valid.at[i] == end;
        if (stories >= 10) {
            SAME(in_valid, stories / 10);
            SAME(c.valid.at[0], end);
        } else
            SAME(c.valid.n, (c.train.n + c.valid.n - 1) / 10);
        SAME(c.valid.at[c.valid.n - 1], end);
        SAME(c.train.at[0], end);
        SAME(&c.train.at[c.train.n - 1] - &c.valid.at[0], 0); // they share the token at the cut
        SAME(c.train.n + c.valid.n - 1, c.characters + stories + 1);
        corpus_free(&c), vocab_free(&v);
    }
    WHERE("%s", "");
    write_file(file, "abcabcabc", 9);
    write_file(file2, "cab\n" SEPARATOR "\nb", 19);
    Vocab v = {0};
    Corpus c = read_corpus(file, file2, &v);
    SAME(c.train.n, 11);
    SAME(c.valid.n, 7);
    SAME(v.V, 4);
    uint64_t fingerprint = c.fingerprint;
    corpus_free(&c), vocab_free(&v);
    write_file(file, "abcabcacb", 9); // another text has another fingerprint
    v = (Vocab){0};
    c = read_corpus(file, file2, &v);
    HOLDS(c.fingerprint != fingerprint);
    corpus_free(&c), vocab_free(&v);
    write_file(file, "ab", 2); // too short to keep a part back
    v = (Vocab){0};
    DIES(1, read_corpus(file, NULL, &v));
}

static void windows(void) {
    enum { N = 12, T = 7, B = 5 };
    Token tokens[N];
    for (int i = 0; i < N; i++) tokens[i] = (Token)(100 + i);
    Random r = {7};
    int x[B * T], y[B * T], seen[N] = {0};
    for (int round = 0; round < 200; round++) {
        draw_windows((Stream){tokens, N}, x, y, B, T, &r);
        for (int i = 0; i < B * T; i++) {
            SAME(y[i], x[i] + 1);
            if (i % T)
                SAME(x[i], x[i - 1] + 1);
            else
                seen[x[i] - 100]++;
            HOLDS(y[i] < 100 + N);
        }
    }
    for (int i = 0; i < N; i++) // 200 of 1000 each: every place, and no other
        HOLDS(i < N - T ? seen[i] > 130 && seen[i] < 270 : seen[i] == 0);
    draw_windows((Stream){tokens, T + 1}, x, y, B, T, &r);
    for (int b = 0; b < B; b++) SAME(x[b * T], 100);
}

static void random_numbers(void) {
    Random r = {1};
    double sum = 0, squares = 0, fourth = 0, low = 1, high = 0, n = 200000;
    for (int i = 0; i < n; i++) {
        double x = random_uniform(&r);
        low = fmin(low, x), high = fmax(high, x), sum += x;
    }
    HOLDS(low >= 0 && low < 1e-4 && high < 1 && high > 1 - 1e-4);
    CLOSE(sum / n, 0.5, 0.003);
    sum = 0;
    for (int i = 0; i < n; i++) {
        double x = random_normal(&r);
        sum += x, squares += x * x, fourth += x * x * x * x;
    }
    CLOSE(sum / n, 0, 0.01);
    CLOSE(squares / n, 1, 0.01);
    CLOSE(fourth / n, 3, 0.03);
    Random known = {0}; // the first numbers of splitmix64 from state 0, as published
    HOLDS(random_bits(&known) == 0xe220a8397b1dcdaf);
    HOLDS(random_bits(&known) == 0x6e789e6aa1b965f4);
    HOLDS(random_bits(&known) == 0x06c45d188009454f);
}

int main(void) {
    if (!freopen("text.err", "w", stderr)) return 1; // what DIES provokes
    RUN(every_code_point);
    RUN(every_byte_sequence);
    RUN(separators);
    RUN(separators_by_hand);
    RUN(not_texts);
    RUN(vocabulary);
    RUN(few_and_many_characters);
    RUN(split);
    RUN(windows);
    RUN(random_numbers);
    remove(file), remove(file2), remove("text.err");
    return test_cases_failed > 0;
}
