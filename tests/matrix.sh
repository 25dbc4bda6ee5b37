# matrix.sh: compilers, standards, optimisation, libraries and machines. For each that is installed:
# builds without a warning, runs the C tests, the gradient check, the golden run, and reads a
# checkpoint that this machine wrote. `make matrix`; an argument picks the lines that contain it.
#   apt-get install clang musl-tools libc6-dev-i386 lib32gcc-12-dev qemu-user gcc-mingw-w64-x86-64 \
#       gcc-aarch64-linux-gnu gcc-s390x-linux-gnu gcc-powerpc64-linux-gnu
set -u
cd "$(dirname "$0")/.." || exit 1
root=$(pwd) chosen=${1:-}
work=$root/build/matrix
mkdir -p "$work/here"
OMP_NUM_THREADS=2 bad=0 good=0 absent=0
export OMP_NUM_THREADS root
gpt=$work/gpt-here gpt_double=$gpt
. "$root/tests/lib.sh"
cd "$work/here" || exit 1
# what every machine must reproduce, made here
make_text text.txt 60
cc -O2 -fopenmp-simd "$root/gpt.c" -o "$gpt" -lm || exit 1
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out float.safetensors $small --steps 20 > out 2> err || exit 1
# shellcheck disable=SC2154
"$gpt" eval float.safetensors --data text.txt | tail -n 1 > float.txt

# one line of the table. RUN: what starts the program, for machines that are not this one
try() { # NAME COMPILER RUN FLAGS...
    name=$1 compiler=$2 runner=$3
    shift 3
    case $name in *"$chosen"*) ;; *) return ;; esac
    printf '%-34s' "$name"
    if ! command -v "${compiler%% *}" > /dev/null 2>&1 || { [ "$runner" ] && ! command -v "${runner%% *}" > /dev/null 2>&1; }; then
        echo 'not installed'
        absent=$((absent + 1))
        return
    fi
    problems=
    warnings=$($compiler "$@" -Wall -Wextra -Wpedantic "$root/gpt.c" -o gpt -lm 2>&1)
    case $warnings in *error*) problems="$problems compile" ;; *warning*) problems="$problems warnings" ;; esac
    case $problems in *compile*) ;; *)
        $compiler "$@" -DREAL=double "$root/gpt.c" -o gpt-double -lm > /dev/null 2>&1
        for test in text layers model matmul; do
            [ "$test" = matmul ] && [ "$runner" ] && continue # minutes under an emulator
            $compiler "$@" "$root/tests/$test.c" -o "$test" -lm > said 2>&1 && $runner ./$test > said 2>&1 ||
                problems="$problems $test:$(grep -c FAIL said)"
        done
        $runner ./gpt-double check > said 2>&1 || problems="$problems check"
        $runner ./gpt-double train --data text.txt --layers 2 --heads 2 --dim 16 --hidden 32 --context 16 --batch 4 \
            --pos sin --norm pre --act gelu --tie yes --lr 0.01 --warmup 5 --weight-decay 0.1 --steps 20 \
            --eval-every 10 --seed 3 --out golden > said 2>&1
        golden=$(head -c 4000 golden | tr -d '\000' | sed -n 's/.*"best_loss":"\([^"]*\)".*/\1/p')
        want=$(sed -n 's/.*:-no}" \([0-9.]*\) 1e-12.*/\1/p' "$root/tests/golden.sh")
        awk "BEGIN { d = ${golden:-0} - $want; exit !(d < 1e-12 && d > -1e-12) }" || problems="$problems golden:${golden:-none}"
        rm -f golden golden.last
        $runner ./gpt eval float.safetensors --data text.txt 2>&1 | tail -n 1 > loss
        a=$(awk '{ print $2 }' loss) b=$(awk '{ print $2 }' float.txt)
        awk "BEGIN { d = ${a:-9} - $b; exit !(d < 2e-6 && d > -2e-6) }" || problems="$problems checkpoint:${a:-none}"
        # and what it writes is read here
        # shellcheck disable=SC2086
        $runner ./gpt train --data text.txt --out theirs.safetensors $small --steps 5 > said 2>&1
        "$gpt" sample theirs.safetensors --chars 20 > said 2>&1 || problems="$problems written"
        rm -f theirs.*
        ;;
    esac
    if [ "$problems" ]; then bad=$((bad + 1)); echo "FAIL$problems"; else good=$((good + 1)); echo 'ok'; fi
    rm -f gpt gpt-double text layers model matmul
}

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
try 'musl-gcc -O3' musl-gcc '' -O3 -fopenmp-simd -static
runner= # a kernel may refuse programs of 32 bits
echo 'int main(void) { return 0; }' > empty.c
headers=$(gcc -print-multiarch 2> /dev/null) # where Debian keeps asm/
m32="-m32 -I/usr/include/$headers -fopenmp-simd"
if gcc -m32 empty.c -o empty 2> /dev/null; then
    ./empty 2> /dev/null || runner=qemu-i386
    # shellcheck disable=SC2086
    for std in c11 gnu17; do try "gcc -m32 -O2 -std=$std (x87)" gcc "$runner" -O2 -std=$std $m32; done
    # shellcheck disable=SC2086
    try 'gcc -m32 -O2 -msse2 -mfpmath=sse' gcc "$runner" -O2 -msse2 -mfpmath=sse $m32
else
    echo 'gcc -m32                          not installed'
    absent=$((absent + 1))
fi
try 'aarch64 -O3 -fopenmp' aarch64-linux-gnu-gcc 'qemu-aarch64 -L /usr/aarch64-linux-gnu' -O3 -fopenmp
try 's390x -O2 (big-endian)' s390x-linux-gnu-gcc 'qemu-s390x -L /usr/s390x-linux-gnu' -O2 -fopenmp-simd
try 'powerpc64 -O2 (big-endian)' powerpc64-linux-gnu-gcc 'qemu-ppc64 -L /usr/powerpc64-linux-gnu' -O2 -fopenmp-simd

case mingw in *"$chosen"*)
    printf '%-34s' 'mingw-w64 -O2 (compiles)'
    if command -v x86_64-w64-mingw32-gcc > /dev/null 2>&1; then
        if x86_64-w64-mingw32-gcc -O2 -Wall -Wextra "$root/gpt.c" -o gpt.exe -lm > said 2>&1; then echo ok; good=$((good + 1))
        else echo "FAIL $(grep -m 1 error said)"; bad=$((bad + 1)); fi
    else echo 'not installed'; absent=$((absent + 1)); fi ;;
esac
echo "$good ok, $bad failed, $absent not installed"
[ $bad = 0 ]
