// stories.c writes children's stories from a grammar, and knows what they were worth.
//
//   stories [options] GRAMMAR...        stories on stdout, a figure or two on stderr
//
// The grammar (plots, phrases and words as readable text, see plots.grammar) says what
// may follow what, and how often. Each time the program chooses, it adds -ln(probability
// of the choice) to the story's score: the loss of a reader who knows every rule and
// every choice so far. No model of the text can do better on average. It also notes the
// characters whose value was settled earlier in the story, because those are the ones
// that need a memory.
//
// Build: cc -O2 -o stories stories.c -lm. Integers alone decide the text, so a seed gives
// the same bytes on every machine; floating point only adds up the score.
//
// A story is made in two passes: `expand` walks the grammar and writes raw text,
// `typeset` puts capitals, "a" or "an" and spaces right. In raw text a remembered word
// stands between marks: byte 1, number of the memory, column, the word, byte 2.

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_COLUMNS = 6,       // of a table
    MAX_ROWS = 400,        // of a rule
    MAX_TAGS = 64,         // a tag is one bit of a uint64_t
    MAX_VARIABLES = 120,
    MAX_MEMORIES = 120,    // of a story; a memory is one byte of raw text
    MAX_STORY = 8192,      // bytes of raw text
    MAX_SCORES = 8,        // --score may be given several times
    MAX_DEPTH = 200,       // rules within rules
    NESTING = 4,           // remembered texts within one another
    LETTERS = 12,          // a recalled word counts for at most so many characters
    SHORTEST = 300,        // stories outside these lengths are drawn again
    LONGEST = 900,
};

static const char *const separator = "<|endoftext|>";

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("stories: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

// What the grammar is made of lives until the program ends; one list frees all of it.
static void **blocks;
static size_t block_count;

static void *grab(size_t bytes) {
    if ((block_count & (block_count + 1)) == 0) {     // 2^k - 1 blocks: the list is full
        blocks = realloc(blocks, 2 * (block_count + 1) * sizeof *blocks);
        if (!blocks) die("out of memory");
    }
    void *block = calloc(1, bytes ? bytes : 1);
    if (!block) die("out of memory");
    return blocks[block_count++] = block;
}

static void free_all(void) {
    while (block_count > 0) free(blocks[--block_count]);
    free(blocks);
}

// --------------------------------------------------------------------------------------
// The grammar in memory
//
// A rule is a list of alternatives, an alternative is a row of one or more texts, a text
// is a list of items. A choice in braces is a rule without a name.

typedef struct Rule Rule;

typedef struct {           // "x", "!x", "x#tag" or "!x#tag" before an alternative
    int var;
    uint64_t tag;          // 0: is x there at all?
    bool negated;
} Condition;

typedef struct {
    enum { TEXT, EXPAND, BIND, PRINT, MARK } kind;
    char *text;            // TEXT: these characters; others: the name of rule or variable
    Rule *rule;            // EXPAND and BIND: filled in once all files are read
    uint64_t with, without;      // ... which tags a row must have and must not have
    int var, column;       // BIND, PRINT, MARK
    char *column_name;
    int line;
} Item;

typedef struct {
    Item *items;
    int count;
} Text;

typedef struct {
    int weight;
    Text fields[MAX_COLUMNS];
    Condition *conditions;
    int condition_count;
    uint64_t tags;
    uint64_t drawn_in;     // the last story that used this row of a table
    uint64_t uses;
} Alternative;

struct Rule {
    char *name;
    char *columns[MAX_COLUMNS];
    bool is_phrase[MAX_COLUMNS];     // a column -name: never counted as recall
    int column_count;
    bool is_table;         // rows are not drawn twice in a story
    Alternative *rows[MAX_ROWS];
    int count;
    uint64_t expansions, characters;             // what this rule has written
    double nats;                                 // ... and at what cost
    const char *file;
    int line;
    Rule *next;            // the list of named rules, or of choices in braces
};

static Rule *rules, *choices;
static char *variables[MAX_VARIABLES + 1], *tags[MAX_TAGS + 1];    // NULL after the last
static bool is_bound[MAX_VARIABLES];       // some rule gives this variable a value

static char *copy(const char *start, size_t length) {
    char *text = grab(length + 1);
    memcpy(text, start, length);
    return text;
}

static int intern(char **names, int room, const char *start, size_t length) {
    int i = 0;
    for (; names[i]; i++)
        if (strlen(names[i]) == length && memcmp(names[i], start, length) == 0) return i;
    if (i == room) die("more than %d variables or tags", room);
    names[i] = copy(start, length);
    return i;
}

static Rule *find_rule(const char *name) {
    for (Rule *rule = rules; rule; rule = rule->next)
        if (strcmp(rule->name, name) == 0) return rule;
    return NULL;
}

// --------------------------------------------------------------------------------------
// Reading the grammar

typedef struct {
    const char *file, *at;
    int line;
} Reader;

static void bad(const Reader *r, const char *what) {
    die("%s:%d: %s", r->file, r->line, what);
}

static size_t word_length(const char *s) {
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || s[n] == '-') n++;
    return n;
}

// Reads "#tag" and "!tag" one after the other into two sets.
static void read_filter(Reader *r, uint64_t *with, uint64_t *without) {
    while (*r->at == '#' || *r->at == '!') {
        uint64_t *set = *r->at++ == '#' ? with : without;
        size_t n = word_length(r->at);
        if (!n) bad(r, "a tag is missing");
        *set |= UINT64_C(1) << intern(tags, MAX_TAGS, r->at, n);
        r->at += n;
    }
}

// <rule#tag!tag>   <var=rule#tag>   <var.column>   <+var>
static Item read_reference(Reader *r) {
    Item item = {.kind = EXPAND, .line = r->line};
    r->at++;
    if (*r->at == '+') item.kind = MARK, r->at++;
    size_t n = word_length(r->at);
    if (!n) bad(r, "a name is missing after <");
    item.text = copy(r->at, n);
    r->at += n;
    if (item.kind == MARK || *r->at == '=') {
        item.var = intern(variables, MAX_VARIABLES, item.text, n);
        is_bound[item.var] = true;
    }
    if (*r->at == '=') {
        item.kind = BIND;
        n = word_length(++r->at);
        item.text = copy(r->at, n);
        r->at += n;
    }
    if (*r->at == '.') {
        item.kind = PRINT;
        n = word_length(++r->at);
        item.column_name = copy(r->at, n);
        r->at += n;
    }
    read_filter(r, &item.with, &item.without);
    if (*r->at != '>') bad(r, "a reference does not end with >");
    r->at++;
    return item;
}

// [x !y#tag] before an alternative
static void read_conditions(Reader *r, Alternative *row) {
    Condition list[16];
    int count = 0;
    r->at++;
    while (*r->at != ']') {
        Condition c = {.negated = *r->at == '!'};
        r->at += c.negated;
        size_t n = word_length(r->at);
        if (!n || count == 16) bad(r, "a condition is not of the form [x !y#tag]");
        c.var = intern(variables, MAX_VARIABLES, r->at, n);
        r->at += n;
        if (*r->at == '#') {
            n = word_length(++r->at);
            c.tag = UINT64_C(1) << intern(tags, MAX_TAGS, r->at, n);
            r->at += n;
        }
        list[count++] = c;
        while (*r->at == ' ') r->at++;
    }
    r->at++;
    row->condition_count = count;
    row->conditions = grab((size_t)count * sizeof *list);
    memcpy(row->conditions, list, (size_t)count * sizeof *list);
}

static Rule *read_choice(Reader *r);

static Text read_text(Reader *r, const char *stop) {
    Item items[256];
    int count = 0;
    while (*r->at && !strchr(stop, *r->at)) {
        if (count == 256) bad(r, "a text has too many parts");
        if (*r->at == '<') {
            items[count++] = read_reference(r);
        } else if (*r->at == '{') {
            Rule *rule = read_choice(r);
            items[count++] = (Item){.kind = EXPAND, .rule = rule, .line = r->line};
        } else {
            size_t n = strcspn(r->at, "<{}|/#");
            if (!n || strchr("}>", *r->at)) bad(r, "a bracket without its partner");
            char *words = copy(r->at, n);
            items[count++] = (Item){.kind = TEXT, .text = words, .line = r->line};
            r->at += n;
        }
    }
    Text text = {grab((size_t)count * sizeof *items), count};
    memcpy(text.items, items, (size_t)count * sizeof *items);
    return text;
}

// Drops the space before a / or a #.
static void trim(Text *text) {
    if (text->count == 0 || text->items[text->count - 1].kind != TEXT) return;
    char *last = text->items[text->count - 1].text;
    size_t n = strlen(last);
    while (n && last[n - 1] == ' ') last[--n] = 0;
}

// 3* [condition] text / text #tag, up to a character of `stop`
static Alternative *read_alternative(Reader *r, const char *stop, int columns) {
    Alternative *row = grab(sizeof *row);
    size_t digits = strspn(r->at, "0123456789");
    bool has_weight = digits && r->at[digits] == '*';
    row->weight = has_weight ? atoi(r->at) : 1;
    if (row->weight < 1 || row->weight > 100000) bad(r, "a weight is from 1 to 100000");
    if (has_weight) r->at += digits + 1 + (r->at[digits + 1] == ' ');
    if (*r->at == '[') {
        read_conditions(r, row);
        if (*r->at == ' ') r->at++;
    }
    for (int c = 0; c < columns; c++) {
        while (columns > 1 && *r->at == ' ') r->at++;
        row->fields[c] = read_text(r, stop);
        if (columns > 1 || *r->at == '#') trim(&row->fields[c]);
        if (c + 1 == columns) break;
        if (*r->at != '/') bad(r, "a row has too few columns");
        r->at++;
    }
    while (*r->at == '#') {
        uint64_t none = 0;
        read_filter(r, &row->tags, &none);
        while (*r->at == ' ') r->at++;
    }
    return row;
}

static void add_row(Reader *r, Rule *rule, Alternative *row) {
    if (rule->count == MAX_ROWS) bad(r, "a rule has too many alternatives");
    rule->rows[rule->count++] = row;
}

// {a|2* b|}: spaces inside count, so that { very|} works
static Rule *read_choice(Reader *r) {
    Rule *rule = grab(sizeof *rule);
    *rule = (Rule){.name = "{...}", .column_count = 1, .file = r->file, .line = r->line};
    do {
        r->at++;
        add_row(r, rule, read_alternative(r, "|}", 1));
    } while (*r->at == '|');
    if (*r->at != '}') bad(r, "a choice does not end with }");
    r->at++;
    rule->next = choices;
    return choices = rule;
}

// name: or name(column column):
static Rule *read_head(Reader *r) {
    Rule *rule = grab(sizeof *rule);
    size_t n = word_length(r->at);
    *rule = (Rule){.name = copy(r->at, n), .file = r->file, .line = r->line};
    r->at += n;
    if (!n || find_rule(rule->name)) bad(r, "a rule has no name, or another rule's");
    if (*r->at == '(') {
        rule->is_table = true;
        for (r->at++; *r->at != ')'; r->at += *r->at == ' ') {
            rule->is_phrase[rule->column_count] = *r->at == '-';
            r->at += *r->at == '-';
            n = word_length(r->at);
            if (!n || rule->column_count == MAX_COLUMNS) bad(r, "columns read (one two)");
            rule->columns[rule->column_count++] = copy(r->at, n);
            r->at += n;
        }
        r->at++;
    }
    if (rule->column_count == 0) rule->column_count = 1;
    if (*r->at != ':') bad(r, "a rule's head ends with a colon");
    rule->next = rules;
    return rules = rule;
}

// One line of alternatives, a | b | c. In a table each of them gets `suffix` at its end.
static void read_rows(Reader *r, Rule *rule, const char *suffix) {
    const char *stop = rule->column_count > 1 ? "|/#" : "|#";
    const char *rest = r->at;
    while (rest) {
        int depth = 0;
        size_t n = 0;                            // up to the next bar outside braces
        for (; rest[n] && (rest[n] != '|' || depth); n++)
            depth += (rest[n] == '{') - (rest[n] == '}');
        const char *next = rest[n] ? rest + n + 1 : NULL;
        while (n && isspace((unsigned char)*rest)) rest++, n--;
        while (n && isspace((unsigned char)rest[n - 1])) n--;
        char *row = grab(n + strlen(suffix) + 1);
        memcpy(row, rest, n);
        memcpy(row + n, suffix, strlen(suffix));
        r->at = row;
        add_row(r, rule, read_alternative(r, stop, rule->column_count));
        if (*r->at) bad(r, "something is left over at the end of an alternative");
        rest = next;
    }
}

// The next line, joined with those after it as long as it ends in a backslash; NULL at
// the end.
static char *next_line(Reader *r, char **source) {
    char *line = *source, *to = line;
    if (!*line) return NULL;
    r->line++;
    for (char *from = line;; from++) {
        if (from[0] == '\\' && from[1] == '\n') {
            from++;
            r->line++;
        } else if (*from == '\n' || !*from) {
            *source = from + (*from == '\n');
            *to = 0;
            return line;
        } else {
            *to++ = *from;
        }
    }
}

static void read_grammar(const char *file) {
    FILE *f = fopen(file, "rb");
    if (!f) die("cannot read %s: %s", file, strerror(errno));
    size_t size = 0, room = 1 << 20;             // no grammar is that long
    char *source = grab(room);
    size = fread(source, 1, room - 1, f);
    if (ferror(f) || size == room - 1) die("cannot read %s, or it is too long", file);
    fclose(f);
    Reader r = {.file = file};
    Rule *rule = NULL;
    const char *suffix = "";
    for (char *line; (line = next_line(&r, &source));) {
        r.at = line + strspn(line, " ");
        if (*r.at == '#' || !*r.at) continue;
        if (*line != ' ') {
            rule = read_head(&r);
            suffix = "";
        } else if (!rule) {
            bad(&r, "text before the first rule");
        } else if (*r.at == '+') {
            suffix = r.at + 1;
        } else {
            read_rows(&r, rule, suffix);
        }
    }
}

static int find_column(const Rule *rule, const Item *item) {
    for (int c = 0; rule->columns[c] && c < rule->column_count; c++)
        if (strcmp(rule->columns[c], item->column_name) == 0) return c;
    die("line %d: %s has no column %s", item->line, rule->name, item->column_name);
    return 0;
}

// A name in <> is a rule if there is one, else a variable.
static void resolve_item(const Rule *where, Item *item) {
    bool is_call = item->kind == EXPAND || item->kind == PRINT;
    if (is_call && !item->rule) item->kind = find_rule(item->text) ? EXPAND : PRINT;
    if (item->kind == EXPAND || item->kind == BIND) {
        if (!item->rule) item->rule = find_rule(item->text);
        if (!item->rule) die("%s:%d: no rule %s", where->file, item->line, item->text);
        if (item->kind == EXPAND && item->column_name)
            item->column = find_column(item->rule, item);
    } else if (item->kind == PRINT) {
        item->var = intern(variables, MAX_VARIABLES, item->text, strlen(item->text));
        if (!is_bound[item->var]) {
            die("%s:%d: %s is neither rule nor variable", where->file, item->line,
                item->text);
        }
    }
}

static void resolve(Rule *list) {
    for (int i = 0; variables[i]; i++)
        if (is_bound[i] && find_rule(variables[i])) {
            die("%s is both a rule and a variable", variables[i]);
        }
    for (Rule *rule = list; rule; rule = rule->next)
        for (int i = 0; i < rule->count; i++)
            for (int c = 0; c < rule->column_count; c++)
                for (int k = 0; k < rule->rows[i]->fields[c].count; k++)
                    resolve_item(rule, &rule->rows[i]->fields[c].items[k]);
}

// --------------------------------------------------------------------------------------
// First pass: choices

typedef struct {           // what a story remembers
    const Rule *rule;
    Alternative *row;
    bool candidate[MAX_ROWS];                    // the rows it was drawn from
    char *frozen[MAX_COLUMNS];                   // the text once printed, NULL before
    int printed_at[MAX_COLUMNS];                 // where typeset put it last, -1 before
} Memory;

typedef struct {           // a character that was settled earlier in its story
    int offset, back, candidates;
    char character;
    const char *kind;
} Recall;

typedef struct {
    uint64_t attempt, random;                    // attempt: another number each time
    double nats;
    char raw[MAX_STORY], text[MAX_STORY];
    int raw_length, visible, length;             // visible: raw text without the marks
    int depth;                                   // of rules within rules
    Memory memories[MAX_MEMORIES];
    int memory_count;
    Memory *vars[MAX_VARIABLES];                 // who has this name now, or NULL
    bool wants_recall;
    Recall recalls[MAX_STORY];
    int recall_count;
} Story;

static uint64_t mix(uint64_t z) {                // the finalizer of splitmix64
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// An integer from 0 to below - 1. The first few values are thrown away where they would
// make some results likelier than others, so that weights are exact.
static uint64_t random_below(Story *s, uint64_t below) {
    uint64_t value;
    do {
        value = mix(s->random += UINT64_C(0x9e3779b97f4a7c15));
    } while (value < (0 - below) % below);
    return value % below;
}

static bool holds(const Story *s, const Condition *c) {
    const Memory *m = s->vars[c->var];
    return (m && (!c->tag || m->row->tags & c->tag)) != c->negated;
}

static bool may_use(const Story *s, const Rule *rule, int i, const Item *item) {
    const Alternative *row = rule->rows[i];
    if (rule->is_table && row->drawn_in == s->attempt) return false;
    if ((row->tags & item->with) != item->with || row->tags & item->without) return false;
    for (int k = 0; k < row->condition_count; k++)
        if (!holds(s, &row->conditions[k])) return false;
    return true;
}

// Draws one of the rows that fit, each with probability weight / sum of weights.
static Alternative *choose(Story *s, Rule *rule, const Item *item, bool *candidate) {
    uint64_t total = 0;
    for (int i = 0; i < rule->count; i++) {
        candidate[i] = may_use(s, rule, i, item);
        if (candidate[i]) total += (uint64_t)rule->rows[i]->weight;
    }
    if (!total) die("%s:%d: nothing fits in %s", rule->file, rule->line, rule->name);
    uint64_t ticket = random_below(s, total);
    int i = 0;
    for (; !candidate[i] || ticket >= (uint64_t)rule->rows[i]->weight; i++)
        if (candidate[i]) ticket -= (uint64_t)rule->rows[i]->weight;
    Alternative *row = rule->rows[i];
    s->nats += log((double)total / row->weight);
    row->drawn_in = s->attempt;
    row->uses++;
    return row;
}

static void add_raw(Story *s, const char *text, size_t length) {
    if ((size_t)s->raw_length + length + 8 > MAX_STORY) die("a story does not end");
    memcpy(s->raw + s->raw_length, text, length);
    s->raw_length += (int)length;
    if (length && *text > 2) s->visible += (int)length;
}

static void expand(Story *s, const Text *text);

static void forget_all(Story *s) {
    for (int i = 0; i < s->memory_count; i++)
        for (int c = 0; c < MAX_COLUMNS; c++) free(s->memories[i].frozen[c]);
    s->memory_count = 0;
    memset(s->vars, 0, sizeof s->vars);
}

static Memory *new_memory(Story *s, int var) {
    if (s->memory_count == MAX_MEMORIES) die("a story remembers too much");
    Memory *m = s->vars[var] = &s->memories[s->memory_count++];
    for (int c = 0; c < MAX_COLUMNS; c++) {
        m->frozen[c] = NULL;
        m->printed_at[c] = -1;
    }
    return m;
}

static void bind(Story *s, const Item *item) {
    Memory *m = new_memory(s, item->var);
    m->rule = item->rule;
    m->row = choose(s, item->rule, item, m->candidate);
}

// Prints a remembered text. It's expanded when first printed, and the same ever after.
static void print(Story *s, const Item *item) {
    Memory *m = s->vars[item->var];
    if (!m || !m->rule) die("line %d: %s has no value yet", item->line, item->text);
    int column = item->column_name ? find_column(m->rule, item) : 0;
    add_raw(s, (char[]){1, (char)(m - s->memories + 1), (char)(column + 1)}, 3);
    int start = s->raw_length;
    if (m->frozen[column]) {
        add_raw(s, m->frozen[column], strlen(m->frozen[column]));
    } else {
        expand(s, &m->row->fields[column]);
        size_t length = (size_t)(s->raw_length - start);
        m->frozen[column] = calloc(length + 1, 1);
        if (!m->frozen[column]) die("out of memory");
        memcpy(m->frozen[column], s->raw + start, length);
    }
    add_raw(s, "\2", 1);
}

static void expand_rule(Story *s, const Item *item) {
    Rule *rule = item->rule;
    bool candidate[MAX_ROWS];
    double nats = s->nats;
    int length = s->visible;
    if (++s->depth > MAX_DEPTH) die("%s:%d: %s goes round in circles", rule->file,
                                    rule->line, rule->name);
    expand(s, &choose(s, rule, item, candidate)->fields[item->column]);
    s->depth--;
    rule->expansions++;
    rule->characters += (uint64_t)(s->visible - length);
    rule->nats += s->nats - nats;
}

static Alternative mark;           // what a variable is that is there and no more

static void expand(Story *s, const Text *text) {
    for (const Item *item = text->items; item < text->items + text->count; item++) {
        switch (item->kind) {
        case TEXT:
            add_raw(s, item->text, strlen(item->text));
            break;
        case EXPAND:
            expand_rule(s, item);
            break;
        case BIND:
            bind(s, item);
            break;
        case PRINT:
            print(s, item);
            break;
        case MARK:
            new_memory(s, item->var)->row = &mark;
            s->vars[item->var]->rule = NULL;
            break;
        }
    }
}

// --------------------------------------------------------------------------------------
// Second pass: capitals, articles, spaces, and where the memory is

typedef struct {           // a remembered word
    int memory, column;
    int start;             // of its first letter, -1 before we get there
} Open;

typedef struct {
    Story *story;
    bool sentence_ended;   // the next space begins a sentence
    bool capital_next;
    bool quote_open;
    Open open[NESTING];    // remembered words that we are in
    int depth;
} Page;

static bool ends_with(const Story *s, const char *end) {
    int n = (int)strlen(end);
    return s->length >= n && memcmp(s->text + s->length - n, end, (size_t)n) == 0;
}

static bool starts_with(const char *s, const char *start) {
    return strncmp(s, start, strlen(start)) == 0;
}

// "a" becomes "an" by sound: an owl, an hour; a unicorn, a one-eyed cat.
static bool needs_an(const char *word) {
    static const char *const odd[] = {"one", "once", "use", "uni", "uku", "eu", "ewe"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (starts_with(word, odd[i])) return false;
    if (starts_with(word, "hour") || starts_with(word, "honest")) return true;
    return strchr("aeiouAEIOU", *word) != NULL;
}

static void put_letter(Page *p, const char *word) {
    Story *s = p->story;
    bool after_a = ends_with(s, "a ") || ends_with(s, "A ");
    if (after_a && s->length > 2 && isalpha((unsigned char)s->text[s->length - 3])) {
        after_a = false;                         // "sea otter"
    }
    if (after_a && needs_an(word)) {
        s->text[s->length - 1] = 'n';
        s->text[s->length++] = ' ';
    }
    char c = *word;
    if (p->capital_next && islower((unsigned char)c)) c = (char)(c - 'a' + 'A');
    p->capital_next = p->sentence_ended = false;
    for (int i = 0; i < p->depth; i++)
        if (p->open[i].start < 0) p->open[i].start = s->length;
    s->text[s->length++] = c;
}

static void put_other(Page *p, char c) {
    Story *s = p->story;
    char last = s->length ? s->text[s->length - 1] : '\n';
    bool is_gap = c == ' ' || c == '\n';
    if (c == ' ' && isspace((unsigned char)last)) return;
    if (last == ' ' && strchr(",.!?;:\n", c)) s->length--;
    if (is_gap && p->sentence_ended) p->capital_next = true;
    if (c == '\n') p->capital_next = true;
    if (is_gap) p->sentence_ended = false;
    if (strchr(".!?", c)) p->sentence_ended = true;
    if (c == '"') {
        p->quote_open = !p->quote_open;
        if (p->quote_open) p->capital_next = true;
        else p->sentence_ended = last == '.';    // after !" and ?" the sentence may go on
    }
    s->text[s->length++] = c;
}

// The text of a row's column if it is the same each time, else NULL.
static const char *literal(const Alternative *row, int column) {
    const Text *field = &row->fields[column];
    bool is_literal = field->count == 1 && field->items[0].kind == TEXT;
    return is_literal ? field->items[0].text : NULL;
}

// Does it take a memory to know letter k of this word? Yes if another candidate begins
// with the same k letters and goes on differently. A word put together from parts may go
// on anyhow.
static bool discriminates(const Memory *m, int column, const char *word, int k) {
    for (int i = 0; i < m->rule->count; i++) {
        if (!m->candidate[i]) continue;
        const char *other = literal(m->rule->rows[i], column);
        if (!other) return true;
        if (strncmp(word, other, (size_t)k) == 0 && word[k] != other[k]) return true;
    }
    return false;
}

static int ways(const Rule *rule);

// In how many ways can a text come out?
static int ways_of_text(const Text *text) {
    int product = 1;
    for (int k = 0; k < text->count; k++)
        if (text->items[k].kind == EXPAND) product *= ways(text->items[k].rule);
    return product;
}

static int ways(const Rule *rule) {
    int sum = 0;
    for (int i = 0; i < rule->count; i++) sum += ways_of_text(&rule->rows[i]->fields[0]);
    return sum;
}

// How many different texts could stand here?
static int count_candidates(const Memory *m, int column) {
    int count = 0;
    for (int i = 0; i < m->rule->count; i++) {
        if (!m->candidate[i]) continue;
        const char *value = literal(m->rule->rows[i], column), *other;
        bool is_new = true;
        for (int j = 0; value && j < i && is_new; j++) {
            other = m->candidate[j] ? literal(m->rule->rows[j], column) : NULL;
            is_new = !other || strcmp(value, other) != 0;
        }
        if (is_new) count += ways_of_text(&m->rule->rows[i]->fields[column]);
    }
    return count;
}

static const char *kind_of(const Memory *m, int column) {
    const char *name = column ? m->rule->columns[column] : m->rule->name;
    bool is_pronoun = !strcmp(name, "he") || !strcmp(name, "him") || !strcmp(name, "his");
    return is_pronoun ? "pronoun" : name;
}

// A remembered word ends here. If the story has said it before, or has named its owner,
// then its telling letters are recall characters.
static void end_word(Page *p) {
    Story *s = p->story;
    Open word = p->open[--p->depth];
    Memory *m = &s->memories[word.memory];
    const char *text = m->frozen[word.column];
    int same = m->printed_at[word.column];
    int owner = literal(m->row, word.column) ? m->printed_at[0] : -1;
    int decider = same > owner ? same : owner;
    if (word.start < 0) return;
    m->printed_at[word.column] = word.start;
    if (!s->wants_recall || decider < 0 || m->rule->is_phrase[word.column]) return;
    int candidates = count_candidates(m, word.column);
    for (int k = 0; k < LETTERS && text[k] > ' '; k++) {
        if (!isalnum((unsigned char)text[k])) continue;
        if (!discriminates(m, word.column, text, k)) continue;
        int at = word.start + k;
        s->recalls[s->recall_count++] = (Recall){
            at, same == decider ? word.start - same : at - owner, candidates,
            s->text[at], kind_of(m, word.column)};
    }
}

static void typeset(Story *s) {
    Page p = {.story = s, .capital_next = true};
    s->length = s->recall_count = 0;
    s->raw[s->raw_length] = 0;
    for (const char *c = s->raw; *c; c++) {
        if (*c == 1) {
            if (p.depth == NESTING) die("remembered texts nest too deep");
            p.open[p.depth++] = (Open){c[1] - 1, c[2] - 1, -1};
            c += 2;
        } else if (*c == 2) {
            end_word(&p);
        } else if (*c == '^' || *c == '_') {
            p.capital_next = *c == '^';
            p.sentence_ended = false;
        } else if (*c == '~') {
            put_other(&p, '\n');
        } else if (isalnum((unsigned char)*c)) {
            put_letter(&p, c);
        } else {
            put_other(&p, *c);
        }
    }
    s->text[s->length] = 0;
    if (p.quote_open) die("a quotation does not end: %s", s->text);
}

// --------------------------------------------------------------------------------------
// Stories without end, none of them twice

// Hashes of all stories so far, open addressing. Two different stories share a hash of 64
// bits once in about 10^19 pairs; the second one would be drawn again for nothing.
typedef struct {
    uint64_t *slots, count, room;
} Seen;

static void seen_insert(Seen *seen, uint64_t hash) {
    uint64_t i = hash & (seen->room - 1);
    while (seen->slots[i] && seen->slots[i] != hash) i = (i + 1) & (seen->room - 1);
    seen->slots[i] = hash;
}

// True if the hash is new.
static bool seen_add(Seen *seen, uint64_t hash) {
    if (2 * seen->count >= seen->room) {
        Seen old = *seen;
        seen->room = old.room ? 2 * old.room : 4096;
        seen->slots = calloc(seen->room, sizeof *seen->slots);
        if (!seen->slots) die("out of memory");
        for (uint64_t i = 0; i < old.room; i++)
            if (old.slots[i]) seen_insert(seen, old.slots[i]);
        free(old.slots);
    }
    hash += !hash;                               // 0 marks an empty slot
    uint64_t last = seen->room - 1;              // room is a power of two
    for (uint64_t i = hash & last; seen->slots[i]; i = (i + 1) & last)
        if (seen->slots[i] == hash) return false;
    seen_insert(seen, hash);
    seen->count++;
    return true;
}

static uint64_t hash_text(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);             // FNV-1a, then mixed
    for (; *text; text++) hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return mix(hash);
}

typedef struct {
    uint64_t attempts, wrong_length, twice;
    Seen seen;
} Tally;

static void draw_story(Story *s, Rule *start, Tally *tally) {
    Text text = {&(Item){.kind = EXPAND, .text = start->name, .rule = start}, 1};
    for (;;) {
        forget_all(s);
        s->attempt = ++tally->attempts;
        s->nats = 0;
        s->raw_length = s->visible = 0;
        expand(s, &text);
        typeset(s);
        if (s->length < SHORTEST || s->length > LONGEST) tally->wrong_length++;
        else if (!seen_add(&tally->seen, hash_text(s->text))) tally->twice++;
        else return;
    }
}

typedef struct {           // one story as the reports need it
    int length;
    double nats;
    int recall_count;
    Recall *recalls;
} Record;

typedef struct {
    uint64_t seed, stories, bytes;
    const char *start, *recall;
    const char *scores[MAX_SCORES];
    int score_count;
    bool quiet, rules;
} Options;

// Story k depends on the seed and on k alone, unless it had to be drawn again.
static Record *write_stories(const Options *o, Rule *start, Tally *tally,
                             uint64_t *count) {
    Story *s = calloc(1, sizeof *s);
    Record *records = NULL;
    if (!s) die("out of memory");
    uint64_t bytes = 0, n = 0;
    for (; o->bytes ? bytes < o->bytes : n < o->stories; n++) {
        if ((n & (n - 1)) == 0) {
            records = realloc(records, 2 * (n + 1) * sizeof *records);
            if (!records) die("out of memory");
        }
        s->wants_recall = o->recall != NULL;
        s->random = mix(o->seed * UINT64_C(0x9e3779b97f4a7c15) + n + 1);
        draw_story(s, start, tally);
        if (!o->quiet) printf("%s\n%s\n", s->text, separator);
        bytes += (uint64_t)s->length + strlen(separator) + 2;
        records[n] = (Record){.length = s->length, .nats = s->nats};
        if (!o->recall) continue;
        size_t size = (size_t)s->recall_count * sizeof *s->recalls;
        records[n].recall_count = s->recall_count;
        records[n].recalls = grab(size);
        memcpy(records[n].recalls, s->recalls, size);
    }
    forget_all(s);
    free(s);
    *count = n;
    return records;
}

// --------------------------------------------------------------------------------------
// Reports

static void print_score(const Record *records, uint64_t n, const char *range) {
    uint64_t from = 1, to = n, split = n - n / 10;   // the last tenth is for validation
    unsigned long long a, b;
    if (strcmp(range, "train") == 0) to = split;
    else if (strcmp(range, "valid") == 0) from = split + 1;
    else if (sscanf(range, "%llu-%llu", &a, &b) == 2) from = a, to = b;
    else if (strcmp(range, "all") != 0) die("--score takes all, train, valid or FROM-TO");
    if (from < 1 || to > n || from > to) die("--score %s: there are %llu stories", range,
                                             (unsigned long long)n);
    double nats = 0;
    uint64_t characters = 0;
    for (uint64_t i = from - 1; i < to; i++) {
        nats += records[i].nats;
        characters += (uint64_t)records[i].length + 1;        // and its end-of-text
    }
    fprintf(stderr, "score %s stories %llu-%llu characters %llu nats %.1f nats/char %.4f "
            "bits/char %.4f nats/story %.1f\n", range, (unsigned long long)from,
            (unsigned long long)to, (unsigned long long)characters, nats,
            nats / (double)characters, nats / (double)characters / log(2.0),
            nats / (double)(to - from + 1));
}

// Offsets count in the validation stream, whose token 0 is an end-of-text.
static void write_recall(const Record *records, uint64_t n, const char *file) {
    FILE *f = fopen(file, "wb");
    if (!f) die("cannot write %s: %s", file, strerror(errno));
    fputs("offset,character,back,candidates,kind\n", f);
    uint64_t base = 1;
    for (uint64_t i = n - n / 10; i < n; i++) {
        for (int k = 0; k < records[i].recall_count; k++) {
            const Recall *r = &records[i].recalls[k];
            unsigned long long at = base + (uint64_t)r->offset;
            fprintf(f, "%llu,%c,%d,%d,%s\n", at, r->character, r->back, r->candidates,
                    r->kind);
        }
        base += (uint64_t)records[i].length + 1;
    }
    if (fclose(f) != 0) die("cannot write %s: %s", file, strerror(errno));
}

// How often was each alternative used? A choice in braces counts like a rule of its own.
static void print_rules(void) {
    uint64_t alternatives = 0, uses = 0, rare = 0, never = 0, named = 0;
    for (int list = 0; list < 2; list++) {
        for (const Rule *rule = list ? choices : rules; rule; rule = rule->next) {
            named += !list;
            for (int i = 0; rule->count > 1 && i < rule->count; i++) {
                uint64_t u = rule->rows[i]->uses;
                alternatives++;
                uses += u;
                rare += u < 30;
                never += u == 0;
                if (u) continue;
                fprintf(stderr, "unused %s:%d %s %d\n", rule->file, rule->line,
                        rule->name, i + 1);
            }
        }
    }
    for (const Rule *rule = rules; rule; rule = rule->next) {
        if (!rule->characters) continue;
        fprintf(stderr, "rule %-16s times %8llu characters %6.1f nats/char %.3f\n",
                rule->name, (unsigned long long)rule->expansions,
                (double)rule->characters / (double)rule->expansions,
                rule->nats / (double)rule->characters);
    }
    fprintf(stderr, "rules %llu alternatives %llu uses/alternative %.0f under-30 %llu "
            "unused %llu\n", (unsigned long long)named, (unsigned long long)alternatives,
            (double)uses / (double)alternatives, (unsigned long long)rare,
            (unsigned long long)never);
}

static const char usage[] =
    "usage: stories [options] GRAMMAR...\n"
    "  --seed N        which stories (default 1)\n"
    "  --stories N     how many (default 10)\n"
    "  --bytes N       or: until the text has N bytes\n"
    "  --score RANGE   nats per character: all, train, valid or FROM-TO (from 1)\n"
    "  --recall F.csv  characters of validation stories that something earlier decided\n"
    "  --start RULE    begin here (default story), to read one plot\n"
    "  --rules         how often the alternatives were used\n"
    "  --quiet         reports only\n";

static uint64_t number(const char *option, const char *value) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (errno || *end || !isdigit((unsigned char)*value)) {
        fprintf(stderr, "stories: %s takes a whole number, not %s\n%s", option, value,
                usage);
        exit(2);
    }
    return n;
}

static Options read_options(int argc, char **argv) {
    Options o = {.seed = 1, .stories = 10, .start = "story"};
    int files = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--quiet") == 0) o.quiet = true;
        else if (strcmp(a, "--rules") == 0) o.rules = true;
        else if (a[0] != '-') read_grammar(a), files++;
        else if (!value) die("unknown option, or no value for it: %s\n%s", a, usage);
        else if (strcmp(a, "--seed") == 0) o.seed = number(a, argv[++i]);
        else if (strcmp(a, "--stories") == 0) o.stories = number(a, argv[++i]);
        else if (strcmp(a, "--bytes") == 0) o.bytes = number(a, argv[++i]);
        else if (strcmp(a, "--recall") == 0) o.recall = argv[++i];
        else if (strcmp(a, "--start") == 0) o.start = argv[++i];
        else if (strcmp(a, "--score") == 0 && o.score_count < MAX_SCORES)
            o.scores[o.score_count++] = argv[++i];
        else die("unknown option %s\n%s", a, usage);
    }
    if (!files) {
        fputs(usage, stderr);
        exit(2);
    }
    return o;
}

int main(int argc, char **argv) {
    Options o = read_options(argc, argv);
    resolve(rules);
    resolve(choices);
    Rule *start = find_rule(o.start);
    if (!start) die("no rule %s in the grammar", o.start);
    Tally tally = {0};
    uint64_t n;
    Record *records = write_stories(&o, start, &tally, &n);
    if (fflush(stdout) != 0) die("cannot write: %s", strerror(errno));
    fprintf(stderr, "stories %llu drawn %llu wrong-length %llu twice %llu\n",
            (unsigned long long)n, (unsigned long long)tally.attempts,
            (unsigned long long)tally.wrong_length, (unsigned long long)tally.twice);
    for (int i = 0; i < o.score_count; i++) print_score(records, n, o.scores[i]);
    if (o.recall) write_recall(records, n, o.recall);
    if (o.rules) print_rules();
    free(records);
    free(tally.seen.slots);
    free_all();
    return 0;
}
