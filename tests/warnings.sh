# warnings.sh: not one, from any compiler that is here, in any standard, with and without OpenMP.
. "$root/tests/lib.sh"
quiet() { # NAME COMPILER FLAGS...
    name=$1
    shift
    if "$@" -Wall -Wextra -Wpedantic -c "$GPT" -o warnings.o > out 2> err; then
        if [ -s err ]; then FAIL "$name" "$(grep -c warning: err) warnings"; else ok "$name"; fi
    else FAIL "$name" 'does not compile'; fi
}
for compiler in gcc clang; do
    if ! has $compiler; then skip "$compiler" 'it is not installed'; continue; fi
    echo 'int main(void) { return 0; }' > empty.c
    openmp=
    $compiler -fopenmp empty.c -o empty 2> /dev/null && openmp=-fopenmp
    [ "$openmp" ] || skip "$compiler -fopenmp" 'it has no OpenMP library'
    for std in c11 gnu17; do
        for flags in $openmp ''; do
            # shellcheck disable=SC2086
            quiet "$compiler -O3 -std=$std $flags" $compiler -O3 -std=$std $flags
        done
    done
    # shellcheck disable=SC2086
    quiet "$compiler -O1 $openmp -DREAL=double" $compiler -O1 $openmp -DREAL=double
    quiet "$compiler -O2 -fopenmp-simd" $compiler -O2 -fopenmp-simd
done
