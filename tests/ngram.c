// ngram.c: what counting alone can do, the fair rival of a small transformer.
//
//     cc -O2 -std=c11 tests/ngram.c -lm -o ngram
//     ./ngram ORDER TRAIN.txt [VALID.txt] [--tokens F.csv]
//
// A model of order N guesses the next character from the N-1 before it (the context h) by
// counting what followed h in the training text. A long context says more, but was seen
// less often; so each order is mixed with the next shorter one (Witten-Bell smoothing):
//
//     P(w | h) = (count(h w) + kinds(h) P(w | h')) / (count(h) + kinds(h))
//
// h' is h without its first character, kinds(h) is how many different characters followed
// h. So h' weighs kinds / (count + kinds): the chance of something new, judged by how
// often something new came before. Below the empty context stands the uniform guess 1/V.
//
// I. H. Witten, T. C. Bell: The zero-frequency problem: estimating the probabilities of
// novel events in adaptive text compression. IEEE Trans. Inf. Theory 37(4), 1991.
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ORDER 32
#define EOT 0xFFFFFFFFu     // end of text; other tokens are a character's UTF-8 bytes:
#define BOM 0xEFBBBFu       // 'A' is 0x41, an e with an acute accent 0xC3A9

static void die(int status, const char *format, ...) {
    va_list a;
    va_start(a, format);
    fputs("ngram: ", stderr), vfprintf(stderr, format, a), fputc('\n', stderr);
    exit(status);
}

static void *resize(void *p, size_t bytes) {
    if (!(p = realloc(p, bytes))) die(1, "out of memory");
    return p;
}

// A tree of contexts. A node is a string of tokens; its child, found by hashing (parent,
// token), the same string and one token more. Node 0 is the empty string: it is nobody's
// child, so 0 also means "no such node". count: how often the string was predicted;
// followed, kinds: how many predictions, how many different ones, it was the context of.
typedef struct { uint32_t parent, token, count, followed, kinds; } Node;
typedef struct { Node *node; size_t n, n_slots; uint32_t *slot; } Tree;

static uint32_t *find(const Tree *t, uint32_t parent, uint32_t token) {
    uint64_t hash = ((uint64_t)parent << 32 ^ token) * 0x9E3779B97F4A7C15u;
    for (size_t i = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15u >> 24;; i++) {
        uint32_t *slot = &t->slot[i & (t->n_slots - 1)];  // n_slots is a power of two
        Node *c = &t->node[*slot];
        if (*slot == 0 || (c->parent == parent && c->token == token)) return slot;
    }
}

static uint32_t find_or_make(Tree *t, uint32_t parent, uint32_t token) {
    if (t->n >= t->n_slots / 2) {                         // half full: twice the room
        t->n_slots = t->n_slots ? 2 * t->n_slots : 1 << 16;
        t->node = resize(t->node, t->n_slots / 2 * sizeof(Node));
        t->slot = resize(t->slot, t->n_slots * sizeof(uint32_t));
        memset(t->slot, 0, t->n_slots * sizeof(uint32_t));
        if (t->n == 0) t->node[t->n++] = (Node){ 0 };     // the empty string
        for (size_t i = 1; i < t->n; i++) {
            *find(t, t->node[i].parent, t->node[i].token) = (uint32_t)i;
        }
    }
    uint32_t *slot = find(t, parent, token);
    if (*slot == 0) t->node[*slot = (uint32_t)t->n++] = (Node){ parent, token, 0, 0, 0 };
    return *slot;
}

typedef struct { uint32_t *token; size_t n, stories, room; } Stream;

static void push(Stream *s, uint32_t token) {
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 1 << 16;
        s->token = resize(s->token, s->room * sizeof(uint32_t));
    }
    s->token[s->n++] = token;
}

// Reads eot, story, eot, story, ..., eot. Stories are separated by lines <|endoftext|>;
// the newlines on both sides belong to that line, one at the end of the file to nobody.
// The tokens of the training text become the children of the tree's root: the vocabulary.
static Stream read_stream(const char *path, Tree *t, bool is_training) {
    FILE *f = fopen(path, "rb");
    if (!f) die(1, "cannot read %s: %s", path, strerror(errno));
    const char *mark = "<|endoftext|>";
    Stream s = { 0 };
    push(&s, EOT);
    size_t start = 1, line = 1, place = 0;                // where story and line begin
    for (int c = 0; c != EOF; ) {
        c = getc(f), place++;
        if (c == '\n' || c == EOF) {                      // a whole line: is it the mark?
            if (c == '\n' && s.n > line && s.token[s.n - 1] == '\r') s.n--;
            size_t same = 0, length = s.n - line;
            while (same < length && s.token[line + same] == (uint32_t)mark[same]) same++;
            bool is_mark = length == strlen(mark) && same == length;
            bool is_end = is_mark || c == EOF;
            if (is_mark) s.n = line;
            if (is_end && s.n == line && s.n > start) s.n--;      // the newline before it
            if (is_end && s.n > start) push(&s, EOT), s.stories++;
            if (is_end) start = s.n;
            else push(&s, '\n');
            line = s.n;
            continue;
        }
        uint32_t token = (uint32_t)c;                     // its first bits tell how long
        int more = c < 128 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 :
                   c >> 3 == 30 ? 3 : -1;
        for (int i = 0; i < more; i++, place++) {
            c = getc(f), token = token << 8 | (c & 0xFF);
            if (c == EOF || c >> 6 != 2) more = -1;
        }
        if (more < 0) die(1, "%s: byte %zu is not UTF-8: try iconv", path, place);
        if (token != BOM || place != 3) push(&s, token);
    }
    if (ferror(f)) die(1, "cannot read %s: %s", path, strerror(errno));
    if (s.stories == 0) die(1, "%s: there is no story in it", path);
    fclose(f);
    for (size_t i = 0; i < s.n; i++) {
        if (is_training) find_or_make(t, 0, s.token[i]);
        else if (!*find(t, 0, s.token[i])) {
            die(1, "%s: one of its characters (UTF-8 bytes %X) is not in the training "
                "text", path, (unsigned)s.token[i]);
        }
    }
    return s;
}

// at[k] is the node of the last k tokens; one token later, at[k+1] is the child of at[k].
static void count(Tree *t, const Stream *s, int order) {
    uint32_t at[MAX_ORDER + 1] = { 0 };
    at[1] = *find(t, 0, EOT);                             // a context, never predicted
    for (size_t i = 1; i < s->n; i++) {
        for (int k = i < (size_t)order ? (int)i : order - 1; k >= 0; k--) {
            uint32_t child = at[k + 1] = find_or_make(t, at[k], s->token[i]);
            t->node[at[k]].followed++;
            if (t->node[child].count++ == 0) t->node[at[k]].kinds++;
        }
    }
}

// Adds each token's loss to sum[k], k = 1 to order, while p climbs from 1/V to P(w|h).
static void score(const Tree *t, const Stream *s, int order, int V, double *sum,
                  FILE *csv) {
    uint32_t at[MAX_ORDER + 1] = { 0 };
    at[1] = *find(t, 0, EOT);
    if (csv) fputs("position,offset,character,loss\n", csv);
    for (size_t i = 1; i < s->n; i++) {
        uint32_t w = s->token[i], next[MAX_ORDER + 1] = { 0 };
        double p = 1.0 / V;
        for (int k = 0; k < order; sum[++k] -= log(p)) {
            if (k > 0 && at[k] == 0) continue;            // a context never seen: p stays
            Node h = t->node[at[k]];
            next[k + 1] = *find(t, at[k], w);
            double c = next[k + 1] ? t->node[next[k + 1]].count : 0;
            if (h.followed) p = (c + h.kinds * p) / ((double)h.followed + h.kinds);
        }
        memcpy(at, next, sizeof at);
        if (!csv) continue;
        char utf8[5] = { 0 }, *tail = utf8;
        for (int b = 24; b >= 0; b -= 8) if (w >> b) *tail++ = (char)(w >> b & 0xFF);
        const char *cell = w == EOT ? "<eot>" : w == '\n' ? "\\n" : w == ',' ? "\",\"" :
                           w == '"' ? "\"\"\"\"" : utf8;  // RFC 4180
        fprintf(csv, "%zu,%zu,%s,%.6f\n", i, i, cell, -log(p));
    }
}

int main(int argc, char **argv) {
    const char *use = "ngram ORDER TRAIN.txt [VALID.txt] [--tokens F.csv]";
    const char *word[3] = { 0 }, *csv_path = NULL;
    int words = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tokens") == 0 && i + 1 < argc) csv_path = argv[++i];
        else if (words < 3 && argv[i][0] != '-') word[words++] = argv[i];
        else die(2, "what is %s here? usage: %s", argv[i], use);
    }
    if (words < 2) die(2, "usage: %s", use);
    char *rest;
    long order = strtol(word[0], &rest, 10);
    if (*rest || order < 1 || order > MAX_ORDER) {
        die(2, "ORDER is a number from 1 to %d, not '%s'", MAX_ORDER, word[0]);
    }
    Tree tree = { 0 };
    Stream train = read_stream(word[1], &tree, true), valid = train;
    int V = (int)tree.n - 1;                              // all but the root; eot counts
    if (word[2]) {
        valid = read_stream(word[2], &tree, false);
    } else {                                              // the last tenth of the stories
        size_t held = train.stories / 10, eots = 0;
        if (held == 0) die(1, "%s: fewer than 10 stories; name a VALID.txt", word[1]);
        while (eots <= held) eots += train.token[--train.n] == EOT;
        valid.token += train.n, valid.n -= train.n++;     // both own the eot between
    }
    FILE *csv = csv_path ? fopen(csv_path, "w") : NULL;
    if (csv_path && !csv) die(1, "cannot write %s: %s", csv_path, strerror(errno));
    double sum[MAX_ORDER + 1] = { 0 };
    count(&tree, &train, (int)order);
    score(&tree, &valid, (int)order, V, sum, csv);
    if (csv && (ferror(csv) | fclose(csv))) die(1, "cannot write all of %s", csv_path);
    printf("uniform %.4f\n", log(V));
    for (int k = 1; k <= order; k++) {
        printf("order %d nats %.4f\n", k, sum[k] / (double)(valid.n - 1));
    }
    if (fflush(stdout)) die(1, "cannot write the result: %s", strerror(errno));
    if (word[2]) free(valid.token);
    free(train.token), free(tree.node), free(tree.slot);
    return 0;
}
