# make              builds build/gpt
# make run          builds it and runs the demo, about a minute
# make test         every test, about five minutes; ./test.sh NAME runs one
# make bench        how fast it is here; make bench ARGS="--layers 6 --dim 384"
# make stories      the default corpus again, from its grammar, to build/stories.txt
# make tinystories  downloads a larger corpus
# make figures      the pictures in figures/, drawn again from fixed seeds; about a quarter of an hour
# make ablation     what each head of MODEL is worth; make induction, scaling, cache, cost: see tests/
# make mutants      breaks gpt.c in dozens of ways and looks whether a test notices
# make tutorial-output    runs every command of tutorial.md and writes what came out; tutorial-excerpts: its
#                   code from gpt.c; make tutorial-slow: checks the commands that take long, too
# make matrix       compilers, standards, machines; make fuzz, make faults: hostile files, bad luck
# make lab          build/lab/gpt.c: gpt.c without the functions that you write
# make grade        grades the labs of a class: make grade DIR=submissions
# make clean        removes build/, all but build/lab
#
# CC and CFLAGS are honoured, after -O3: make CC=clang CFLAGS="-O2 -g". OpenMP is found by linking a small
# program; without it everything works, with one thread.

CC ?= cc
LDLIBS = -lm
ARGS =
FLAGS = `cat build/openmp`

all: build/gpt

help:
	@sed -n 's/^# //p' Makefile

run: build/gpt
	build/gpt $(ARGS)

build/gpt: gpt.c build/flags
	$(CC) -O3 $(CFLAGS) $(FLAGS) gpt.c -o $@ $(LDLIBS)

build/bench: tests/bench.c gpt.c build/flags
	$(CC) -O3 $(CFLAGS) $(FLAGS) tests/bench.c -o $@ $(LDLIBS)

build/ngram: tests/ngram.c gpt.c build/flags
	$(CC) -O3 $(CFLAGS) $(FLAGS) tests/ngram.c -o $@ $(LDLIBS)

build/byhand: tests/byhand.c gpt.c build/flags
	$(CC) -O1 $(CFLAGS) $(FLAGS) tests/byhand.c -o $@ $(LDLIBS)

build/stories: data/stories.c build/flags
	$(CC) -O3 $(CFLAGS) data/stories.c -o $@ $(LDLIBS)

# The flags for OpenMP, kept in build/openmp, and what they were found with, in build/flags, which
# changes only when they do: so another compiler or other flags build everything again.
build/flags: always
	@mkdir -p build
	@printf '#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n' \
	    > build/probe.c; \
	try() { $(CC) -O3 $(CFLAGS) "$$@" build/probe.c -o build/probe 2> build/probe.txt; }; \
	brew=`brew --prefix libomp 2> /dev/null || echo /opt/homebrew/opt/libomp`; \
	mac="-Xclang -fopenmp -I$$brew/include -L$$brew/lib -lomp"; \
	if try -fopenmp; then flags=-fopenmp; \
	elif [ "`uname`" = Darwin ] && try $$mac; then flags=$$mac; \
	elif printf 'int main(void) { return 0; }\n' > build/probe.c && try -fopenmp-simd; \
	then flags=-fopenmp-simd; else flags=; fi; \
	case $$flags in \
	-fopenmp-simd | '') \
	    case `uname` in Darwin) get='brew install libomp';; \
	    *) get='install gcc, or libomp-dev for clang';; esac; \
	    echo "OpenMP: no ($(CC) cannot link it; $$get); one thread only";; \
	*) echo "OpenMP: yes ($$flags)";; \
	esac; \
	echo "$$flags" > build/openmp; \
	echo "$(CC) -O3 $(CFLAGS) $$flags" > build/flags.new; \
	if cmp -s build/flags.new build/flags; then rm build/flags.new; \
	else mv build/flags.new build/flags; \
	rm -f build/gpt build/bench build/ngram build/stories build/byhand; fi

test: always
	@CC="$(CC)" ./test.sh $(ARGS)

# One's own copy of gpt.c: `cp gpt.c mine.c`, change it, `make build/mine`.
build/%: %.c build/flags
	$(CC) -O3 $(CFLAGS) $(FLAGS) $< -o $@ $(LDLIBS)

bench: build/bench
	@build/bench $(ARGS)

stories: build/stories
	build/stories --seed 1 --bytes 1990000 --score train --score valid --recall build/recall.csv \
	    data/words.grammar data/phrases.grammar data/plots.grammar > build/stories.txt

tinystories:
	sh data/fetch.sh $(ARGS)

# What a model does: which heads matter, copying heads, loss against size, what the cache saves.
MODEL = gpt.safetensors

ablation: build/gpt
	@sh tests/ablation.sh $(MODEL) $(ARGS)

induction: build/gpt
	@sh tests/induction.sh $(ARGS)

cost: build/bench
	@sh tests/cost.sh

scaling: build/gpt
	@sh tests/scaling.sh $(ARGS)

cache: build/flags
	@sh tests/cache.sh $(ARGS)

figures: build/gpt build/ngram build/stories always
	@sh figures/make.sh $(ARGS)

tutorial-slow: always
	@SLOW=1 CC="$(CC)" ./test.sh tutorial

tutorial-output tutorial-excerpts: always
	@CC="$(CC)" sh tests/tutorial.sh `echo $@ | sed 's/.*-//'`

mutants: always
	@CC="$(CC)" sh tests/mutants.sh $(ARGS)

matrix: always
	@sh tests/matrix.sh "$(ARGS)"

fuzz: always
	@sh tests/fuzz.sh $(ARGS)

faults: always
	@CC="$(CC)" sh tests/faults.sh $(ARGS)

# A starter is never written over: it may hold somebody's work.
lab: always
	@mkdir -p build/lab
	@awk -f tests/lab.awk gpt.c > build/lab/new.c
	@if [ ! -f build/lab/gpt.c ] || cmp -s build/lab/new.c build/lab/gpt.c; then \
	    mv build/lab/new.c build/lab/gpt.c; echo "build/lab/gpt.c is yours: write lab 1, then"; \
	    echo "GPT=build/lab/gpt.c ./test.sh lab 1"; \
	else rm build/lab/new.c; \
	    echo "build/lab/gpt.c is there already; to begin anew, move it away" >&2; exit 1; fi

DIR = submissions

grade: always
	@CC="$(CC)" sh tests/grade.sh "$(DIR)"

clean:
	@for f in build/*; do case $$f in build/lab) ;; *) rm -rf "$$f";; esac; done
	@if [ -d build/lab ]; then echo "build/lab stays: it may hold your work"; \
	elif [ -d build ]; then rmdir build; fi

always:
