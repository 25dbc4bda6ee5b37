// fuzz_load.c: libFuzzer feeds the checkpoint reader. A file whose header is right is loaded and
// written again: the same bytes must come out. The first bytes are as the fuzzer likes; with the
// first bit set, the length of the header is put right, so that it gets past that check.
#include "test.h"
#include <unistd.h>

static void quietly(void) {
    static bool is_quiet;
    if (!is_quiet && !freopen("/dev/null", "w", stderr)) abort();
    is_quiet = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char file[64], copy[80];
    static Training t;
    static uint8_t *bytes;
    quietly();
    if (!*file) sprintf(file, "/tmp/fuzz-load-%ld", (long)getpid()), sprintf(copy, "%s-copy", file);
    FILE *f = fopen(file, "wb");
    if (!f) abort();
    fwrite(data, 1, size, f);
    fclose(f);
    t = (Training){0};
    test_catches = 1;
    if (!setjmp(test_jump)) {
        load(&t, file, false);
        test_catches = 0; // from here on nothing may fail
        const bool had_adam = strstr((const char *)data + 8, ",\"adam.m.") != NULL;
        if (!had_adam) {
            save_training(&t, copy, false);
            bytes = malloc(size + 1);
            f = fopen(copy, "rb");
            if (!f || fread(bytes, 1, size + 1, f) != size || memcmp(bytes, data, size)) abort();
            fclose(f), free(bytes);
        }
        model_free(&t.m);
    }
    test_catches = 0;
    return 0;
}
