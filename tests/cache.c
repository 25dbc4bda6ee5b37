// cache.c: what the KV cache saves. Prints CSV: how long one more character takes when the text has
// this many already, with the cache and without, in milliseconds (the best of several).
//
//     build/cache [--context N] [--layers N] [--heads N] [--dim N]
//
// Speed doesn't depend on what a model has learned, so it is a new one; its context is 1024 unless
// --context says otherwise. tests/cache.sh builds it and runs it.
#define main gpt_main
#include "../gpt.c"
#undef main

// Milliseconds for the character after the first n of the window.
static double next_character(Writer *w, int n, bool uses_cache) {
    double best = INFINITY, spent = 0;
    for (int i = 0; i < 5 || (spent < 0.1 && i < 1000); i++) {
        w->length = n, w->cached = uses_cache ? n - 1 : 0;
        const double start = seconds();
        writer_logits(w);
        const double took = seconds() - start;
        spent += took;
        if (took < best) best = took;
    }
    return 1000 * best;
}

int main(int argc, char **argv) {
    Options o = {0};
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    o.c.context = 1024;
    const Command *check_command = find_command("check"); // it takes the options of the model
    parse(&o, check_command, argc - 1, argv + 1);
    if (!o.c.hidden) o.c.hidden = 4 * o.c.dim;
    check_shape(&o.c);
    choose_path(o.matmul);
    o.c.V = 64;
    Random r = {1};
    Model m = model_shape(o.c);
    model_init(&m, &r);
    Writer w = writer_new(&m, true);
    for (int t = 0; t < o.c.context; t++) w.window[t] = t % o.c.V;
    w.length = o.c.context;
    writer_logits(&w); // fills the cache
    printf("characters,cached,uncached\n");
    for (int n = 1; n <= o.c.context; n = n < 32 ? 2 * n : n + (o.c.context + 15) / 16) {
        printf("%d,%.4f", n, next_character(&w, n, true));
        printf(",%.4f\n", next_character(&w, n, false));
        fflush(stdout);
    }
    writer_free(&w);
    model_free(&m);
    return 0;
}
