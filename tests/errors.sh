# errors.sh: whatever is wrong, one line on stderr that names it, the right exit status (2: the
# command, 1: the rest), and no file of the user's touched.
. "$root/tests/lib.sh"
make_text text.txt 60
# shellcheck disable=SC2086
"$gpt" train --data text.txt --out model.safetensors $small --steps 4 --eval-every 2 > out 2> err ||
    FAIL 'a small training' "gave status $?"
mkdir folder keep

# refuses NAME STATUS WORDS COMMAND...: the error, all of it; WORDS must occur in it
refuses() {
    name=$1 status=$2 words=$3
    shift 3
    cksum ./*.safetensors* ./*.txt 2> /dev/null > keep/before
    "$@" > keep/out 2> err
    got=$?
    cksum ./*.safetensors* ./*.txt 2> /dev/null > keep/after
    if [ $got != "$status" ]; then FAIL "$name" "exit status $got, should be $status"
    elif [ "$(grep -c '' err)" != 1 ]; then FAIL "$name" "$(grep -c '' err) lines on stderr, should be 1"
    elif ! grep -q '^gpt: ' err; then FAIL "$name" 'the line does not begin with gpt:'
    elif ! grep -q -F -e "$words" err; then FAIL "$name" "the line does not say '$words'"
    elif ! cmp -s keep/before keep/after; then FAIL "$name" 'a file was changed or left behind'
    else ok "$name"; fi
}

# ---- the command line ----
refuses 'unknown command' 2 dance "$gpt" dance
refuses 'unknown option' 2 --colour "$gpt" train --colour red
refuses 'option of another command' 2 --chars "$gpt" train --chars 3
refuses 'option without its value' 2 --steps "$gpt" train --steps
refuses 'a single dash' 2 -x "$gpt" train -x
refuses 'unexpected word' 2 extra "$gpt" train extra
refuses 'two models' 2 other "$gpt" info model.safetensors other
refuses 'no model' 2 MODEL "$gpt" sample
refuses '--dim 0' 2 '--dim 0' "$gpt" train --dim 0
refuses '--dim=0' 2 '--dim 0' "$gpt" train --dim=0
refuses '--dim 12.5' 2 --dim "$gpt" train --dim 12.5
refuses '--dim 12x' 2 --dim "$gpt" train --dim 12x
refuses '--dim nothing' 2 --dim "$gpt" train --dim=
refuses 'a text to be written over' 2 text.txt "$gpt" train --data text.txt --out text.txt --steps 1
refuses 'a log in the place of the model' 2 'written twice' "$gpt" train --data text.txt --out n --log n --steps 1
refuses '... or of its state' 2 'written twice' "$gpt" train --data text.txt --out n --log n.last --steps 1
refuses '... or of the resumed model' 2 'written twice' "$gpt" train --data text.txt --resume model.safetensors.last --log model.safetensors
mkfifo pipe
refuses 'no ordinary file' 1 'not an ordinary file' "$gpt" train --data text.txt --out pipe --steps 1
refuses 'check --dim 1' 2 'dim 1' "$gpt" check --dim 1 --heads 1
refuses 'a pipe, resumed' 1 'not an ordinary file' "$gpt" train --data text.txt --resume model.safetensors.last --out pipe
mkdir -p g.last
refuses 'no place for the state' 1 g.last "$gpt" train --data text.txt --out g --steps 1
refuses 'a text by another name' 2 text.txt "$gpt" train --data text.txt --out ./text.txt --steps 1
cp text.txt m.tmp
refuses 'a text in the place of a file half written' 2 m.tmp "$gpt" train --data m.tmp --out m --steps 1
cp text.txt n.last
refuses 'a text in the place of the state' 2 n.last "$gpt" train --data n.last --out n --steps 1
refuses 'a log in the place of the text' 2 text.txt "$gpt" train --data text.txt --log text.txt --steps 1
refuses 'a model to be written over' 2 model.safetensors "$gpt" tune model.safetensors --data text.txt --out model.safetensors --steps 1
refuses 'numbers in the place of a model' 2 model.safetensors "$gpt" attend model.safetensors --prompt a --csv model.safetensors
refuses 'numbers in the place of the text' 2 text.txt "$gpt" eval model.safetensors --data text.txt --tokens text.txt
refuses 'a folder as a model' 1 'cannot read folder' "$gpt" info folder
refuses '--layers -1' 2 --layers "$gpt" train --layers -1
refuses '--layers 1e30' 2 --layers "$gpt" train --layers 1e30
refuses '--lr nan' 2 --lr "$gpt" train --lr nan
refuses '--lr inf' 2 --lr "$gpt" train --lr inf
refuses '--temperature -1' 2 --temperature "$gpt" sample model.safetensors --temperature -1
refuses '--heads 3 --dim 128' 2 '--heads 3' "$gpt" train --heads 3 --dim 128
refuses '--heads 8 --dim 4' 2 '--heads 8' "$gpt" train --heads 8 --dim 4
refuses '--pos here' 2 'sin|learned|rotary|smeared|none' "$gpt" train --pos here
refuses '--model' 2 'transformer|mlp' "$gpt" train --model rnn
refuses '--matmul' 2 'plain|sse|avx2|avx512' "$gpt" train --matmul fast
refuses 'a switch with a value' 2 'takes no value' "$gpt" sample model.safetensors --past-end=no
refuses '--out with the name of a folder' 1 'cannot write folder:' "$gpt" train --data text.txt --out folder --steps 1
refuses 'tune: --out in a folder that is not there' 1 'cannot write nowhere/' "$gpt" tune model.safetensors --data text.txt \
    --old text.txt --out nowhere/adapter.safetensors --steps 1
refuses 'heads that do not divide' 2 'try 3 or 6' "$gpt" train --heads 5 --dim 6
refuses 'more heads than dim' 2 '--heads 200: at most --dim 128' "$gpt" train --heads 200 --dim 128
refuses 'help on nothing' 2 dance "$gpt" help dance
refuses 'prompt with an unknown character' 2 'U+007A' "$gpt" sample model.safetensors --prompt 'The z'
refuses 'prompt with an unknown character, in Chinese' 2 'U+6587' "$gpt" sample model.safetensors --prompt '文'
refuses 'prompt that is not UTF-8' 2 'byte 4' "$gpt" sample model.safetensors --prompt "$(printf 'The \351')"

# ---- texts ----
: > empty.txt
printf '\n\n' > blank.txt
printf '<|endoftext|>\n\n<|endoftext|>\n' > separators.txt
printf 'caf\351 au lait' > latin1.txt
printf 'tiny' > tiny.txt
printf 'The cat met a zebra, \342\202\254 5.' > unknown.txt
for file in empty.txt blank.txt separators.txt folder missing.txt; do
    refuses "text: $file" 1 $file "$gpt" train --data $file
    refuses "validation text: $file" 1 $file "$gpt" train --data text.txt --valid $file
    refuses "evaluated text: $file" 1 $file "$gpt" eval model.safetensors --data $file
done
refuses 'text that is not UTF-8' 1 'latin1.txt: byte 3' "$gpt" train --data latin1.txt
refuses 'text that is not UTF-8 says how to mend it' 1 'iconv' "$gpt" train --data latin1.txt
refuses 'text shorter than the context' 1 tiny.txt "$gpt" train --data tiny.txt
refuses 'validation text with unknown characters' 1 "'z' (U+007A)" "$gpt" train --data text.txt --valid unknown.txt
refuses 'validation text with unknown characters, all of them' 1 'U+20AC' "$gpt" train --data text.txt --valid unknown.txt
refuses 'evaluated text with unknown characters' 1 'unknown.txt' "$gpt" eval model.safetensors --data unknown.txt
refuses 'empty file name' 2 'wants the name of a file' "$gpt" train --data=

# ---- checkpoints ----
for file in folder missing.safetensors empty.txt text.txt; do
    refuses "checkpoint: $file" 1 $file "$gpt" sample $file
    refuses "resume: $file" 1 $file "$gpt" train --data text.txt --resume $file
done
size=$(wc -c < model.safetensors | tr -d ' ')
header=$(od -A n -t u4 -N 4 model.safetensors | tr -d ' ')
for length in 1 7 8 9 40 100 $((header + 7)) $((header + 8)) $((header + 9)) $((size / 2)) $((size - 4)) $((size - 1)); do
    head -c "$length" model.safetensors > cut.txt
    refuses "checkpoint cut to $length bytes" 1 cut.txt "$gpt" info cut.txt
done
{ cat model.safetensors; printf x; } > long.txt
refuses 'checkpoint with a byte too many' 1 long.txt "$gpt" info long.txt
{ cat model.safetensors model.safetensors; } > long.txt
refuses 'two checkpoints in one file' 1 long.txt "$gpt" info long.txt
head -c "$(wc -c < model.safetensors.last)" /dev/zero > zeros.txt
refuses 'zeros' 1 zeros.txt "$gpt" info zeros.txt

edited() { # NAME SED-SCRIPT: the checkpoint with its header edited to the same length
    head -c 8 model.safetensors > edited.txt
    tail -c +9 model.safetensors | head -c "$header" | sed "$2" > edited.header
    if [ "$(wc -c < edited.header)" != "$header" ] ||
        tail -c +9 model.safetensors | head -c "$header" | cmp -s - edited.header
    then FAIL "$1" 'the test did not edit the header'; return; fi
    cat edited.header >> edited.txt
    tail -c +$((header + 9)) model.safetensors >> edited.txt
    refuses "$1" 1 edited.txt "$gpt" info edited.txt
}
edited 'header: another format' 's/"format":"pt"/"format":"tf"/'
edited 'header: more layers than there are' 's/"n_layer":"2"/"n_layer":"9"/'
edited 'header: no layers' 's/"n_layer":"2"/"n_layer":"0"/'
edited 'header: another width' 's/"n_embd":"16"/"n_embd":"99"/'
edited 'header: not a number' 's/"n_embd":"16"/"n_embd":"xx"/'
edited 'header: heads that do not divide' 's/"n_head":"2"/"n_head":"3"/'
edited 'header: another type' 's/"dtype":"F32"/"dtype":"I32"/'
edited 'header: double' 's/"dtype":"F32"/"dtype":"F64"/g'
edited 'header: offsets moved' 's/"data_offsets":\[0,/"data_offsets":[4,/'
edited 'header: a tensor renamed' 's/wte.weight/wtf.weight/'
edited 'header: vocabulary out of order' 's/"vocab":" .T/"vocab":" T./'
edited 'header: vocabulary of another size' 's/"vocab_size":"24"/"vocab_size":"25"/'
edited 'header: unknown position kind' 's/"pos":"smeared"/"pos":"rumpled"/'
edited 'header: option missing' 's/"norm":/"morn":/'
edited 'header: a brace too few' 's/}\( *\)$/ \1/'

# a header that claims a million million million numbers
huge='{"__metadata__":{"format":"pt","n_layer":"1000"},"transformer.wte.weight":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4000000000000000000]}}'
{ printf "\\$(printf %o ${#huge})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$huge"; } > huge.txt
refuses 'a checkpoint that claims 10^18 numbers' 1 huge.txt "$gpt" info huge.txt
printf '\377\377\377\377\377\377\377\177{"__metadata__":{"format":"pt",' > huge.txt
refuses 'a header of 10^19 bytes' 1 huge.txt "$gpt" info huge.txt
printf '\377\377\377\0\0\0\0\0{"__metadata__":{"format":"pt",' > huge.txt
refuses 'a header of 16 MB that is not there' 1 huge.txt "$gpt" info huge.txt

refuses 'resume from weights without training state' 1 '.last' \
    "$gpt" train --data text.txt --resume model.safetensors
make_text other.txt 70
refuses 'resume on another text' 1 other.txt "$gpt" train --data other.txt --resume model.safetensors.last

# ---- places that cannot be written ----
# shellcheck disable=SC2086
train="$gpt train --data text.txt $small --steps 4 --eval-every 2"
refuses 'a folder that is not there' 1 nowhere/x $train --out nowhere/x
refuses 'a folder in place of the file' 1 folder $train --out folder
refuses 'a log in a folder that is not there' 1 nowhere/x.csv $train --out new --log nowhere/x.csv
refuses 'losses to a folder that is not there' 1 nowhere/x.csv \
    "$gpt" eval model.safetensors --data text.txt --tokens nowhere/x.csv
if [ "$(id -u)" != 0 ]; then
    chmod a-w folder
    refuses 'a folder that is read-only' 1 folder/x $train --out folder/x
    chmod u+w folder
else
    skip 'a folder that is read-only' 'root may write everywhere'
fi
# files may not grow beyond a limit: as on a full disk, half of a file is written, and then no more
full() { # NAME BLOCKS: the limit, in blocks of 512 bytes
    cp model.safetensors best.kept
    cp model.safetensors.last last.kept
    (
        trap '' XFSZ
        ulimit -f "$2"
        exec $train --steps 6 --lr 0.01 --out model.safetensors --seed 3
    ) > out 2> err
    status=$?
    if [ $status = 1 ] && [ "$(grep -c '' err)" = 1 ] && grep -q "^gpt: cannot write $1" err
    then ok "disk full at $1"; else FAIL "disk full at $1" "exit status $status"; fi
    same "disk full at $1: the last state is untouched" model.safetensors.last last.kept
    if [ "$1" = model.safetensors.tmp ]; then same "disk full at $1: so are the weights" model.safetensors best.kept; fi
    check "disk full at $1: what is there can be read" "$gpt" info model.safetensors
    check "disk full at $1: and resumed" "$gpt" train --data text.txt --resume last.kept --out kept.safetensors
    if ls ./model*.tmp > /dev/null 2>&1; then FAIL "disk full at $1: no half file stays" "$(echo ./model*.tmp)"
    else ok "disk full at $1: no half file stays"; fi
    cp best.kept model.safetensors
    cp last.kept model.safetensors.last
}
if (trap '' XFSZ; ulimit -f 20) 2> /dev/null; then
    full model.safetensors.tmp 20
    full model.safetensors.last.tmp 80
else
    skip 'disk full' 'ulimit -f does not work here'
fi
if [ -c /dev/full ]; then
    to_full() { "$@" > /dev/full; }
    refuses 'output to a full disk: info' 1 'No space left' to_full "$gpt" info model.safetensors
    refuses 'output to a full disk: sample' 1 'No space left' to_full "$gpt" sample model.safetensors
    refuses 'output to a full disk: eval' 1 'No space left' to_full "$gpt" eval model.safetensors --data text.txt
    refuses 'output to a full disk: help' 1 'No space left' to_full "$gpt" help
    refuses 'output to a full disk: --version' 1 'No space left' to_full "$gpt" --version
    refuses 'losses to a full disk' 1 /dev/full "$gpt" eval model.safetensors --data text.txt --tokens /dev/full
    refuses 'a log on a full disk' 1 /dev/full $train --out folder/x --log /dev/full
    rm -f folder/x*
else
    skip 'output to a full disk' 'there is no /dev/full'
fi

# nobody reads on: head takes one line and closes
long() { "$gpt" sample model.safetensors --samples 500 --chars 2000 --past-end; echo $? > status; }
long 2> err | head -n 1 > out
case $(cat status) in
1 | 141) if [ "$(grep -c '' err)" -le 1 ]; then ok 'sample | head -n 1'; else FAIL 'sample | head -n 1' 'said more than a line'; fi ;;
*) FAIL 'sample | head -n 1' "exit status $(cat status)" ;;
esac
long() {
    # shellcheck disable=SC2086
    "$gpt" train --data text.txt --out piped.safetensors $small --steps 100000 --eval-every 5
    echo $? > status
}
long 2> err | head -n 1 > out
case $(cat status) in
0) FAIL 'train | head -n 1' 'exit status 0' ;;
*) ok "train | head -n 1 stops" ;;
esac
check 'train | head -n 1: its state can be resumed' \
    "$gpt" train --data text.txt --resume piped.safetensors.last --stop-at 20

# out of memory
if (ulimit -v 150000) 2> /dev/null && has bash; then
    refuses 'out of memory for a model' 1 'out of memory' \
        bash -c 'ulimit -v 300000; exec "$0" train --data text.txt --layers 8 --dim 1024 --out oom' "$gpt"
    head -c 60000000 /dev/zero | tr '\0' a > large.text
    refuses 'out of memory for a text' 1 'out of memory' \
        bash -c 'ulimit -v 60000; OMP_NUM_THREADS=1 exec "$0" train --data large.text --out oom' "$gpt"
    rm -f large.text
else
    skip 'out of memory' 'ulimit -v does not work here'
fi
