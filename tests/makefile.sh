# makefile.sh: the ways to build that the README promises, in a copy of the repository.
. "$root/tests/lib.sh"
mkdir copy
cp "$root/Makefile" copy
cp "$GPT" copy/gpt.c
cd copy || exit 1
silent_make() { env -u CC -u CFLAGS "$@" > out 2> err; }

check 'cc -O3 -fopenmp gpt.c -lm, as the file says' sh -c \
    "$CC -O3 $OPENMP gpt.c -lm && ./a.out --version && rm a.out"
rm -f out err
for tool in make bmake; do
    if ! has $tool; then skip $tool 'it is not installed'; continue; fi
    rm -rf build
    silent_make $tool
    check "$tool builds build/gpt" test -x build/gpt
    if ls | grep -q -v -e Makefile -e gpt.c -e build -e out -e err
    then FAIL "$tool leaves nothing beside it" "$(ls | tr '\n' ' ')"; else ok "$tool leaves nothing beside it"; fi
    silent_make $tool
    if grep -q 'gpt.c' out; then FAIL "$tool builds it once" 'it built again'; else ok "$tool builds it once"; fi
    finds "$tool says what it found of OpenMP" '^OpenMP: ' out
    silent_make $tool run ARGS=--version
    finds "$tool run" '^gpt [0-9]' out
    silent_make $tool help
    finds "$tool help" 'make test' out
    silent_make $tool CFLAGS=-DREAL=double
    finds "$tool builds again with other flags" 'DREAL=double' out
    silent_make $tool run CFLAGS=-DREAL=double ARGS=--version
    finds "$tool honours CFLAGS" 'double' out
    # compilers without OpenMP, and without even -fopenmp-simd
    for lacks in '-fopenmp' '-fopenmp*'; do
        printf '#!/bin/sh\nfor a; do case $a in %s) echo "no OpenMP here" >&2; exit 1;; esac; done\nexec %s "$@"\n' \
            "$lacks" "$CC" > poor
        chmod +x poor
        silent_make $tool CC=./poor
        finds "$tool, a compiler that refuses $lacks: says so" '^OpenMP: no (.*install' out
        silent_make $tool CC=./poor run ARGS=--version
        finds "$tool, a compiler that refuses $lacks: builds" 'OpenMP no, threads 1,' out
        rm poor
    done
    silent_make $tool clean
    check "$tool clean" test ! -e build
done
