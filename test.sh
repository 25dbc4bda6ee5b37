#!/bin/sh
# ./test.sh               builds and runs every test; the last line counts them
# ./test.sh NAME ...      those whose name contains NAME; ./test.sh --list shows the names
# GPT=FILE.c ./test.sh    tests another file in place of gpt.c
# GPT=FILE.c ./test.sh lab N    grades lab N, see tests/lab.sh
#
# A C compiler and make are enough; what needs more (clang, python3, valgrind, PyTorch ...) is
# skipped and says so. CC, CFLAGS and JOBS (how many at a time) are honoured. A test prints lines
# `ok what`, `FAIL what: why` or `skipped what: why`; one that prints none counts by its exit
# status, 77 for skipped. Everything happens in build/test, or in the folder that TEST_DIR names.
set -u
cd "$(dirname "$0")" || exit 1
root=$(pwd)
case ${GPT:=gpt.c} in /*) ;; *) GPT=$root/$GPT ;; esac
work=${TEST_DIR:-build/test}
mkdir -p "$work" || exit 1
work=$(cd "$work" && pwd)
: "${CC:=cc}" "${CFLAGS:=}" "${MAKE:=make}"
if [ "${JOBS:-}" = '' ]; then
    JOBS=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
    [ "$JOBS" -gt 2 ] && JOBS=2
fi
OMP_WAIT_POLICY=passive # threads that wait leave the processor to the other test
LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL OMP_NUM_THREADS 2>/dev/null
export root GPT CC CFLAGS MAKE LC_ALL OMP_WAIT_POLICY
[ -f "$GPT" ] || { echo "there is no $GPT"; exit 2; }

# one run at a time in one folder
if [ "${1:-}" != --list ]; then
    if kill -0 "$(cat "$work/pid" 2>/dev/null)" 2>/dev/null; then
        echo "another run is at work in $work; wait, or give this one a TEST_DIR of its own"
        exit 2
    fi
    echo $$ > "$work/pid"
    trap 'rm -f "$work/pid"' EXIT
fi

passed=0 failed=0 skipped=0 queue='' pids='' names='' chosen=$*
trap 'kill $pids 2>/dev/null; exit 130' INT TERM

# newer PROGRAM SOURCE...: is the program newer than all of these?
newer() {
    [ -x "$1" ] && program=$1 && shift &&
        [ -z "$(find "$@" -newer "$program" 2>/dev/null)" ]
}

# build PROGRAM SOURCE FLAGS...: compiles unless it is there already
build() {
    out=$1 source=$2
    shift 2
    newer "$out" "$GPT" "$source" "$root/tests/test.h" "$work/flags" && return
    # shellcheck disable=SC2086
    $CC -O3 $CFLAGS $OPENMP -DGPT="\"$GPT\"" "$@" "$source" -o "$out" -lm
}
build_program() { # the program itself
    newer "$1" "$GPT" "$work/flags" && return
    # shellcheck disable=SC2086
    $CC -O3 $CFLAGS $OPENMP -D"REAL=$2" "$GPT" -o "$1" -lm
}

# Prints what the first test of the queue said, and counts.
finish() {
    name=${queue%% *}
    pid=${pids%% *}
    queue=${queue#* } pids=${pids#* }
    wait "$pid" 2>/dev/null
    status=$(cat "$work/$name.status" 2>/dev/null || echo 'no')
    lines=$(grep -c -e '^ok ' -e '^FAIL ' -e '^skipped ' "$work/$name.txt")
    bad=$(grep -c '^FAIL ' "$work/$name.txt")
    if [ "$lines" = 0 ] && [ "$status" = 77 ]; then
        echo "skipped $name: $(sed 's/^skipped: //' "$work/$name.txt")"
        skipped=$((skipped + 1))
        return
    elif [ "$lines" = 0 ] && [ "$status" = 0 ]; then
        echo "ok $name"
        passed=$((passed + 1))
        return
    fi
    # a test that says nothing more after some lines has not passed
    if [ "$status" != 0 ] && [ "$status" != 77 ] && [ "$bad" = 0 ]; then
        sed -n '/^ok /!p' "$work/$name.txt" | tail -n 15 | sed 's/^/    /' > "$work/$name.new"
        { echo "FAIL ended with status $status"; cat "$work/$name.new"; } >> "$work/$name.txt"
        rm -f "$work/$name.new"
    fi
    sed -n -e "s/^ok /ok $name: /p" -e "s/^FAIL /FAIL $name: /p" \
        -e "s/^skipped /skipped $name: /p" -e '/^    /p' "$work/$name.txt"
    passed=$((passed + $(grep -c '^ok ' "$work/$name.txt")))
    failed=$((failed + $(grep -c '^FAIL ' "$work/$name.txt")))
    skipped=$((skipped + $(grep -c '^skipped ' "$work/$name.txt")))
}

is_chosen() { # NAME
    [ "$chosen" ] || return 0
    for word in $chosen; do case $1 in *"$word"*) return 0 ;; esac; done
    return 1
}

# run NAME COMMAND...: in a folder of its own, JOBS at a time; results appear in order
run() {
    name=$1
    shift
    names="$names $name"
    is_chosen "$name" || return
    rm -rf "${work:?}/$name" "$work/$name.status"
    mkdir -p "$work/$name"
    (
        cd "$work/$name" || exit 1
        "$@"
        echo $? > "$work/$name.status"
    ) > "$work/$name.txt" 2>&1 &
    pids="$pids$! " queue="$queue$name "
    set -- $pids
    while [ $# -ge "$JOBS" ]; do
        finish
        set -- $pids
    done
}

# c NAME SOURCE [THREADS [FLAGS...]]: a C test
c() {
    c_name=$1 c_source=$root/tests/$2.c c_threads=${3:-1}
    shift; shift; shift
    run "$c_name" c_test "$work/$c_name.bin" "$c_source" "$c_threads" "$@"
}
c_test() {
    program=$1 source=$2 OMP_NUM_THREADS=$3
    shift; shift; shift
    export OMP_NUM_THREADS
    build "$program" "$source" "$@" && "$program"
}
# script NAME: a test in sh, which finds the programs in $gpt and $gpt_double
script() {
    if is_chosen "$1" && ! { build_program "$gpt" float && build_program "$gpt_double" double; }; then
        echo "FAIL build: $GPT does not compile"
        echo "$passed passed, $((failed + 1)) failed, $skipped skipped"
        exit 1
    fi
    run "$1" sh "$root/tests/$1.sh"
}

all() {
    c matmul matmul 2
    c matmul-double matmul 1 -DREAL=double
    c layers layers 2
    c layers-double layers 1 -DREAL=double
    c model model 1
    c model-double model 1 -DREAL=double
    c text text 1
    script gradients
    script golden
    script same
    script commands
    script errors
    script signals
    script warnings
    script sanitizers
    script makefile
    script reader
    script parity
    script interchange
    script hostile
    script faults
    for other in inside fetch draw stories tutorial tutorial-sample labs; do
        if [ -f "tests/$other.c" ]; then
            c "$other-c" $other 1
            c "$other-double" $other 1 -DREAL=double
        fi
        if [ -f "tests/$other.sh" ]; then script $other; fi
    done
}

if [ "$chosen" = --list ]; then
    run() { echo "$1"; }
    script() { echo "$1"; }
    all
    exit 0
fi
if [ "${1:-}" = lab ] && [ -f tests/lab.sh ]; then
    shift
    exec sh tests/lab.sh "$@"
fi

"$MAKE" -s build/flags CC="$CC" CFLAGS="$CFLAGS" || exit 1
OPENMP=$(cat build/openmp)
{ cat build/flags; echo "$GPT"; } > "$work/flags.now"
cmp -s "$work/flags.now" "$work/flags" || cp "$work/flags.now" "$work/flags"
gpt=$work/gpt gpt_double=$work/gpt-double
export OPENMP gpt gpt_double
all
while [ "$queue" ]; do finish; done
if [ $((passed + failed + skipped)) = 0 ]; then
    echo "no test has $chosen in its name; there are:$names"
    exit 2
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
