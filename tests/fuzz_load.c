// fuzz_load.c: libFuzzer feeds the readers of checkpoints and of adapters. A checkpoint that is
// accepted is written again, and the same bytes must come out; and it must be able to write.
#include "fuzz.h"

static Model fuzz_base(void) { // of the shape that the adapters among the seeds belong to
    Model m = model_shape((Config){.layers = 1, .heads = 1, .dim = 2, .hidden = 2, .context = 2, .V = 3,
                                   .tie = 1, .pos = LEARNED});
    m.p.w = reals(m.p.size);
    return m;
}

static void fuzz_sample(const Model *m) {
    static Writer w;
    static real *logits;
    if (m->c.context > 64 || m->c.V > 1000) return; // it takes long
    logits = reals(m->c.V);
    w = writer_new(m, true);
    Random r = {1};
    for (int i = 0, id = m->c.V - 1; i < 3; i++) {
        writer_add(&w, id);
        id = draw(writer_logits(&w), logits, m->c.V, 1, i, &r);
        if (id < 0 || id >= m->c.V) abort();
    }
    writer_free(&w), aligned_free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static Training t;
    static Model m;
    static const char name[] = "a file";
    if (!m.layer) m = fuzz_base(), fuzz_blocks = 0; // it stays
    fuzz_write(data, size);
    t = (Training){0};
    test_catches = 1;
    if (!setjmp(test_jump)) {
        load(&t, name, size % 2); // with Adam's moments or without
        test_catches = 0;         // from here on nothing may fail
        for (int i = 0; i < t.m.vocab.V - 1; i++)
            if (t.m.vocab.points[i] >= CODE_POINTS || t.m.vocab.index[t.m.vocab.points[i]] != i + 1)
                abort();
        fuzz_sample(&t.m);
        save_training(&t, name, size % 2);
        if (!fuzz_length || fuzz_length > size ||
            (fuzz_length == size && memcmp(fuzz_bytes, data, size)))
            abort();
        model_free(&t.m);
        if (fuzz_blocks) abort(); // something was not freed
    }
    fuzz_clean();
    fuzz_write(data, size);
    test_catches = 1;
    if (!setjmp(test_jump)) {
        adapter_load(&m, name);
        if (fuzz_blocks) abort();
    }
    test_catches = 0;
    fuzz_clean();
    return 0;
}
