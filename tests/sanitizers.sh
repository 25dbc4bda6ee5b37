# sanitizers.sh: AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer say nothing while the
# program trains, resumes, evaluates and writes, and while the C tests run; valgrind neither.
. "$root/tests/lib.sh"
make_text text.txt 60
printf 'caf\351' > latin1.txt
OMP_NUM_THREADS=2
export OMP_NUM_THREADS

silent() { # NAME STATUS COMMAND...
    name=$1 status=$2
    shift 2
    "$@" > out 2> err
    got=$?
    if [ $got = "$status" ] && ! grep -q -e Sanitizer -e 'runtime error' -e '^==' err out
    then ok "$name"; else FAIL "$name" "exit status $got, should be $status"; fi
}
use() { # PREFIX PROGRAM...: a life of a model
    prefix=$1
    shift
    for kind in '--pos learned --norm pre --act gelu' '--pos sin --norm post --tie no' '--pos rotary' '--pos smeared' '--model mlp'; do
        # shellcheck disable=SC2086
        silent "$prefix: train $kind" 0 "$@" train --data text.txt --out m.safetensors --log log.csv \
            $small $kind --steps 7 --eval-every 3 --stop-at 5
        silent "$prefix: resume $kind" 0 "$@" train --data text.txt --resume m.safetensors.last
        silent "$prefix: eval $kind" 0 "$@" eval m.safetensors --data text.txt --tokens tokens.csv
        silent "$prefix: sample $kind" 0 "$@" sample m.safetensors --prompt 'The cat' --chars 50 \
            --top-k 3 --samples 2 --past-end
    done
    silent "$prefix: sample without the cache" 0 "$@" sample m.safetensors --no-cache --chars 20
    silent "$prefix: info" 0 "$@" info m.safetensors
    silent "$prefix: help" 0 "$@" help train
    silent "$prefix: check" 0 "$@" check --layers 1 --dim 6 --hidden 5 --context 3
    head -c 1000 m.safetensors > cut
    silent "$prefix: a checkpoint that is cut short" 1 "$@" info cut
    silent "$prefix: a text that is not UTF-8" 1 "$@" train --data latin1.txt
    silent "$prefix: an unknown option" 2 "$@" train --colour
}
# what else the program can do, where it can
instruments() {
    prefix=$1
    shift
    # shellcheck disable=SC2086
    "$gpt" train --data text.txt --out g.safetensors $small --steps 20 > out 2> err
    for command in trace attend lens heads; do
        "$gpt" help $command > /dev/null 2>&1 || continue
        prompt='--prompt The'
        [ $command != heads ] || prompt=
        # shellcheck disable=SC2086
        silent "$prefix: $command" 0 "$@" $command g.safetensors $prompt
    done
    if "$gpt" help tune > /dev/null 2>&1; then
        silent "$prefix: tune" 0 "$@" tune g.safetensors --data text.txt --old text.txt --steps 3 --out a.safetensors
        silent "$prefix: sample with an adapter" 0 "$@" sample g.safetensors --adapter a.safetensors --chars 20
    fi
}

echo 'int main(void) { return 0; }' > empty.c
sanitize='-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer'
# shellcheck disable=SC2086
if $CC $sanitize $OPENMP empty.c -o empty 2> /dev/null && ./empty; then
    # libraries that threads come from keep some memory to the end; ours must not
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
    export ASAN_OPTIONS
    ./empty 2> /dev/null || ASAN_OPTIONS=detect_leaks=0
    for real in float double; do
        # shellcheck disable=SC2086
        $CC -O1 $sanitize $OPENMP -DREAL=$real "$GPT" -o gpt-$real -lm || FAIL "sanitizers, $real" 'does not compile'
        use "sanitizers, $real" ./gpt-$real
    done
    instruments 'sanitizers' ./gpt-float
    OMP_NUM_THREADS=1
    ASAN_OPTIONS=detect_leaks=0 # a test that catches die() leaves behind what was not freed yet
    for test in layers model text; do
        # shellcheck disable=SC2086
        $CC -O1 $sanitize $OPENMP -DGPT="\"$GPT\"" "$root/tests/$test.c" -o $test -lm || FAIL "sanitizers: $test.c" 'does not compile'
        silent "sanitizers: $test.c" 0 ./$test
    done
else
    skip sanitizers "$CC has none"
fi

OMP_NUM_THREADS=1
if has valgrind && valgrind -q --error-exitcode=99 "$gpt" --version > /dev/null 2>&1; then
    memcheck() { # NAME OPTIONS...
        name=$1
        shift
        silent "valgrind: $name" 0 valgrind -q --error-exitcode=99 --leak-check=full "$gpt" "$@"
    }
    # shellcheck disable=SC2086
    for way in plain sse auto; do # it doesn't know AVX-512, so auto is AVX2 or less
        "$gpt" check --layers 1 --heads 1 --dim 4 --context 2 --matmul $way > out 2> err
        if grep -q "this CPU or compiler can't" err; then skip "valgrind: train, $way" "this CPU has no $way"; continue; fi
        memcheck "train, $way" train --data text.txt --out v.safetensors $small --steps 3 --eval-every 2 --stop-at 2 --matmul $way
    done
    memcheck resume train --data text.txt --resume v.safetensors.last
    memcheck sample sample v.safetensors --prompt The --chars 30 --past-end
    memcheck attend attend v.safetensors --prompt The
else
    skip valgrind 'it is not installed'
fi
