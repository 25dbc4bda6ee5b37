# tutorial.awk does the work of tutorial.sh, whose first lines say what is checked.
#
# The book is read into LINE, gpt.c into SOURCE. walk() goes through the book once: prose is looked
# at on the way, fences are kept in FIRST, LAST, KIND ... and looked at one after the other at the
# end, since a fence may need what an earlier one made. In the modes `output` and `excerpts` what
# a fence should hold is kept in NEW[its number], and the book is written again.

BEGIN {
    LANGUAGES = " c diff console text python csv "
    SPEED = "(tokens/s|seconds|ms|gflops|GFLOP/s|MB|threads|share|median|uncached)"
    read_source()
    for (i = 1; i < ARGC; i++) read_book(ARGV[i])
    walk()
    if (mode == "check") {
        check_headings()
        check_answers()
        check_links()
    }
    run_fences()
    if (mode != "check") write_book()
    else finish()
    exit BAD > 0
}

# ---- reading ----

function read_source(    line, n) {
    n = 0 # what stands before the first banner belongs to section 0
    while ((getline line < source) > 0) {
        sub(/\r$/, "", line)
        if (match(line, /^\/\/ [0-9]+[.] /)) {
            n = substr(line, 4) + 0
            TITLE[n] = substr(line, RLENGTH + 1)
            BANNER[++BANNERS] = n
        }
        SOURCE[++SOURCES] = line
        SECTION[SOURCES] = n
    }
    close(source)
}

function read_book(file,    line) {
    while ((getline line < file) > 0) {
        sub(/\r$/, "", line)
        LINE[++LINES] = line
        FILE[LINES] = file
        NUMBER[LINES] = FILE[LINES - 1] == file ? NUMBER[LINES - 1] + 1 : 1
    }
    close(file)
}

function walk(    i, s, ticks, inside, fresh, text, pending, t) {
    CHAPTER = "before" # the first heading
    for (i = 1; i <= LINES; i++) {
        s = LINE[i]
        if (inside) {
            if (s ~ /^ *```+ *$/ && backticks(s) >= ticks) {
                LAST[FENCES] = i - 1
                inside = 0
            }
        } else if (s ~ /^ *```/) {
            ticks = backticks(s)
            begin_fence(i, substr(s, blanks(s) + ticks + 1), blanks(s), pending)
            inside = 1
            pending = ""
        } else if (s ~ /^## /) {
            begin_chapter(i, substr(s, 4))
            fresh = 1
            heading(s)
        } else if (s ~ /^<!-- .* -->$/) {
            text = substr(s, 6, length(s) - 9)
            if (fresh && text ~ /^tolerance /) TOLERANCE[CHAPTER] = substr(text, 11) + 0
            else pending = pending " " text
        } else if (s !~ /^ *$/) {
            fresh = 0
            pending = ""
            if (s ~ /^#/) heading(s)
            prose(i, s)
        }
    }
    if (inside) fault("fences", FIRST[FENCES] - 1, "a fence that nothing closes")
}

function backticks(s) {
    match(s, /```+/)
    return RLENGTH
}

function blanks(s) {
    match(s, /^ */)
    return RLENGTH < 0 ? 0 : RLENGTH
}

function begin_chapter(i, title,    n) {
    CHAPTER = title
    NUMBERED[CHAPTER] = title ~ /^[0-9]+[.] /
    if (!NUMBERED[CHAPTER]) { APPENDIX = 1; return }
    n = title + 0
    sub(/^[0-9]+[.] /, "", title)
    CHAPTER_NUMBER[CHAPTER] = n
    CHAPTERS[++NCHAPTERS] = CHAPTER
    CHAPTER_LINE[CHAPTER] = i
    count("headings")
    if (APPENDIX) fault("headings", i, "chapter " n " comes after an appendix")
    if (!(n in TITLE)) fault("headings", i, "gpt.c has no section " n)
    else if (TITLE[n] != title)
        fault("headings", i, "'" title "' is '" TITLE[n] "' in gpt.c")
    if (NCHAPTERS > 1 && n <= CHAPTER_NUMBER[CHAPTERS[NCHAPTERS - 1]])
        fault("headings", i, "chapter " n " is not in order")
}

function begin_fence(i, info, indent, marks,    n, word, k, w) {
    n = ++FENCES
    FIRST[n] = i + 1
    LAST[n] = i
    INDENT[n] = indent
    IN[n] = CHAPTER
    k = split(info, w, " ")
    KIND[n] = w[1]
    NAME[n] = k > 1 ? w[2] : ""
    count("fences")
    if (info == "" || index(LANGUAGES, " " w[1] " ") == 0)
        fault("fences", i, "the language '" info "' is none of:" LANGUAGES)
    k = split(marks, w, " ")
    for (word = 1; word <= k; word++) {
        if (w[word] == "tolerance") OWN[n] = w[++word] + 0
        else if (w[word] ~ /^(slow|sample|about)$/) MARK[n, w[word]] = 1
        else fault("fences", i, "the mark '" w[word] "' is none of: slow sample about tolerance")
    }
}

# ---- prose: headings, links, exercises ----

function heading(s,    name) {
    sub(/^#+ +/, "", s)
    HEADING[CHAPTER] = HEADING[CHAPTER] "|" s "|"
    name = slug(s)
    if (name in ANCHOR) name = name "-" (ANCHOR[name]++)
    ANCHOR[name] = 1
}

function slug(s) { # what GitHub makes of a heading
    s = tolower(s)
    gsub(/[]!"#$%&'()*+,.\/:;<=>?@[\\^`{|}~]/, "", s)
    gsub(/ /, "-", s)
    return s
}

function prose(i, s,    label, target, picture, rest) {
    if (s ~ /line [0-9]+ of `?gpt/ || s ~ /gpt\.c:[0-9]/)
        fault("links", i, "names a line number of gpt.c, which will change")
    gsub(/`[^`]*`/, "``", s)
    rest = s
    while (match(rest, /[*][*](Exercise |Question )?[0-9]+[.][0-9a-z]+[*][*]/)) {
        label = substr(rest, RSTART + 2, RLENGTH - 4)
        rest = substr(rest, RSTART + RLENGTH)
        if (label ~ /^[EQ]/) {
            target = label ~ /^E/ ? "[0-9]+" : "[a-z]"
            sub(/^[A-Za-z]+ /, "", label)
            add_exercise(i, label, target)
        } else if (CHAPTER == "Answers" && !(label in ANSWER)) {
            ANSWER[label] = i
            ANSWERS[++NANSWERS] = label
        } else if (CHAPTER == "Answers") fault("answers", i, "a second answer " label)
    }
    while (match(s, /!?\[[^]]*\]\([^) ]+\)/)) {
        target = substr(s, RSTART, RLENGTH)
        s = substr(s, 1, RSTART - 1) substr(s, RSTART + RLENGTH)
        picture = target ~ /^!/
        if (picture && target ~ /^!\[ *\]/) fault("figures", i, "a picture without words for who cannot see it")
        sub(/^.*\]\(/, "", target)
        sub(/\)$/, "", target)
        if (target ~ /^(https?|mailto):/) continue
        LINK[++LINKS] = target
        LINK_LINE[LINKS] = i
        PICTURE[LINKS] = picture
    }
    while (match(s, /\[\^[^]]+\]:?/)) {
        target = substr(s, RSTART, RLENGTH)
        if (RSTART == 1 && target ~ /:$/) NOTE[substr(target, 1, RLENGTH - 1)] = i
        else { sub(/:$/, "", target); NOTED[target] = i }
        s = substr(s, RSTART + RLENGTH)
    }
}

function add_exercise(i, label, kind,    n, k, last) {
    count("answers")
    n = label
    sub(/[.].*/, "", n)
    k = substr(label, length(n) + 2)
    if (!(CHAPTER in CHAPTER_NUMBER) || CHAPTER_NUMBER[CHAPTER] != n)
        fault("answers", i, label " stands in the chapter '" CHAPTER "'")
    if (k !~ "^" kind "$") fault("answers", i, label ": exercises have numbers, questions letters")
    if (label in EXERCISE) fault("answers", i, label " comes twice")
    EXERCISE[label] = i
    last = kind == "[a-z]" ? substr("abcdefghijklmnopqrstuvwxyz", ++COUNT[n, kind], 1) : ++COUNT[n, kind]
    if (k "" != last "") fault("answers", i, label " comes where " n "." last " should")
}

function check_headings(    i, j, k, h, n, at) {
    n = split("Check yourself|Exercises|If it goes wrong", h, "|")
    for (i = 1; i <= NCHAPTERS; i++)
        for (k = at = 0; ++k <= n; at = j) {
            j = index(HEADING[CHAPTERS[i]], "|" h[k] "|")
            if (j <= at) fault("headings", CHAPTER_LINE[CHAPTERS[i]],
                "the chapter lacks '### " h[k] "', or not in its place")
        }
    if (!whole) return
    for (i = 1; i <= BANNERS; i++)
        if (!((BANNER[i] ". " TITLE[BANNER[i]]) in CHAPTER_NUMBER))
            fault("headings", 1, "there is no chapter '" BANNER[i] ". " TITLE[BANNER[i]] "'")
}

function check_answers(    label, i) {
    for (label in EXERCISE) if (!(label in ANSWER)) fault("answers", EXERCISE[label], label " has no answer")
    for (i = 1; i <= NANSWERS; i++)
        if (!(ANSWERS[i] in EXERCISE)) fault("answers", ANSWER[ANSWERS[i]], ANSWERS[i] " answers nothing")
}

function check_links(    i, file, anchor, note, n, w) {
    if (!whole) { # a part may point at the rest
        for (i = 1; i <= BANNERS; i++) ANCHOR[slug(BANNER[i] ". " TITLE[BANNER[i]])] = 1
        n = split("what-changes-at-scale the-comparison-lab for-teachers glossary answers", w, " ")
        for (i = 1; i <= n; i++) ANCHOR[w[i]] = 1
    }
    for (i = 1; i <= LINKS; i++) {
        file = LINK[i]
        count(PICTURE[i] ? "figures" : "links")
        if (file ~ /^#/) {
            if (!(substr(file, 2) in ANCHOR)) fault("links", LINK_LINE[i], "no heading for " file)
            continue
        }
        anchor = file
        sub(/#.*/, "", file)
        if (system("test -e '" root "/" file "'") != 0)
            fault(PICTURE[i] ? "figures" : "links", LINK_LINE[i], "there is no file " file)
        else if (file ~ /[.]svg$/) check_picture(LINK_LINE[i], root "/" file)
        else if (anchor ~ /[.]md#/) fault("links", LINK_LINE[i], "a place in another page: name the page only")
    }
    for (note in NOTED) if (!(note in NOTE)) fault("links", NOTED[note], "no footnote " note)
    for (note in NOTE) if (!(note in NOTED)) fault("links", NOTE[note], "nothing leads to footnote " note)
}

# Every tag is closed in its turn, one element holds all, and title and desc are there.
function check_picture(i, file,    line, text, tag, name, depth, open, roots, why) {
    if (file in SEEN) return
    SEEN[file] = 1
    while ((getline line < file) > 0) text = text line "\n"
    close(file)
    if (text !~ /<title>[^<]/ || text !~ /<desc>[^<]/) fault("figures", i, file " has no title or no desc")
    depth = roots = 0
    while (match(text, /<[^>]*>/)) {
        tag = substr(text, RSTART + 1, RLENGTH - 2)
        if (substr(text, 1, RSTART - 1) ~ /</) why = "a stray <"
        text = substr(text, RSTART + RLENGTH)
        if (tag ~ /^[?!]/) continue
        name = tag
        sub(/[ \t\n\/].*/, "", name)
        if (tag ~ /^\//) {
            if (depth < 1 || open[depth--] != substr(tag, 2)) { why = "<" tag "> closes nothing"; break }
        } else {
            if (depth == 0) roots++
            if (tag !~ /\/$/) open[++depth] = name
        }
    }
    if (!why && text ~ /</) why = "a stray <"
    if (!why && depth > 0) why = "<" open[depth] "> is not closed"
    if (!why && roots != 1) why = roots " outermost elements"
    if (!why && xmllint && system(xmllint " --noout '" file "' > '" work "/xml' 2>&1") != 0) why = "xmllint refuses it"
    if (why) fault("figures", i, file " is not well-formed: " why)
}

# ---- fences ----

function run_fences(    n, start, seconds, ran, chapter) {
    if (book) seconds = now()
    for (n = 1; n <= FENCES; n++) {
        if (IN[n] != chapter) {
            if (ran) chapter_done(chapter, ran, now() - start)
            chapter = IN[n]
            ran = 0
            if (book) start = now()
        }
        if (KIND[n] == "c" && NAME[n] == "" && mode != "output") check_excerpt(n)
        else if (mode == "excerpts") continue
        else if (KIND[n] == "c" && NAME[n] != "") check_example(n)
        else if (KIND[n] == "diff") check_change(n)
        else if (KIND[n] == "console" && book) ran += run_console(n)
    }
    if (ran) chapter_done(chapter, ran, now() - start)
    if (book) print "    " RAN + 0 " commands in " now() - seconds " seconds, " LEFT + 0 " more that are slow"
}

function chapter_done(chapter, ran, seconds) {
    print "    " chapter ": " ran " commands, " seconds " seconds"
    RAN += ran
    fflush()
}

function now() { # seconds, the only clock that every awk has
    srand()
    return srand()
}

function body(i, n) { return substr(LINE[i], (blanks(LINE[i]) < INDENT[n] ? blanks(LINE[i]) : INDENT[n]) + 1) }
function right_section(i, n) { return !(IN[n] in CHAPTER_NUMBER) || SECTION[i] == CHAPTER_NUMBER[IN[n]] }

# Where in gpt.c do WANT[1..many] stand, in the section that fence n may quote? FOUND says how often.
function find(many, n,    i, k, at) {
    FOUND = 0
    for (i = 1; i + many - 1 <= SOURCES; i++) {
        if (SOURCE[i] != WANT[1] || !right_section(i, n) || !right_section(i + many - 1, n)) continue
        for (k = 2; k <= many && SOURCE[i + k - 1] == WANT[k]; k++) continue
        if (k > many && !FOUND++) at = i
    }
    return at
}

function want(n,    i, k) {
    for (i = FIRST[n]; i <= LAST[n]; i++) WANT[++k] = body(i, n)
    return k
}

function check_excerpt(n,    k, i, at, first, last) {
    count("excerpts")
    k = want(n)
    if (k && find(k, n)) return
    if (mode == "check") {
        for (i = 1; i <= k && SOURCE[i] != ""; i++) continue
        for (at = k; at > 0 && !find(at, n); at--) continue
        if (k == 0) fault("excerpts", FIRST[n], "an empty excerpt")
        else if (at) fault("excerpts", FIRST[n] + at, "not in gpt.c after the line before: " WANT[at + 1])
        else fault("excerpts", FIRST[n], "not in the section of this chapter: " WANT[1])
        return
    }
    # The first line still stands there, once, and the last one somewhere after it.
    last = WANT[k]
    first = k ? find(1, n) : 0
    if (FOUND == 1)
        for (at = first + 1; at <= first + 2 * k + 10 && right_section(at, n); at++) if (SOURCE[at] == last) {
            for (i = first; i <= at; i++) put(n, SOURCE[i])
            print FILE[FIRST[n]] ":" FIRST[n] ": " SOURCE[first]
            return
        }
    fault("excerpts", FIRST[n], "cannot place this, do it by hand: " WANT[1])
}

function compiles(file) {
    return system("cd '" root "' && " cc " -fsyntax-only -w '" file "' > '" work "/out' 2>&1") == 0
}

function first_error(    line, error) {
    while ((getline line < (work "/out")) > 0) if (line ~ /error/ && !error) error = line
    close(work "/out")
    return error
}

function check_example(n,    file, i) {
    count("examples")
    if (NAME[n] != "example") fault("fences", FIRST[n] - 1, "'c " NAME[n] "' should be 'c' or 'c example'")
    file = work "/example.c"
    print "#define main gpt_main\n#include \"" source "\"\n#undef main" > file
    for (i = FIRST[n]; i <= LAST[n]; i++) print body(i, n) > file
    close(file)
    if (!compiles(file)) fault("examples", FIRST[n], "does not compile: " first_error())
}

# Replaces each piece's old lines (marked - or blank) by its new ones (marked + or blank).
function check_change(n,    i, s, k, m, at, file, pieces, from, upto, new) {
    count("changes")
    for (i = FIRST[n]; i <= LAST[n] + 1; i++) {
        s = i > LAST[n] ? "@@" : body(i, n)
        if (s ~ /^@@/) {
            if (k + m == 0) continue
            at = k ? find(k, n) : 0
            if (!k || FOUND != 1) {
                fault("changes", i - 1, (k ? "the old lines stand " FOUND " times" : "no old line") \
                    " in the section of this chapter: " WANT[1])
                return
            }
            from[++pieces] = at
            upto[at] = at + k
            new[at] = ""
            for (at = 1; at <= m; at++) new[from[pieces]] = new[from[pieces]] FRESH[at] "\n"
            k = m = 0
        } else if (s !~ /^(---|[+][+][+]) /) {
            if (s !~ /^[+]/) WANT[++k] = substr(s, 2)
            if (s !~ /^-/) FRESH[++m] = substr(s, 2)
        }
    }
    if (NAME[n] != "" && NAME[n] !~ /^[a-z0-9_-]+[.]c$/)
        fault("fences", FIRST[n] - 1, "'diff " NAME[n] "' should be 'diff name.c'")
    file = (book && NAME[n] != "" ? book : work) "/" (NAME[n] != "" ? NAME[n] : "change.c")
    printf "" > file
    for (i = 1; i <= SOURCES; i = (i in upto) ? upto[i] : i + 1)
        if (i in upto) printf "%s", new[i] > file
        else print SOURCE[i] > file
    close(file)
    if (!compiles(file)) fault("changes", FIRST[n], "does not compile: " first_error())
}

# ---- commands ----

function run_console(n,    i, s, command, more, from, ran) {
    if (MARK[n, "slow"] && !slow) {
        for (i = FIRST[n]; i <= LAST[n]; i++) LEFT += body(i, n) ~ /^[$] /
        return 0
    }
    if (body(FIRST[n], n) !~ /^[$] /) fault("commands", FIRST[n], "a console fence begins with '$ '")
    for (i = FIRST[n]; i <= LAST[n]; ) {
        command = ""
        do { # a command with the lines that belong to it
            s = body(i, n)
            put(n, s)
            if (s ~ /^([$]|>) / || s == ">") s = substr(s, 3)
            command = command s "\n"
            more = s ~ /\\$/ || body(i + 1, n) ~ /^>( |$)/
        } while (++i <= LAST[n] && more)
        SHOWNS = 0
        for (from = i; i <= LAST[n] && (s = body(i, n)) !~ /^[$] /; i++) SHOWN[++SHOWNS] = s
        run(n, from - 1, command)
        ran++
    }
    return ran
}

function run(n, i, command,    status, line, s, t, total) {
    count("commands")
    print command > (work "/command")
    close(work "/command")
    status = system("cd '" book "' && " limit " sh '" work "/command' > '" work "/out' 2>&1 < /dev/null")
    REALS = 0
    while ((getline line < (work "/out")) > 0) {
        sub(/^.*\r/, "", line)
        sub(/[ \t]+$/, "", line)
        REAL[++REALS] = line
    }
    close(work "/out")
    for (s in SHOWN) sub(/[ \t]+$/, "", SHOWN[s])
    while (REALS && REAL[REALS] == "") REALS--
    t = n in OWN ? OWN[n] : IN[n] in TOLERANCE ? TOLERANCE[IN[n]] : 0.02
    if (status == 124 && limit) fault("commands", i, "took too long")
    if (!SHOWNS) {
        if (status) fault("commands", i, "failed with status " status ": " REAL[REALS])
    } else if (mode == "output") refresh(n, i)
    else if (SHOWNS == 1 && SHOWN[1] == "?") fault("commands", i, "nothing is shown yet: make tutorial-output")
    else if (MARK[n, "sample"]) {
        total = amount(REAL, REALS)
        t = amount(SHOWN, SHOWNS)
        if ((total < t / 2 || (!SKIPS && total > t * 2 + 20)) && !elsewhere(status))
            fault("commands", i, "prints " total " characters, shown are " t)
    } else compare(i, t, MARK[n, "about"], status)
}

# What a trained model says depends on the order of rounding, and so on the kernel that multiplies.
# Was the book printed with another one? Then a command that succeeds may print something else.
function elsewhere(status,    i, command, line) {
    for (i = 1; i <= LINES && PRINTED == ""; i++)
        if (match(LINE[i], /, matmul [a-z0-9]+,/)) PRINTED = substr(LINE[i], RSTART + 9, RLENGTH - 10)
    command = "cd '" book "' && build/gpt version 2> /dev/null"
    if (HERE == "") {
        while ((command | getline line) > 0)
            if (match(line, /matmul [a-z0-9]+/)) HERE = substr(line, RSTART + 7, RLENGTH - 7)
        close(command)
    }
    if (status || PRINTED == "" || HERE == "" || HERE == PRINTED) return 0
    return ++OTHERS
}

function amount(text, lines,    i, s, total) { # characters that are not spaces; SKIPS: is something skipped?
    SKIPS = 0
    for (i = 1; i <= lines; i++) {
        s = text[i]
        SKIPS += sub(/\[[.][.][.]\]$/, "", s)
        gsub(/[ \t]/, "", s)
        total += length(s)
    }
    return total + 0
}

function skip(s) { return s == "[...]" }

# Segments of shown lines between skips; the first begins where the output does and the last ends
# where it ends, those between stand anywhere in order.
function compare(i, t, about, status,    s, r, k, size, last) {
    while (SHOWNS && SHOWN[SHOWNS] == "") SHOWNS--
    for (s = r = 1; s <= SHOWNS; ) {
        if (skip(SHOWN[s])) { s++; continue }
        for (size = 0; s + size <= SHOWNS && !skip(SHOWN[s + size]); ) size++
        last = s + size > SHOWNS
        if (s > 1 && last) r = REALS - size + 1 > r ? REALS - size + 1 : r
        else if (s > 1) while (r + size - 1 <= REALS && !same_lines(s, r, size, t, about)) r++
        if (!same_lines(s, r, size, t, about)) {
            if (elsewhere(status)) return
            k = s > 1 && !last ? 0 : DIFFERS # a segment that is nowhere: name its first line
            fault("commands", i + s + k, "shown:  " SHOWN[s + k])
            if (s > 1 && !last) print "    really: nothing like this, or not in this order"
            else print "    really: " (r + k > REALS ? "the output ends before this" : REAL[r + k])
            return
        }
        s += size
        r += size
        if (last && r <= REALS) {
            if (!elsewhere(status)) fault("commands", i + s - 1, "the output goes on: " REAL[r])
            return
        }
    }
}

function same_lines(s, r, n, t, about) {
    for (DIFFERS = 0; DIFFERS < n; DIFFERS++)
        if (r + DIFFERS > REALS || !alike(SHOWN[s + DIFFERS], REAL[r + DIFFERS], t, about)) return 0
    return 1
}

# What depends on the machine goes, and so do the commas in 1,234.
function bare(s) {
    gsub(/[ \t]+/, " ", s)
    sub(/ *#+$/, "", s)
    sub(/^ /, "", s)
    gsub(SPEED " [0-9][0-9.,]*", "@", s)
    gsub("[0-9][0-9.,]* " SPEED, "@", s)
    gsub(/matmul (auto|plain|sse|avx2|avx512)/, "matmul", s)
    while (match(s, /[0-9],[0-9][0-9][0-9]/)) s = substr(s, 1, RSTART) substr(s, RSTART + 2)
    return s
}

function alike(a, b, t, about,    whole_a, x, y, d, m) {
    a = bare(a)
    if (sub(/ ?\[[.][.][.]\]$/, "", a)) { # the rest of the line does not matter
        m = 1
        a = a " "
    }
    b = bare(b) (m ? " " : "")
    while (match(a, /[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?/)) {
        x = take(a)
        a = REST
        whole_a = BEFORE
        if (!match(b, /[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?/)) return 0
        y = take(b)
        b = REST
        if (whole_a != BEFORE) return 0
        if (x "" == y "") continue
        if (!about && x y ~ /^[-0-9]+$/) return 0
        d = x - y
        if (d < 0) d = -d
        x = x < 0 ? -x : x + 0
        if (d > t * (x > 1 ? x : 1) * 1.000001) return 0
    }
    return m ? substr(b, 1, length(a) - 1) == substr(a, 1, length(a) - 1) : a == b
}

# The number that match() found in s, with its sign; BEFORE and REST are what stands around it.
function take(s,    number) {
    number = substr(s, RSTART, RLENGTH)
    BEFORE = substr(s, 1, RSTART - 1)
    REST = substr(s, RSTART + RLENGTH)
    if (BEFORE ~ /(^|[ (=,:\[])[-+]$/) {
        if (BEFORE ~ /-$/) number = "-" number
        BEFORE = substr(BEFORE, 1, length(BEFORE) - 1)
    }
    return number
}

# ---- writing the book again ----

function put(n, s) { NEW[n] = NEW[n] s "\n" }

# The real output, cut where the shown one was cut.
function refresh(n, i,    s, r, k, size, last) {
    if (SHOWNS == 1 && SHOWN[1] == "?") { SHOWNS = 0; for (r = 1; r <= REALS; r++) put(n, REAL[r]); return }
    while (SHOWNS && SHOWN[SHOWNS] == "") SHOWNS--
    for (s = 1; s <= SHOWNS && !skip(SHOWN[s]); ) s++
    if (s > SHOWNS) { # nothing is skipped
        for (r = 1; r <= REALS; r++) put(n, cut(REAL[r], r <= SHOWNS ? SHOWN[r] : ""))
        return
    }
    for (s = r = 1; s <= SHOWNS; ) {
        if (skip(SHOWN[s])) { put(n, SHOWN[s++]); continue }
        for (size = 0; s + size <= SHOWNS && !skip(SHOWN[s + size]); ) size++
        last = s + size > SHOWNS
        if (s > 1 && last) r = REALS - size + 1 > r ? REALS - size + 1 : r
        else if (s > 1) {
            for (k = r; k <= REALS && !same_shape(REAL[k], SHOWN[s]); ) k++
            if (k > REALS) print FILE[i] ":" NUMBER[i] + s ": nothing is like: " SHOWN[s]
            else r = k
        }
        for (k = s + size; s < k; s++) if (r <= REALS) put(n, cut(REAL[r++], SHOWN[s]))
    }
}

function cut(real, shown) {
    if (shown !~ / \[[.][.][.]\]$/ || length(real) <= length(shown)) return real
    return substr(real, 1, length(shown) - 6) " [...]"
}

function same_shape(real, shown,    s) { # of a shown line that is cut, only what is left counts
    s = shape(shown)
    return (shown ~ /\[[.][.][.]\]$/ ? substr(shape(real), 1, length(s)) : shape(real)) == s
}

function shape(s) {
    s = bare(s)
    sub(/ ?\[[.][.][.]\]$/, "", s)
    gsub(/[-+]?[0-9.]+/, "0", s)
    return s
}

function write_book(    i, n, k, j, lines, file, made, f) {
    n = 1
    for (i = 1; i <= LINES; i++) {
        if (!(FILE[i] in made)) made[FILE[i]] = ++f
        file = work "/new-" made[FILE[i]]
        print LINE[i] > file
        while (n <= FENCES && FIRST[n] <= i) n++
        if (n <= FENCES && FIRST[n] == i + 1 && (n in NEW)) {
            k = split(NEW[n], lines, "\n") - 1
            for (j = 1; j <= k; j++) printf "%*s%s\n", (lines[j] == "" ? 0 : INDENT[n]), "", lines[j] > file
            i = LAST[n]
        }
    }
    for (file in made) {
        close(work "/new-" made[file])
        if (system("cmp -s '" work "/new-" made[file] "' '" file "'") != 0) {
            system("cp '" work "/new-" made[file] "' '" file "'")
            print "wrote " file
        }
    }
}

# ---- what is said ----

function count(what) { DONE[what]++ }

function fault(what, i, why) {
    BAD++
    FAULTS[what]++
    print (mode == "check" ? "FAIL " what ": " : "") FILE[i] " line " NUMBER[i] ": " why
    fflush()
}

function finish(    what, n, w, k) {
    n = split("headings fences excerpts examples changes figures links answers commands", w, " ")
    for (k = 1; k <= n; k++) {
        what = w[k]
        if (!FAULTS[what] && DONE[what]) print "ok " what ": " DONE[what]
    }
    if (OTHERS * 10 > DONE["commands"]) {
        print "FAIL commands: " OTHERS " of " DONE["commands"] " outputs differ: too many for rounding alone"
        BAD++
    } else if (OTHERS)
        print "skipped " OTHERS " outputs: other numbers with the kernel " HERE " than with " PRINTED ", the book's"
    if (!DONE["commands"]) print "skipped commands: none was run"
}
