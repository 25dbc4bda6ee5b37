// fuzz_options.c: libFuzzer feeds the command line: the first word is the command, the others, one
// per line, its arguments. What is accepted must be within its range.
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *words[64], *text;
    static Options o;
    static const Command *c;
    static int n;
    text = malloc(size + 1);
    memcpy(text, data, size), text[size] = 0;
    n = 0;
    for (char *word = strtok(text, "\n"); word && n < 64; word = strtok(NULL, "\n")) words[n++] = word;
    o = (Options){0};
    for (int i = 0; i < OPTIONS; i++)
        if (options[i].fallback) set_option(&o, &options[i], options[i].fallback);
    test_catches = 1;
    if (n && !setjmp(test_jump)) {
        c = find_command(words[0]);
        parse(&o, c, n - 1, words + 1);
        if (!o.c.hidden) o.c.hidden = 4 * o.c.dim;
        check_shape(&o.c);
        choose_path(o.matmul);
        test_catches = 0;
        for (int i = 0; i < OPTIONS; i++) {
            const Option *p = &options[i];
            const char *field = (const char *)&o + p->at;
            char value[64];
            if (p->kind == WHOLE && !(*(const int *)field >= p->least && *(const int *)field <= p->most) &&
                strcmp(p->name, "hidden"))
                abort();
            if (p->kind == NUMBER && !(*(const double *)field >= p->least && *(const double *)field <= p->most))
                abort();
            if (p->kind == NUMBER || p->kind == WHOLE || p->kind == CHOICE) {
                Options again = o; // as text and back: the same
                if (strlen(option_text(&o, p, value)) > 31 ||
                    (strcmp(p->name, "hidden") && (!set_option(&again, p, value) || memcmp(&again, &o, sizeof o))))
                    abort();
            }
        }
        if (o.c.model != MLP && o.c.dim % o.c.heads) abort();
    }
    test_catches = 0;
    fuzz_clean();
    free(text);
    return 0;
}
