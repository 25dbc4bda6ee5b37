// tables.c: what the MLP learned, beside what counting says. Prints CSV for a picture of two V x V
// tables: the chance of each next character after each last one, counted on the training part
// of the text (part "counted") and as the model gives it (part "learned").
//
//     build/tables mlp.safetensors [--data F]
#define main gpt_main
#include "../gpt.c"
#undef main

// A token as a field of CSV; the end-of-text token and newlines have names.
static void field(const Vocab *v, int id) {
    putchar(',');
    put_csv_token(stdout, v, id);
}

static void row(const char *part, const Vocab *v, int last, const double *p) {
    for (int next = 0; next < v->V; next++) {
        printf("%s,%d", part, last), field(v, last);
        printf(",%d", next), field(v, next);
        printf(",%.5f\n", p[next]);
    }
}

int main(int argc, char **argv) {
    Options o = {0};
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    parse(&o, find_command("eval"), argc - 1, argv + 1); // it takes a model and a text
    choose_path(o.matmul);
    Training t = {0};
    load_model(&t, &o);
    t.text = read_corpus(o.data, NULL, &t.m.vocab);
    const int V = t.m.c.V;
    double *counts = count_pairs(t.text.train, V), *p = allocate(V, sizeof *p);
    printf("part,last,last_char,next,next_char,chance\n");
    for (int last = 0; last < V; last++) {
        double total = 0;
        for (int j = 0; j < V; j++) total += counts[(size_t)last * V + j];
        for (int j = 0; j < V; j++) p[j] = total > 0 ? counts[(size_t)last * V + j] / total : 0;
        row("counted", &t.m.vocab, last, p);
    }
    Writer w = writer_new(&t.m, false);
    for (int last = 0; last < V; last++) {
        w.window[0] = last, w.length = 1;
        const real *logits = writer_logits(&w);
        double most = logits[0], total = 0;
        for (int j = 1; j < V; j++) most = logits[j] > most ? logits[j] : most;
        for (int j = 0; j < V; j++) total += p[j] = exp((double)logits[j] - most);
        for (int j = 0; j < V; j++) p[j] /= total;
        row("learned", &t.m.vocab, last, p);
    }
    writer_free(&w);
    free(counts), free(p);
    training_free(&t);
    return 0;
}
