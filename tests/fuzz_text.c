// fuzz_text.c: libFuzzer feeds the text reader. Whatever is accepted must come back as the same
// characters, and the split must lose none.
#include "test.h"
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char file[64];
    static Vocab v;
    static Corpus c;
    if (!*file) {
        if (!freopen("/dev/null", "w", stderr)) abort();
        sprintf(file, "/tmp/fuzz-text-%ld", (long)getpid());
    }
    FILE *f = fopen(file, "wb");
    if (!f) abort();
    fwrite(data, 1, size, f);
    fclose(f);
    v = (Vocab){0};
    test_catches = 1;
    if (!setjmp(test_jump)) {
        c = read_corpus(file, NULL, &v);
        test_catches = 0;
        const size_t n = c.train.n + c.valid.n - 1;
        if (n != c.characters + c.stories + 1 || c.characters > size) abort();
        if (c.tokens[0] != v.V - 1 || c.tokens[n - 1] != v.V - 1) abort();
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
            if (c.tokens[i] >= v.V) abort();
            if (c.tokens[i] == v.V - 1) continue;
            char utf8[5];
            int length = encode(v.points[c.tokens[i]], utf8);
            const uint8_t *at = data + used; // every character is found further on in the file
            while (used + length <= size && memcmp(data + used, utf8, length)) used++;
            if (used + length > size) abort();
            (void)at, used += length;
        }
        corpus_free(&c), vocab_free(&v);
    }
    test_catches = 0;
    return 0;
}
