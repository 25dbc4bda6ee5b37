// byhand.c: puts numbers of one's own into a checkpoint, so that one can follow them by hand.
//
//     build/byhand in.safetensors out.safetensors < numbers.txt
//
// numbers.txt names tensors, each followed by its numbers, row by row, in as many lines as one likes.
// The end of a name is enough: `wte.weight 1 0 0 1`. What isn't named stays as it is in in.safetensors.

#define main gpt_main
#include "../gpt.c"
#undef main

// The tensor whose name ends like this.
static const Tensor *tensor_named(const Params *p, const char *end) {
    for (int i = 0; i < p->count; i++) {
        const size_t n = strlen(p->tensor[i].name), m = strlen(end);
        if (m <= n && !strcmp(p->tensor[i].name + n - m, end)) return &p->tensor[i];
    }
    die("there is no tensor %s; gpt info lists them", end);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3) usage("byhand in.safetensors out.safetensors < numbers.txt");
    Training t = {0};
    load(&t, argv[1], false);
    const Tensor *to = NULL;
    char word[64], *end;
    size_t n = 0;
    while (scanf("%63s", word) == 1) {
        const double x = strtod(word, &end);
        const bool is_name = end == word;
        if (to && is_name != (n == tensor_size(to)))
            die("%s wants %d numbers", to->name, (int)tensor_size(to));
        if (is_name) to = tensor_named(&t.m.p, word), n = 0;
        else if (*end || !to) die("%s is neither the name of a tensor nor one of its numbers", word);
        else t.m.p.w[to->at + n++] = (real)x;
    }
    if (to && n != tensor_size(to)) die("%s wants %d numbers", to->name, (int)tensor_size(to));
    save_training(&t, argv[2], false);
    training_free(&t);
    return 0;
}
