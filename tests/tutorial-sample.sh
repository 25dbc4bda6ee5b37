#!/bin/sh
# Does tutorial.sh notice? A small book of a small gpt.c must pass, and with each of these faults it must not.
. "$root/tests/lib.sh"
repo=$root
root=$PWD/repo
mkdir repo repo/tests repo/figures
cp "$repo/tests/tutorial.sh" "$repo/tests/tutorial.awk" repo/tests/
cat > repo/gpt.c <<'END'
// 0. Preface
//
// What it is.
#include <stdio.h>

// 1. Sums
static int add(int a, int b) {
    return a + b;
}

static int twice(int a) {
    return add(a, a);
}

// 2. The end
int main(void) {
    printf("%d\n", twice(21));
}
END
printf 'all:\n\t@mkdir -p build; $(CC) gpt.c -o build/gpt\n' > repo/Makefile
echo "<svg><title>T</title><desc>D</desc><path d='M0 0'/></svg>" > repo/figures/a.svg
echo "<svg><title>T</title><desc>D</desc><g></svg>" > repo/figures/open.svg
echo "<svg><title>T</title></svg>" > repo/figures/mute.svg
cat > good.md <<'END'
# A book

## 0. Preface

Look at [the end](#2-the-end), at [the program](gpt.c)[^1] and at ![a line](figures/a.svg).
```console
$ make
$ build/gpt
42
$ seq() { i=$1; while [ $i -le $2 ]; do echo line $i of 1,000; i=$((i + 1)); done; }; seq 1 9
line 1 of 1,000
[...]
line 5 of 1,000
[...]
line 9 [...]
$ printf 'one\ntwo three four five\nsix\n'
[...]
two [...]
[...]
```

[^1]: A note.

### Check yourself
**Question 0.a** Why?
### Exercises
### If it goes wrong

## 1. Sums
<!-- tolerance 0.1 -->

```c
static int add(int a, int b) {
    return a + b;
}
```

- In a list:

  ```c
      return add(a, a);
  ```

<!-- sample -->
```console
$ echo 'some text that nobody can foresee'
the text that was seen at one time
```
```console
$ cat > made.txt <<STOP
> -0.512 tokens/s 123 ###
> STOP
$ cat \
  made.txt
-0.43 tokens/s 99000 #
```
<!-- about -->
```console
$ echo '105 of 512 are zero'
100 of 512 are zero
```
<!-- slow -->
```console
$ echo slow > slow.txt; cat slow.txt
slow
```

### Check yourself
### Exercises
**Exercise 1.1** Change it:
```diff minus.c
 static int add(int a, int b) {
-    return a + b;
+    return a + b + 1;
```
```c example
static int thrice(int a) { return add(a, twice(a)); }
```
```console
$ cc minus.c -o build/minus
$ build/minus
43
```
### If it goes wrong

## 2. The end
Look at `[nothing](nowhere)`.
### Check yourself
### Exercises
### If it goes wrong

## Answers
**0.a** So.

**1.1** It adds one:
```console
$ echo 2.5
2.51
```
END
sed -i.bak "s/^\$ cc /\$ ${CC%% *} /" good.md

book() { # book FILE [MODE]: as a whole book
    cp "$1" repo/tutorial.md
    (unset TUTORIAL; GPT=$root/gpt.c root=$root sh repo/tests/tutorial.sh "${2:-check}") > out 2>&1
}
if book good.md && ! grep -q FAIL out; then ok 'a good book passes'
else FAIL 'a good book passes' "$(grep FAIL out)"; fi

# notices NAME CHECK FROM TO: the book where FROM, anywhere in a line, became TO (an awk string) fails there
notices() {
    awk -v from="$3" -v to="$4" '{ at = index($0, from)
        if (at && !done++) $0 = substr($0, 1, at - 1) to substr($0, at + length(from))
        print } END { exit !done }' good.md > bad.md || FAIL "$1" "no '$3' in the sample"
    STATIC=1 # no command need run to see the other faults
    if [ "$2" = commands ]; then STATIC=''; fi
    export STATIC
    if book bad.md; then FAIL "$1" 'the check is content'
    elif grep -q "^FAIL $2: " out; then ok "notices $1"
    else FAIL "$1" "expected FAIL $2, got: $(grep FAIL out)"; fi
}
notices 'another title' headings '## 1. Sums' '## 1. Summs'
notices 'a missing chapter' headings '## 2. The end' '## Appendix'
notices 'chapters in disorder' headings '## 0. Preface' '## 2. The end'
notices 'a chapter after the appendix' headings '# A book' '## Glossary'
notices 'a chapter without exercises' headings '### Exercises' '### More'
notices 'a changed excerpt' excerpts 'return a + b;' 'return b + a;'
notices 'an excerpt with a line left out' excerpts 'static int add(int a, int b) {' 'static int twice(int a) {'
notices 'an excerpt of another section' excerpts '    return add(a, a);' '    printf("%d\\n", twice(21));'
notices 'an excerpt with other indentation' excerpts '      return add' '    return add'
notices 'a fence without a language' fences '```c example' '```'
notices 'a fence that is not closed' fences '2.51' '2.51\n```\n````text'
notices 'an unknown mark' fences '<!-- slow -->' '<!-- slowly -->'
notices 'an example that does not compile' examples 'twice(a))' 'twice(b))'
notices 'a change of a line that is not there' changes '-    return a + b;' '-    return a - b;'
notices 'a change that could be meant twice' changes ' static int add(int a, int b) {' '-}\n+}\n@@'
notices 'a change that does not compile' changes '+    return a + b + 1;' '+    return a + b + c;'
notices 'what a change does' commands '+    return a + b + 1;' '+    return a + b + 2;'
notices 'a command that fails' commands '$ make' '$ make nothing'
notices 'another integer' commands '42' '43'
notices 'another integer after commas' commands 'line 1 of 1,000' 'line 1 of 1,001'
notices 'another word' commands 'line 5 of' 'lime 5 of'
notices 'a number beyond the tolerance' commands '-0.43' '-0.38'
notices 'another sign' commands '-0.43' '0.43'
notices 'a tolerance that is too narrow' commands 'tolerance 0.1' 'tolerance 0.01'
notices 'an integer beyond the tolerance' commands '100 of' '90 of'
notices 'output that goes on' commands 'line 9 [...]' 'line 8 of 1,000'
notices 'output that ends too early' commands '2.51' '2.51\n2.51'
notices 'lines in another order' commands 'line 5 of 1,000' 'line 5 of 1,000\n[...]\nline 4 of 1,000'
notices 'nothing shown yet' commands '2.51' '?'
notices 'too little sampled text' commands 'the text that was' 'the longest text that was ever there, and longer still'
notices 'a fence without a command' commands '$ echo 2.5' '2.5'
notices 'a picture that is missing' figures 'figures/a.svg' 'figures/b.svg'
notices 'a picture that is not well-formed' figures 'figures/a.svg' 'figures/open.svg'
notices 'a picture without desc' figures 'figures/a.svg' 'figures/mute.svg'
notices 'a picture without words' figures '![a line]' '![]'
notices 'a link to no heading' links '#2-the-end' '#2-the-beginning'
notices 'a link to no file' links '(gpt.c)' '(gpt.h)'
notices 'a footnote without text' links '[^1]:' '[1]:'
notices 'a footnote that nothing leads to' links 'gpt.c)[^1]' 'gpt.c)'
notices 'a line number' links 'Look at' 'In line 7 of `gpt.c`: look at'
notices 'an exercise without answer' answers '**1.1**' '1.1'
notices 'an answer without exercise' answers '**0.a** So' '**0.b** So'
notices 'two answers' answers '**0.a** So' '**0.a** So\n\n**0.a** or so'
notices 'an exercise that is numbered wrongly' answers '**Exercise 1.1**' '**Exercise 1.2**'
notices 'an exercise of another chapter' answers '**Exercise 1.1**' '**Exercise 2.1**'

unset STATIC

# slow fences run when asked, and what needs them fails until then
sed 's/^\$ echo 2.5/$ cat slow.txt/; s/^2\.51/slow/' good.md > late.md
if book late.md; then FAIL 'slow is slow' 'it ran'; else ok 'a slow fence waits'; fi
SLOW=1
export SLOW
if book late.md; then ok 'SLOW=1 runs it'; else FAIL 'SLOW=1 runs it' "$(grep FAIL out)"; fi
unset SLOW

# the two that write: stale outputs and excerpts become those of good.md, and nothing else changes
book good.md output
cp repo/tutorial.md fresh.md # exact numbers in place of those within the tolerance
if grep -qx 'two \[\.\.\.\]' fresh.md; then ok 'a line that is cut is found'; else FAIL 'a line that is cut is found' "$(cat out)"; fi
sed -e 's/^42$/41/' -e 's/^line 1 of.*/line 7 of 2,000/' -e 's/^line 9 /line 8 /' -e 's/^43$/?/' \
    -e 's/^-0.512 tok.*/0.1/' fresh.md > stale.md
book stale.md output
same 'outputs are written anew' fresh.md repo/tutorial.md
if book repo/tutorial.md 2> /dev/null; then ok 'and pass'; else FAIL 'and pass' "$(grep FAIL out)"; fi
sed 's/^    return a + b;/    return b;/' good.md > stale.md
book stale.md excerpts
same 'excerpts are written anew' good.md repo/tutorial.md
rm repo/tutorial.md
GPT=$root/gpt.c sh repo/tests/tutorial.sh > out 2>&1
if [ $? = 77 ]; then ok 'no book, no check'; else FAIL 'no book, no check' "$(cat out)"; fi
exit $bad
