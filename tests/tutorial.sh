#!/bin/sh
# Checks tutorial.md against gpt.c and against what its commands print.
#
#     ./test.sh tutorial             as a test; SLOW=1 runs the slow fences too, STATIC=1 runs no command
#     sh tests/tutorial.sh output    runs everything and writes what came out into the fences (make tutorial-output)
#     sh tests/tutorial.sh excerpts  writes into the c fences what gpt.c has now (make tutorial-excerpts)
#     TUTORIAL="/x/a.md /x/b.md"     other files, as one book; then chapters may be missing
#
# What the book must keep to:
# - `## N. Title` for every banner `// N. Title` of gpt.c, in its order; then appendices without a number. A
#   chapter has `### Check yourself`, `### Exercises` and `### If it goes wrong`.
# - A fence names its language. c: contiguous lines of gpt.c from the section of the chapter's number (any in an
#   appendix). c example: code that compiles behind gpt.c. diff: a change to lines that stand once in that section,
#   pieces separated by @@; the result compiles, and diff NAME.c leaves it in the folder as NAME.c. console:
#   below. text, python, csv: anything.
# - console: lines that begin with `$ ` are run in order in a fresh copy of the repository; \ at the end goes on, and
#   so do lines `> ` after a command. A command with nothing under it must succeed. Otherwise it prints what is
#   shown: text and integers are equal, other numbers differ by t max(1, |shown|) at most, and speeds, times,
#   threads, memory, the name of the kernel and bars of # are not looked at. `[...]` stands for lines, or for the
#   rest of its line. `?` alone asks `output` for everything.
#   Where another kernel multiplies than the book's (no AVX-512), other outputs are counted instead; if more than
#   one in ten differ, it isn't the rounding, and that is a fault.
# - t stands below the heading, <!-- tolerance 0.05 -->, or before a fence; 0.02 if nowhere. Other comments before
#   a fence: <!-- sample --> compares only how much there is, <!-- about --> lets integers differ by t too,
#   <!-- slow --> keeps the fence for make tutorial-slow.
# - **Exercise N.1** and **Question N.a**, numbered without gaps, have answers **N.1** and **N.a** under ## Answers.
# - Pictures exist, are well-formed and carry title and desc; links to headings and files lead somewhere.
set -u
cd "$(dirname "$0")/.." || exit 1
here=$(pwd)
: "${root:=$here}" "${GPT:=$root/gpt.c}" "${CC:=cc}" "${TUTORIAL:=}" "${SLOW:=}" "${STATIC:=}" "${MAKE:=make}"
mode=${1:-check} whole=1
LC_ALL=C
OMP_WAIT_POLICY=passive
unset MAKEFLAGS MFLAGS MAKELEVEL 2> /dev/null
export LC_ALL OMP_WAIT_POLICY CC
if [ -n "$TUTORIAL" ]; then whole=0; else TUTORIAL=$root/tutorial.md; fi
for file in $TUTORIAL; do
    if [ ! -f "$file" ]; then
        echo "skipped tutorial: there is no $file"
        exit 77
    fi
done
case $mode in check) ;; output) SLOW=1 ;; excerpts) STATIC=1 ;; *) echo "no mode $mode"; exit 2 ;; esac

# A folder of our own, with the copy in which the commands run.
work=$(mktemp -d "${TMPDIR:-/tmp}/tutorial.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
book=''
if [ -z "$STATIC" ]; then
    book=$work/book
    mkdir "$book"
    for name in gpt.c Makefile README.md LICENSE test.sh tutorial.md tests data figures; do
        if [ -e "$root/$name" ]; then cp -R "$root/$name" "$book/"; fi
    done
    cp "$GPT" "$book/gpt.c"
fi
xmllint=$(command -v xmllint)
# a command that hangs must not hang the test
limit=''
if timeout 5 true 2> /dev/null; then limit='timeout 1200'; fi
# shellcheck disable=SC2086
awk -v mode="$mode" -v whole=$whole -v source="$GPT" -v root="$root" -v work="$work" -v book="$book" \
    -v slow="$SLOW" -v xmllint="$xmllint" -v limit="$limit" -v cc="$CC" \
    -f "$here/tests/tutorial.awk" $TUTORIAL
