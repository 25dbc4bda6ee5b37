// fuzz_text.c: libFuzzer feeds the text reader. Whatever is accepted must come back as the same
// characters in the same order, and the split must lose none.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Vocab v;
    static Corpus c;
    fuzz_write(data, size);
    v = (Vocab){0};
    test_catches = 1;
    if (!setjmp(test_jump)) {
        c = read_corpus("a file", NULL, &v);
        test_catches = 0;
        const size_t n = c.train.n + c.valid.n - 1;
        if (n != c.characters + c.stories + 1 || c.characters > size) abort();
        if (c.tokens[0] != v.V - 1 || c.tokens[n - 1] != v.V - 1) abort();
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
            if (c.tokens[i] >= v.V) abort();
            if (c.tokens[i] == v.V - 1) continue;
            char utf8[5];
            size_t length = (size_t)encode(v.points[c.tokens[i]], utf8);
            // every character is found further on in the file
            while (used + length <= size && memcmp(data + used, utf8, length)) used++;
            if (used + length > size) abort();
            used += length;
        }
        corpus_free(&c), vocab_free(&v);
        if (fuzz_blocks) abort();
    }
    test_catches = 0;
    fuzz_clean();
    return 0;
}
