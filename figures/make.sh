#!/bin/sh
# make.sh: makes the pictures in figures/, from fixed seeds; about a quarter of an hour of one core.
#
#     figures/make.sh [NAME...]    all of $pictures by default, without the patient ones
#
# Works in build/figures and copies every picture that came out well to figures/. Trained models stay
# there, and are used again while they are newer than the program and the text. QUICK=1 trains for a
# few steps only, to try this script out: it works in build/figures-quick and copies nothing.
# A picture whose numbers cannot be had is skipped, with a word why; then the exit status is 1.
# shellcheck disable=SC2015,SC2030,SC2031,SC2046,SC2086,SC2317
cd "$(dirname "$0")/.." || exit 1
: "${gpt:=build/gpt}" "${MAKE:=make}"
export gpt
text=data/stories.txt work=build/figures missing=0
pictures='loss attention lens heads scaling cache recall temperature'
pictures="$pictures norm positions sinusoids tables tile stream overfit"
patient_pictures=memory # forty minutes of two cores: only when it is named
long=${QUICK:+20} every=${QUICK:+10} # steps, and steps between evaluations, if they are to be few
if [ -n "${QUICK:-}" ]; then work=build/figures-quick; fi
mkdir -p $work || exit 1

say() { printf '%s\n' "$*"; }
skip() { # skip NAME WHY
    missing=1
    say "skipped $1: $2"
}
fresh() { [ -n "$(find "$1" -newer "$gpt" -newer $text 2> /dev/null)" ]; }

# draw NAME OPTIONS... FILES: a picture that stays as it was if draw.awk fails
draw() {
    name=$1
    shift
    if LC_ALL=C awk -f figures/draw.awk "$@" > "$work/$name.new"; then
        mv "$work/$name.new" "$work/$name.svg"
        if [ -z "${QUICK:-}" ]; then cp "$work/$name.svg" figures/; fi
        say "made $name.svg, $(wc -c < "$work/$name.svg" | tr -d ' ') bytes"
    else
        skip "$name" "draw.awk failed"
    fi
}

# train NAME STEPS EVERY OPTIONS...: $work/NAME.safetensors with its losses in NAME.csv; windows of 128
# characters, 16 to a step, unless the options say otherwise
train() {
    name=$1 steps=${long:-$2} between=${every:-$3}
    shift 3
    if fresh "$work/$name.csv"; then return; fi
    say "training $name: --steps $steps $*"
    "$gpt" train --data $text --steps "$steps" --eval-every "$between" --seed 1 --context 128 --batch 16 "$@" --log "$work/$name.log" \
        --out "$work/$name.safetensors" > "$work/$name.txt" && mv "$work/$name.log" "$work/$name.csv"
}
mlp() { train mlp 600 50 --model mlp --layers 1 --lr 0.01; }
transformer() { train transformer 1200 150 --pos learned --layers 3 --heads 3 --dim 96; }
patient() { train patient 2700 540 --context 768 --batch 6; } # the default model; five minutes
ngram() { "$MAKE" -s build/ngram > $work/make.txt 2>&1; }
author() { awk -F '|' '/the author\*\*/ { gsub(/[* ]/, "", $4); print $4 }' data/README.md; }
second() { awk -v key="$1" '$1 == key { print $2; exit }' "$2"; } # the number after a word

# The first 40 characters or fewer of the validation part that begin and end with the same name.
prompt() {
    awk '/^<[|]endoftext/ { story++; next } { line[++n] = $0; of[n] = story }
    END {
        for (i = 1; i <= n; i++) if (of[i] > story * 0.9 + 1)
            for (s = line[i]; match(s, /[A-Z][a-z][a-z]+/); s = substr(s, RSTART + RLENGTH)) {
                name = substr(s, RSTART, RLENGTH)
                after = substr(s, RSTART + RLENGTH, 40 - RLENGTH)
                at = index(after, name)
                if (at > 20) { print name substr(after, 1, at + RLENGTH - 1); exit }
            }
    }' $text
}

loss() {
    mlp && transformer || { skip loss "no model"; return; }
    levels="bigram entropy $(second bigram $work/mlp.txt)"
    if ngram && build/ngram 6 $text > $work/order6.txt
    then levels="$levels,order 6 backoff $(awk '$2 == 6 { print $4 }' $work/order6.txt)"
    else say "no line for order 6: build/ngram failed"; fi
    author=$(author)
    if [ -n "$author" ]; then levels="$levels,the author $author"
    else say "no line for the author: data/README.md doesn't name the score"; fi
    draw loss -v kind=lines -v title="What training brings: loss on validation stories" -v x=step -v y=valid \
        -v xlabel="training steps of 2,048 characters" -v ylabel="nats per character" -v names="MLP,transformer" \
        -v hline="$levels" $work/mlp.csv $work/transformer.csv
}

attention() {
    transformer || { skip attention "no model"; return; }
    "$gpt" attend $work/transformer.safetensors --prompt "$(prompt)" --csv $work/attention.csv \
        > $work/attention.txt || { skip attention "gpt attend failed"; return; }
    draw attention -v kind=heat -v title="Where each head looks: from a character (row) back to earlier ones" \
        -v ylabel="looks from" -v xlabel="looks at" $work/attention.csv
}

lens() {
    transformer || { skip lens "no model"; return; }
    "$gpt" lens $work/transformer.safetensors --prompt "$(prompt)" --csv $work/lens.csv > $work/lens.txt ||
        { skip lens "gpt lens failed"; return; }
    awk -F , -v OFS=, 'NR == 1 { print $0 ",after"; next }
        { print $0, $1 ? "layer " $1 - 1 : "embedding" }' $work/lens.csv > $work/lens-named.csv
    draw lens -v kind=heat -v title="Which character comes next? Each layer's best guess" -v row=layers \
        -v rowlabel=after -v col=position -v collabel=character -v value=probability -v text=guess -v mark=right \
        -v ylabel="guess after" -v xlabel="the text so far" $work/lens-named.csv
}

# The heads of two models that were trained to copy; if the recipe fails, those of the small transformer.
heads() {
    say "training with 2 layers, 1, and 1 with smeared keys on repeated letters: tests/induction.sh"
    scores() { # scores NAME F.csv: its records in the order of the heads
        sed 1d "$2" | sort -t , -k 1,1n -k 2,2n | awk -F , -v name="$1" '
            { printf "%slayer %d head %d,%.3f,%.3f,%.3f\n", name, $1, $2, $3, $4, $5 }'
    }
    echo head,induction,previous,first > $work/heads.csv
    if sh tests/induction.sh $long > $work/induction.txt; then
        title="Copying takes two layers, or smeared keys: where heads look"
        scores "2 layers: " build/induction-2.csv >> $work/heads.csv
        scores "1 layer: " build/induction-1.csv >> $work/heads.csv
        scores "smeared keys: " build/induction-smeared.csv >> $work/heads.csv
    else
        say "no head learned to copy there ($work/induction.txt); drawing the small transformer's heads"
        title="Where the heads of the small transformer look, on random characters that repeat"
        transformer && "$gpt" heads $work/transformer.safetensors --csv $work/scores.csv > $work/heads.txt ||
            { skip heads "gpt heads failed"; return; }
        scores "" $work/scores.csv >> $work/heads.csv
    fi
    draw heads -v kind=bars -v title="$title" -v x=head -v y=induction,previous,first \
        -v names="what followed the same letter,the letter before,the first one" \
        -v ylabel="share of the attention" $work/heads.csv
}

scaling() {
    steps=${long:-400}
    if ! fresh $work/scaling.csv; then
        say "training seven sizes for $steps steps: tests/scaling.sh"
        sh tests/scaling.sh "$steps" $text > $work/sizes.csv && mv $work/sizes.csv $work/scaling.csv ||
            { skip scaling "tests/scaling.sh failed"; return; }
    fi
    draw scaling -v kind=lines -v title="The larger, the better: seven sizes, $steps steps of 4,096 characters each" \
        -v x=parameters -v y=loss -v xlog=1 -v fit=1 -v ylabel="loss on validation stories, nats per character" \
        $work/scaling.csv
}

cache() {
    say "timing with and without the cache: tests/cache.sh"
    sh tests/cache.sh > $work/cache.csv || { skip cache "tests/cache.sh failed"; return; }
    draw cache -v kind=lines -v title="What the KV cache saves: time for one more character" -v x=characters \
        -v y=cached,uncached -v names="with cache,without" -v ylog=1 -v xlabel="characters in the text so far" \
        -v ylabel="milliseconds (on the machine that drew this)" $work/cache.csv
}

recall() {
    [ -f data/recall.csv ] || { skip recall "there is no data/recall.csv"; return; }
    mlp && patient || { skip recall "no model"; return; }
    ngram && build/ngram 2 $text --tokens $work/table.csv > $work/order2.txt ||
        { skip recall "build/ngram failed"; return; }
    for m in mlp patient; do
        "$gpt" eval $work/$m.safetensors --data $text --tokens $work/$m-tokens.csv > $work/$m-eval.txt ||
            { skip recall "gpt eval failed"; return; }
    done
    awk -f tests/recall.awk data/recall.csv $work/table.csv $work/mlp-tokens.csv $work/patient-tokens.csv \
        > $work/recall.csv 2> $work/recall.txt ||
        { skip recall "$(sed 1q $work/recall.txt)"; return; }
    draw recall -v kind=bars -v title="What takes a memory: loss on characters settled earlier in the story" \
        -v x=distance -v y=mlp-tokens,patient-tokens,table -v names="MLP,transformer,table of pairs" \
        -v ylabel="nats per character, by how many characters back it was settled" $work/recall.csv
}

temperature() {
    transformer || { skip temperature "no model"; return; }
    echo temperature,known > $work/temperature.csv
    for t in 0.2 0.5 0.8 1 1.3; do
        "$gpt" sample $work/transformer.safetensors --temperature $t --chars 4000 --past-end --seed 1 \
            > $work/sample-$t.txt || { skip temperature "gpt sample failed"; return; }
        tr -cs "A-Za-z\n" "\n" < $work/sample-$t.txt | awk -v t=$t 'FNR == NR {
                n = split($0, w, /[^A-Za-z]+/); for (i = 1; i <= n; i++) known[w[i]] = 1; next }
            $0 != "" { all++; good += $0 in known }
            END { printf "%s,%.1f\n", t, 100 * good / all }' $text - >> $work/temperature.csv
    done
    draw temperature -v kind=bars -v title="Temperature: how many of the words a model writes are words" \
        -v x=temperature -v y=known -v ylabel="% of the words that occur in $text, by temperature" $work/temperature.csv
}

# curves RUN...: the picture with the losses of these runs, called $names, under $title
curves() {
    files=''
    for name; do files="$files $work/$name.csv"; done
    draw "$picture" -v kind=lines -v x=step -v y=valid -v title="$title" -v names="$names" \
        -v hline="letter frequencies $(second unigram "$work/$1.txt")" \
        -v xlabel="training steps of 2,048 characters" -v ylabel="loss on validation stories, nats per character" $files
}

norm() {
    for how in pre post; do
        train norm-$how 500 50 --norm $how --pos learned --layers 6 --heads 4 --dim 64 || { skip norm "no model"; return; }
    done
    title="Six layers: layer norm before each sub-layer, or after it" names="before (pre),after (post)"
    curves norm-pre norm-post
}

# changed NAME FROM TO: the program $work/NAME, of gpt.c with FROM, which stands there once, become TO
changed() {
    if [ -n "$(find "$work/$1" -newer gpt.c 2> /dev/null)" ]; then return; fi
    awk -v from="$2" -v to="$3" '{ at = index($0, from)
        if (at) { $0 = substr($0, 1, at - 1) to substr($0, at + length(from)); n++ }
        print } END { exit n != 1 }' gpt.c > $work/$1.c &&
        ${CC:-cc} -O3 ${CFLAGS:-} $(cat build/openmp) $work/$1.c -o $work/$1 -lm
}

positions() {
    changed full "m->c.pos == SIN ? 0.1 : 1" "1" || { skip positions "cannot change gpt.c"; return; }
    for how in sin full learned none rotary smeared; do
        if [ $how = full ]; then set -- $work/full sin; else set -- "$gpt" $how; fi
        (gpt=$1; train positions-$how 600 50 --pos $2 --layers 2 --heads 4 --dim 64) ||
            { skip positions "no model"; return; }
    done
    title="Six ways to tell the model where a character stands"
    names="sinusoids (a tenth),sinusoids (in full),learned,none,rotary,smeared"
    curves positions-sin positions-full positions-learned positions-none positions-rotary positions-smeared
}

# The table itself, sines and cosines apart: side by side they are stripes.
sinusoids() {
    awk 'BEGIN { print "part,position,pair,value"
        for (c = 0; c < 2; c++) for (t = 0; t < 64; t++) for (pair = 0; pair < 32; pair++) {
            angle = t / exp(log(10000) * pair / 32)
            printf "%s,%d,%d,%.4f\n", (c ? "odd channels: cosine" : "even channels: sine"), t, pair,
                (c ? cos(angle) : sin(angle))
        } }' > $work/sinusoids.csv
    draw sinusoids -v kind=heat -v row=position -v col=pair -v value=value -v panel=part -v xlabel="pair of channels" \
        -v title="Sinusoids: every pair of channels turns at a speed of its own" $work/sinusoids.csv
}

tables() {
    mlp && ${CC:-cc} -O3 ${CFLAGS:-} $(cat build/openmp) tests/tables.c -o build/tables -lm &&
        build/tables $work/mlp.safetensors --data $text > $work/tables.csv ||
        { skip tables "no model, or tests/tables.c failed"; return; }
    draw tables -v kind=heat -v root=1 -v row=last -v rowlabel=last_char -v col=next -v collabel=next_char \
        -v value=chance -v panel=part -v ylabel="after this" -v xlabel="comes this" \
        -v title="What follows which character: counted in the text, and learned by the MLP" $work/tables.csv
}

# The plain loop against the tile, one thread: build/bench is stopped after the product we ask for.
tile() {
    "$MAKE" -s build/bench > $work/make.txt 2>&1 || { skip tile "build/bench failed"; return; }
    for path in plain sse avx2 avx512 plain sse avx2 avx512; do # what this CPU lacks prints nothing
        OMP_NUM_THREADS=1 build/bench --context 128 --batch 16 --matmul $path 2> /dev/null | awk -v path=$path '
            $1 == "matmul" && $2 == "1024x128x512" { print path, $4; exit }'
    done | awk 'BEGIN { print "path,gflops"; name["plain"] = "the plain loop"; name["sse"] = "tile, vectors of 16 bytes"
            name["avx2"] = "tile, 32 bytes (AVX2)"; name["avx512"] = "tile, 64 bytes (AVX-512)" }
        !best[$1]++ { order[++n] = $1 } # the better of two
        $2 > most[$1] { most[$1] = $2 }
        END { for (i = 1; i <= n; i++) print "\"" name[order[i]] "\"," most[order[i]] }' > $work/tile.csv
    draw tile -v kind=bars -v x=path -v y=gflops -v title="The plain loop against the tile, one thread" \
        -v ylabel="billion operations per second, 1024x128 by 128x512 (on the machine that drew this)" $work/tile.csv
}

# How long the vector on the stream is, layer by layer, in untrained models of 24 layers: with the second
# matrix of every branch scaled by 1/sqrt(2L), and without.
stream() {
    changed unscaled "deep = 0.02 / sqrt(2.0 * c.layers)" "deep = 0.02" ||
        { skip stream "cannot change gpt.c"; return; }
    head -n 400 $text > $work/some.txt
    for how in scaled unscaled; do
        program=$gpt
        if [ $how = unscaled ]; then program=$work/unscaled; fi
        "$program" train --data $work/some.txt --pos learned --context 128 --batch 16 --layers 24 --heads 4 --dim 64 --steps 1 --lr 0 --seed 1 \
            --out $work/$how.safetensors > $work/$how.txt &&
            "$program" trace $work/$how.safetensors --prompt "Once upon a time" > $work/$how-trace.txt ||
            { skip stream "gpt failed"; return; }
        awk 'BEGIN { print "layer,length" } $1 == "layer" { layer = $2 + ($3 == "MLP" ? 1 : 0.5) }
            /stream after/ { print layer "," $NF }' $work/$how-trace.txt > $work/stream-$how.csv
    done
    draw stream -v kind=lines -v x=layer -v y=length -v names="with 1/sqrt(2L),without" \
        -v title="The stream of an untrained model grows with every layer" -v xlabel="layers passed (of L = 24)" \
        -v ylabel="length of the vector at the last position" $work/stream-scaled.csv $work/stream-unscaled.csv
}

# 50 KB of stories are soon known by heart; stories further on are the validation text.
overfit() {
    awk '{ n += length($0) + 1; print } n > 50000 && /^<[|]endoftext/ { exit }' $text > $work/few.txt
    awk '/^<[|]endoftext/ { story++ } story > 1000 && story < 1080' $text > $work/unseen.txt
    (text=$work/few.txt; train overfit 2000 100 --valid $work/unseen.txt --pos learned --layers 3) \
        2> $work/notes.txt || { skip overfit "$(sed 1q $work/notes.txt)"; return; }
    draw overfit -v kind=lines -v x=step -v y=train,valid -v names="the 50 KB it trains on,stories it never saw" \
        -v title="By heart: training on 50 KB of stories" -v xlabel="training steps of 2,048 characters" \
        -v ylabel="nats per character" $work/overfit.csv
}

# A window that holds most stories whole, and sixty times as many stories.
memory() {
    "$MAKE" -s build/stories > $work/make.txt 2>&1 || { skip memory "no generator"; return; }
    if [ ! -s $work/endless.txt ]; then
        build/stories --seed 7 --bytes 120000000 data/*.grammar > $work/stories.new 2> $work/notes.txt &&
            mv $work/stories.new $work/endless.txt || { skip memory "build/stories failed"; return; }
    fi
    awk 'FNR == NR { n += /^<[|]endoftext/; next } story >= n - int(n / 10)
        /^<[|]endoftext/ { story++ }' $text $text > $work/valid.txt # the last tenth, as gpt train takes it
    (text=$work/endless.txt; train memory 20000 1000 --valid $work/valid.txt --pos rotary --context 512 --batch 8 --optimizer adam --lr 0.003) ||
        { skip memory "no model"; return; }
    draw memory -v kind=lines -v title="Memory comes late: loss on validation stories" -v x=step -v y=valid \
        -v names="transformer" -v hline="the author $(author)" \
        -v xlabel="training steps of 4,096 characters" -v ylabel="nats per character" $work/memory.csv
}

if [ $# = 0 ]; then set -- $pictures; fi
for picture; do
    case " $pictures $patient_pictures " in
    *" $picture "*) $picture ;;
    *) skip "$picture" "there is no such picture; there are: $pictures $patient_pictures" ;;
    esac
done
exit $missing
