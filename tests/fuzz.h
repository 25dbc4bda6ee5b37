// fuzz.h: gpt.c for the fuzzers. Where it ends the program, the fuzzer goes on; so what was open
// and allocated at that moment is remembered here, closed and freed. How much may be asked for is
// limited: nothing may be allocated for a claim in a file that has not been checked.
//
// With clang's libFuzzer (fuzz.sh) the bytes are chosen by which lines of gpt.c they reach. With
// -DFUZZ_ALONE any compiler will do: main() below damages the files that it is given at random.

#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FUZZ_BLOCKS = 256, FUZZ_LARGE = 1 << 17, FUZZ_MOST = 100000000 };
static FILE *fuzz_file;
static struct {
    void *at;
    size_t size; // 0, or that of a large block, to be used again: the kernel takes long to make one
} fuzz_block[FUZZ_BLOCKS], fuzz_spare[FUZZ_BLOCKS];
static int fuzz_blocks, fuzz_spares;

static void *fuzz_keep(void *p, size_t size) {
    if (p && fuzz_blocks == FUZZ_BLOCKS) abort();
    if (p) fuzz_block[fuzz_blocks].at = p, fuzz_block[fuzz_blocks++].size = size;
    return p;
}
static size_t fuzz_forget(void *p) { // returns the block's size if it is large
    for (int i = fuzz_blocks - 1; i >= 0; i--)
        if (fuzz_block[i].at == p) {
            const size_t size = fuzz_block[i].size;
            fuzz_block[i] = fuzz_block[--fuzz_blocks];
            return size;
        }
    return 0;
}
static void fuzz_free(void *p) {
    const size_t size = fuzz_forget(p);
    if (size && fuzz_spares < 8) {
        fuzz_spare[fuzz_spares].at = p, fuzz_spare[fuzz_spares++].size = size;
    } else free(p);
}
static void *fuzz_calloc(size_t n, size_t size) {
    if (n && size > FUZZ_MOST / n) abort();
    const size_t large = n * size >= FUZZ_LARGE ? n * size : 0;
    for (int i = 0; i < fuzz_spares && large; i++)
        if (fuzz_spare[i].size == large) {
            void *p = fuzz_spare[i].at;
            fuzz_spare[i] = fuzz_spare[--fuzz_spares];
            return fuzz_keep(memset(p, 0, large), large);
        }
    return fuzz_keep(calloc(n, size), large);
}
static void *fuzz_aligned(size_t to, size_t size) {
    if (size > FUZZ_MOST) abort();
    return fuzz_keep(aligned_alloc(to, size), 0);
}
static void *fuzz_realloc(void *p, size_t size) {
    if (size > FUZZ_MOST) abort();
    fuzz_forget(p);
    return fuzz_keep(realloc(p, size), 0);
}
// There is one file, and it is memory: a disk, even one in memory, would take most of the time.
static uint8_t fuzz_bytes[1 << 16];
static size_t fuzz_length; // what has been written, or what there is to read
static FILE *fuzz_open(const char *name, const char *mode) {
    (void)name;
    if (*mode == 'w') fuzz_length = 0;
    return fuzz_file = *mode == 'w' ? fmemopen(fuzz_bytes, sizeof fuzz_bytes, mode)
                     : fuzz_length  ? fmemopen(fuzz_bytes, fuzz_length, mode)
                                    : fopen("/dev/null", mode);
}
static int fuzz_close(FILE *f) {
    fuzz_file = NULL;
    return fclose(f);
}
static int fuzz_flush(FILE *f) { // gpt.c calls this when all of a file is written
    const int status = fflush(f);
    if (f == fuzz_file) fuzz_length = (size_t)ftell(f);
    return status;
}
static int fuzz_sync(int number) {
    (void)number;
    return 0;
}
static int fuzz_rename(const char *from, const char *to) { return !from || !to; }
static void fuzz_clean(void) { // what die() left behind
    if (fuzz_file) fuzz_close(fuzz_file);
    while (fuzz_blocks) fuzz_free(fuzz_block[fuzz_blocks - 1].at);
}

#define calloc fuzz_calloc
#define realloc fuzz_realloc
#define aligned_alloc fuzz_aligned
#define free fuzz_free
#define fopen fuzz_open
#define fclose fuzz_close
#define fflush fuzz_flush
#define fsync fuzz_sync
#define rename fuzz_rename
#include "test.h"

static void fuzz_write(const uint8_t *data, size_t size) { // what the next fopen() will find
    fuzz_length = size < sizeof fuzz_bytes ? size : sizeof fuzz_bytes;
    memcpy(fuzz_bytes, data, fuzz_length);
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    // what die() says is thrown away, but not in three calls of the kernel each
    static char said[1 << 16];
    return !argc || !argv || setvbuf(stderr, said, _IOFBF, sizeof said);
}

#ifdef FUZZ_ALONE
#undef fopen // from here on, real files
#undef fclose
// fuzz TIMES FILE...: every file as it is, then TIMES damaged ones.
int main(int argc, char **argv) {
    static uint8_t bytes[1 << 16], seed[64][1 << 14];
    static size_t length[64];
    const int times = argc > 1 ? atoi(argv[1]) : 0, seeds = argc - 2 < 64 ? argc - 2 : 64;
    Random r = {1};
    if (!freopen("/dev/null", "w", stderr)) abort();
    for (int i = 0; i < seeds; i++) {
        FILE *f = fopen(argv[i + 2], "rb");
        if (!f) abort();
        length[i] = fread(seed[i], 1, sizeof *seed, f);
        fclose(f);
        LLVMFuzzerTestOneInput(seed[i], length[i]);
    }
    for (int i = 0; i < times && seeds > 0; i++) {
        const int from = (int)(random_bits(&r) % (unsigned)seeds);
        size_t n = length[from];
        memcpy(bytes, seed[from], n);
        for (int edits = 1 + (int)(random_bits(&r) % 4); edits > 0 && n > 0; edits--) {
            const size_t at = random_bits(&r) % n, most = n - at < 40 ? n - at : 40;
            const size_t few = 1 + random_bits(&r) % most;
            switch (random_bits(&r) % 6) {
            case 0: bytes[at] ^= (uint8_t)(1 << random_bits(&r) % 8); break;
            case 1: bytes[at] = (uint8_t)random_bits(&r); break;
            case 2: bytes[at] = (uint8_t)("\0\xff\n\"\\:{}0123456789"[random_bits(&r) % 18]); break;
            case 3: n = at; break; // cut off
            case 4: memmove(bytes + at, bytes + at + few, n - at - few), n -= few; break;
            default: // some bytes twice
                if (n + few > sizeof bytes) break;
                memmove(bytes + at + few, bytes + at, n - at), n += few;
            }
        }
        LLVMFuzzerTestOneInput(bytes, n);
    }
    printf("%d\n", seeds + times);
    return 0;
}
#endif
