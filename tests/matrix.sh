# matrix.sh: compilers, standards, optimisation, libraries and machines. For each that is installed:
# gpt.c builds without a warning; the C tests (some rows run only the quick ones) and the gradient
# check pass; 20 steps in double end at the golden loss, to 12 digits; a checkpoint that was written
# here is read, gives the same loss, and is written again to the same bytes. `make matrix`; an argument
# picks the rows that contain it (make matrix ARGS=clang), SUITE=no leaves the last ones out.
# The last rows run the whole suite with each of the ways to multiply.
#   apt-get install clang libomp-dev musl-tools libc6-dev-i386 lib32gcc-12-dev qemu-user wine64 \
#       gcc-aarch64-linux-gnu gcc-s390x-linux-gnu gcc-powerpc64-linux-gnu gcc-mingw-w64-x86-64
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd) chosen=${1:-}
work=$root/build/matrix
mkdir -p "$work/here"
OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive LC_ALL=C bad=0 good=0 absent=0
export OMP_NUM_THREADS OMP_WAIT_POLICY LC_ALL root
gpt=$work/gpt-here gpt_double=$gpt
. "$root/tests/lib.sh"
cd "$work/here" || exit 1
# what every machine must reproduce, made here
make_text text.txt 60
cc -O2 -fopenmp-simd "$root/gpt.c" -o "$gpt" -lm || exit 1
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out float.safetensors $small --steps 20 --eval-every 5 --stop-at 10 > out 2> err ||
    [ -s float.safetensors.last ] || exit 1
# shellcheck disable=SC2154
"$gpt" eval float.safetensors --data text.txt | sed -n 's/^loss \([0-9.]*\) .*/\1/p' > float.txt
want=$(sed -n 's/^golden=//p' "$root/tests/golden.sh")
options=$(sed -n 's/^options="\(.*\)"$/\1/p; s/^more="\(.*\)"$/\1/p' "$root/tests/golden.sh")
[ "$want" ] && [ "$options" ] || { echo 'FAIL: the golden run is no longer where it was in golden.sh'; exit 1; }

row() { printf '%-35s%-8s%-10s%-7s%-10s%-6s%-6s%s\n' "$@"; } # NAME WARNINGS TESTS CHECK GOLDEN READS WRITES
here() { [ ! "$1" ] || command -v "${1%% *}" > /dev/null 2>&1; }
none() { row "$1" 'not installed' '' '' '' '' ''; absent=$((absent + 1)); }

# one row of the table. RUN: what starts the program, for machines that are not this one
try() { # NAME COMPILER RUN FLAGS...
    name=$1 compiler=$2 runner=$3
    shift 3
    exe=
    [ "$runner" != wine ] || exe=.exe
    case $name in *"$chosen"*) ;; *) return ;; esac
    if ! here "$compiler" || ! here "$runner"; then none "$name"; return; fi
    rm -f gpt gpt-double said golden golden.last theirs.*
    if ! $compiler "$@" -Wall -Wextra -Wpedantic "$root/gpt.c" -o gpt$exe -lm 2> said; then
        row "$name" 'FAIL does not compile' "$(grep -m 1 error said)" '' '' '' ''
        bad=$((bad + 1))
        return
    fi
    warnings=$(grep -c warning: said) problems=$warnings tests='' check=ok reads=ok writes=ok
    $compiler "$@" -DREAL=double "$root/gpt.c" -o gpt-double$exe -lm 2> said
    for test in text layers model matmul; do
        # matmul and model take minutes under an emulator; the second standard changes nothing in them
        case $name:$runner:$test in *gnu17*:*:[lm]* | *:?*:m*) continue ;; esac
        # gcc 12 for ARM crashes ("internal compiler error") on a test at -O3
        $compiler "$@" "$root/tests/$test.c" -o $test$exe -lm > said 2>&1 || ! grep -q 'internal compiler error' said ||
            $compiler "$@" -O1 "$root/tests/$test.c" -o $test$exe -lm > said 2>&1
        if [ -x $test$exe ] && $runner ./$test$exe > said 2>&1
        then tests=$(echo $((${tests:-0} + $(grep -c '^ok' said))))
        else tests=FAIL:$test problems=$((problems + 1)); cp said "$work/said-$test"; break; fi
    done
    $runner ./gpt-double$exe check > said 2>&1 || { check=FAIL problems=$((problems + 1)); }
    # shellcheck disable=SC2086
    $runner ./gpt-double$exe train --data text.txt $options --out golden > said 2>&1
    golden=$(head -c 4000 golden 2> /dev/null | tr -d '\000' | sed -n 's/.*"best_loss":"\([^"]*\)".*/\1/p')
    golden=$(awk "BEGIN { d = ${golden:-9} - $want; if (d < 0) d = -d; printf \"%.0e\", d; exit !(d < 1e-12) }") ||
        { problems=$((problems + 1)); golden=FAIL:$golden; }
    a=$($runner ./gpt$exe eval float.safetensors --data text.txt 2>&1 | tr -d '\r' | sed -n 's/^loss \([0-9.]*\) .*/\1/p')
    awk "BEGIN { d = ${a:-9} - $(cat float.txt); exit !(d < 2e-6 && d > -2e-6) }" || { reads=FAIL problems=$((problems + 1)); }
    # stopped where it is at once, a training writes what it has read
    cp float.safetensors theirs.safetensors # without it the resumed run has no best loss
    cp float.safetensors.last theirs.safetensors.last
    $runner ./gpt$exe train --data text.txt --resume theirs.safetensors.last --stop-at 10 > said 2>&1
    cmp -s float.safetensors.last theirs.safetensors.last && grep -q 'stopped at step 10' said ||
        { writes=FAIL problems=$((problems + 1)); }
    # and what it learns itself is read here
    # shellcheck disable=SC2086
    $runner ./gpt$exe train --data text.txt --out theirs.safetensors $small --steps 5 > said 2>&1
    "$gpt" sample theirs.safetensors --chars 20 > said 2>&1 || { writes=FAIL problems=$((problems + 1)); }
    # in 32 bits so many numbers would count as a few; elsewhere a limit keeps the machine from trying
    case $name in
    *-m32*) $runner ./gpt$exe train --data text.txt --layers 4 --dim 16384 --hidden 65536 > said 2>&1 ;;
    gcc*) (ulimit -v 4000000; exec ./gpt$exe train --data text.txt --layers 4 --dim 16384 --hidden 65536) > said 2>&1 ;;
    *) echo 'out of memory' > said; (exit 1) ;;
    esac
    [ $? = 1 ] && grep -q 'out of memory' said || { check=FAIL:size problems=$((problems + 1)); }
    row "$name" "$warnings" "$tests" "$check" "$golden" "$reads" "$writes"
    if [ "$problems" = 0 ]; then good=$((good + 1)); else bad=$((bad + 1)); fi
    for test in gpt gpt-double text layers model matmul; do rm -f $test $test.exe; done
}

row 'compiler, flags, machine' warn. 'C tests' check golden reads writes
for compiler in gcc clang; do
    for std in c11 gnu17; do
        for level in -O0 -O2 -O3; do
            try "$compiler -std=$std $level -fopenmp" $compiler '' -std=$std $level -fopenmp
            try "$compiler -std=$std $level" $compiler '' -std=$std $level
        done
    done
done
try 'gcc -O3 -fopenmp-simd' gcc '' -O3 -fopenmp-simd
try 'gcc -O3 -march=native -fopenmp' gcc '' -O3 -march=native -fopenmp
try 'musl-gcc -O3 -static' musl-gcc '' -O3 -fopenmp-simd -static
runner= # a kernel may refuse programs of 32 bits
echo 'int main(void) { return 0; }' > empty.c
headers=$(gcc -print-multiarch 2> /dev/null) # where Debian keeps asm/
m32="-m32 -I/usr/include/$headers -fopenmp-simd"
if gcc -m32 empty.c -o empty 2> /dev/null; then
    ./empty 2> /dev/null || runner=qemu-i386
    # x87 computes in 80 bits; by the letter of C11 a float is then no operand for a vector
    for std in 'c11 -fexcess-precision=fast' gnu17; do
        # shellcheck disable=SC2086
        try "gcc -m32 -O2 -std=${std%% *} (x87)" gcc "$runner" -O2 -std=$std $m32
    done
    # shellcheck disable=SC2086
    try 'gcc -m32 -O2 -msse2 -mfpmath=sse' gcc "$runner" -O2 -msse2 -mfpmath=sse $m32
else none 'gcc -m32'; fi
try 'aarch64 -O3 -fopenmp' aarch64-linux-gnu-gcc 'qemu-aarch64 -L /usr/aarch64-linux-gnu' -O3 -fopenmp
try 's390x -O2 (big-endian)' s390x-linux-gnu-gcc 'qemu-s390x -L /usr/s390x-linux-gnu' -O2 -fopenmp-simd
try 'powerpc64 -O2 (big-endian)' powerpc64-linux-gnu-gcc 'qemu-ppc64 -L /usr/powerpc64-linux-gnu' -O2 -fopenmp-simd

name='mingw-w64 -O2'
case $name in *"$chosen"*)
    if here x86_64-w64-mingw32-gcc; then
        if ! here wine; then
            if x86_64-w64-mingw32-gcc -O2 -Wall -Wextra "$root/gpt.c" -o gpt.exe -lm 2> said
            then row "$name" "$(grep -c warning: said)" 'compiles; wine is not installed' '' '' '' ''; good=$((good + 1))
            else row "$name" 'FAIL does not compile' "$(grep -m 1 error said)" '' '' '' ''; bad=$((bad + 1)); fi
        else
            WINEDEBUG=-all WINEPREFIX=$work/wine
            export WINEDEBUG WINEPREFIX
            try "$name (under wine)" x86_64-w64-mingw32-gcc wine -O2 -fopenmp-simd -static
        fi
    else none "$name"; fi ;;
esac

# the whole suite, in a copy of gpt.c that knows no better way to multiply than this one
if [ "${SUITE:-yes}" = yes ]; then
    for best in PLAIN SSE AVX2 AVX512; do
        name="the whole suite, at most $best"
        case $name in *"$chosen"*) ;; *) continue ;; esac
        sed "s/^static Path best_path(void) {/&\n    if (1) return $best;/" "$root/gpt.c" > "$work/gpt-$best.c"
        if cmp -s "$root/gpt.c" "$work/gpt-$best.c"; then echo "FAIL $name: best_path() is no longer where it was"; bad=$((bad + 1)); continue; fi
        if ! "$gpt" info float.safetensors --matmul "$(echo $best | tr A-Z a-z)" > said 2>&1; then none "$name"; continue; fi
        said=$(cd "$root" && GPT=$work/gpt-$best.c TEST_DIR=$work/suite ./test.sh 2>&1 | tee "$work/said-$best" | tail -n 1)
        printf '%-35s%s\n' "$name" "$said"
        case $said in *' 0 failed'*) good=$((good + 1)) ;; *) bad=$((bad + 1)); grep FAIL "$work/said-$best" ;; esac
    done
fi
echo "$good ok, $bad failed, $absent not installed"
[ $bad = 0 ]
