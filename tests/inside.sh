#!/bin/sh
# inside.sh: trace, attend, lens, heads, --ablate, tune and --adapter, as one types them: on odd
# prompts, on an MLP, on files that aren't there; and that their CSV is CSV.
# shellcheck disable=SC1003,SC2016,SC2086,SC2154,SC2317
. "$(dirname "$0")/lib.sh"

# ---- a transformer, an MLP, and a second text ----
make_text plain.txt 200
awk '{ print } NR == 3 { print "\"Hé, you,\" said <Ann> & \\Bo\\."; print "" }' plain.txt > text.txt
awk '{ gsub(/cat|dog/, "frog"); gsub(/tree/, "hill"); print }' text.txt > new.txt
check train $gpt train --data text.txt $small --steps 60 --lr 0.02 --warmup 5 --eval-every 60 --out m.st
check train-mlp $gpt train --data text.txt $small --model mlp --steps 20 --eval-every 20 --out mlp.st
check train-post $gpt train --data text.txt $small --layers 3 --norm post --act gelu --pos none \
    --tie no --steps 20 --eval-every 20 --out post.st

# fields FILE N: every record of this CSV has N fields
fields() {
    awk -v want="$2" '{
        n = 1
        for (i = 1; i <= length($0); i++) {
            c = substr($0, i, 1)
            if (c == "\"") quoted = !quoted
            else if (c == "," && !quoted) n++
        }
        if (n != want || quoted) { print FILENAME ": record " NR " has " n " fields: " $0; exit 1 }
    }' "$1"
}

# status NAME STATUS PATTERN COMMAND...: it ends so, with one line on stderr that says so
status() {
    status_name=$1 want=$2 pattern=$3
    shift; shift; shift
    "$@" > out 2> err
    got=$?
    if [ $got != "$want" ]; then FAIL "$status_name" "status $got, not $want"
    elif [ "$(wc -l < err)" -ne 1 ] || ! grep -q -e "$pattern" err; then
        FAIL "$status_name" "no single line like /$pattern/"
    else ok "$status_name"; fi
}

# ---- every command on every kind of prompt ----
newline='
'
odd() { # NAME PROMPT
    for model in m post mlp; do
        check "trace-$1-$model" "$gpt" trace $model.st --prompt "$2"
        check "lens-$1-$model" "$gpt" lens $model.st --prompt "$2" --csv lens.csv
        check "lens-csv-$1-$model" fields lens.csv 6
    done
    check "attend-$1" "$gpt" attend m.st --prompt "$2" --csv attend.csv
    check "attend-csv-$1" fields attend.csv 7
}
odd word 'The cat'
odd empty ''
odd one T
odd quotes '"Hé,"'
odd newline "Bo${newline}${newline}The"
odd markup '<Ann> & \Bo\'
odd long 'The cat ran by the tree. The dog sat by the house. The fox'

check attend-odd "$gpt" attend m.st --prompt "\"Hé, <&>${newline}\\" --csv attend.csv
finds csv-quote '^0,0,1,1,"""","""",' attend.csv
finds csv-comma ',",",' attend.csv
finds csv-newline ',\\n,' attend.csv
finds csv-accent ',é,' attend.csv
finds csv-markup ',&,<,' attend.csv
finds csv-eot '^0,0,0,0,<eot>,<eot>,1\.000000$' attend.csv
check rows-sum-to-1 awk -F, 'NR > 1 { sum[$1 " " $2 " " $3] += $NF; if ($4 > $3) exit bad = 1 }
    END { for (r in sum) if (sum[r] < 0.9999 || sum[r] > 1.0001) bad = 1; exit bad || NR != 1 + 4 * 66 }' attend.csv

# ---- what they say ----
"$gpt" trace m.st --prompt 'The cat ran by the tree.' > out 2> err
finds long-prompt-note 'shown are the last 16' err
finds long-prompt-start "^      0 'r'" out
"$gpt" trace mlp.st --prompt 'Then' > out
finds mlp-last-character 'Only the last character' out
sed -n -e '/^head/,$p' out | sed 's/([0-9]*,/(/' > a
"$gpt" trace mlp.st --prompt 'on' > out
sed -n -e '/^head/,$p' out | sed 's/([0-9]*,/(/' > b
same mlp-same-guess a b
"$gpt" lens m.st --prompt 'The cat' --csv lens.csv > out
check lens-right awk -F, 'NR > 1 && ($2 == 7 ? $6 != "" : $6 !~ /^[01]$/) { exit 1 }' lens.csv
check lens-layers awk -F, 'NR > 1 { seen[$1]++ }
    END { exit !(NR == 25 && seen[0] == 8 && seen[1] == 8 && seen[2] == 8) }' lens.csv

# trace and lens agree on the model's own guess
"$gpt" trace m.st --prompt 'The cat' > out
traced=$(awk '/probability/ { for (i = 1; i < NF; i++) if ($i == "probability") print $(i + 1); exit }' out)
lensed=$(awk -F, '$1 == 2 && $2 == 7 { print $5 }' lens.csv)
close trace-and-lens "$traced" "$lensed" 0.0001

check heads "$gpt" heads m.st --csv heads.csv
cp out heads.txt
check heads-csv fields heads.csv 5
check heads-ranked awk -F, 'NR > 2 && $3 > last { bad = 1 } { last = $3 }
    END { exit bad || NR != 5 }' heads.csv
finds heads-loss '^loss first half [0-9.]* second half [0-9.]* (8 characters, 20 draws)$' heads.txt
check heads-repeat "$gpt" heads m.st --repeat 2
check heads-post "$gpt" heads post.st --seed 3

# An MLP begins the same, whatever --pos says.
for pos in none smeared; do
    check untrained-mlp-$pos "$gpt" train --data text.txt --model mlp --pos $pos $small --steps 1 --lr 0 --out u.st
    grep '^step' out | sed 's/tokens.*//' > mlp-$pos
done
same untrained-mlp mlp-none mlp-smeared

# With smeared keys head 0 of each layer copies before the first step, and no other head does.
check untrained "$gpt" train --data text.txt --pos smeared --layers 2 --context 41 --batch 2 --steps 1 --lr 0 --out u.st
check untrained-heads "$gpt" heads u.st --repeat 20 --csv heads.csv
check untrained-copies awk -F, 'NR > 1 && ($2 == 0) != ($3 > 0.2) { bad = 1 } END { exit bad || NR != 9 }' heads.csv
check draw-attend awk -f "$root/figures/draw.awk" -v kind=heat attend.csv
check draw-lens awk -f "$root/figures/draw.awk" -v kind=heat -v row=layers -v col=position \
    -v collabel=character -v value=probability -v text=guess -v mark=right lens.csv

# ---- heads switched off ----
loss() { awk '/^loss/ { print $2 }' "$1"; }
"$gpt" eval m.st --data text.txt > whole
"$gpt" eval m.st --data text.txt --ablate '0.*,1.*' > none
"$gpt" eval m.st --data text.txt --ablate 0.0,0.1,1.0,1.1 > listed
"$gpt" eval m.st --data text.txt --ablate 0.1 > one
same ablate-star none listed
check ablate-all awk "BEGIN { exit !($(loss none) > $(loss whole)) }"
check ablate-one awk "BEGIN { exit $(loss one) == $(loss whole) || $(loss one) == $(loss none) }"
"$gpt" sample m.st --seed 4 --chars 60 > a
"$gpt" sample m.st --seed 4 --chars 60 --ablate '1.*' > b
check ablate-sample sh -c '! cmp -s a b'
check ablate-trace "$gpt" trace m.st --prompt Th --ablate 0.1
finds ablate-trace-zero 'heads put out.* | *0\.0000 *0\.0000' out

# ---- adapters ----
"$gpt" tune m.st --data new.txt --old text.txt --rank 2 --steps 40 --lr 0.02 --seed 5 --out a.st > tune.txt 2> err ||
    FAIL tune 'no success'
finds tune-parameters '^rank 2 alpha 16 trainable 256 of ' tune.txt
before=$(awk '/^before/ { print $3 }' tune.txt) after=$(awk '/^after/ { print $3 }' tune.txt)
old=$(awk '/^after/ { print $5 }' tune.txt)
check tune-learns awk "BEGIN { exit !($after < $before) }"
"$gpt" eval m.st --data new.txt > out
close tune-before "$(loss out)" "$before" 0.000001
"$gpt" eval m.st --data new.txt --adapter a.st > out
close adapter-new "$(loss out)" "$after" 0.00001
"$gpt" eval m.st --data text.txt --adapter a.st > out
close adapter-old "$(loss out)" "$old" 0.00001
"$gpt" tune m.st --data new.txt --old text.txt --rank 2 --steps 40 --lr 0.02 --seed 5 --out b.st > again.txt
same tune-same-seed a.st b.st
same tune-same-words tune.txt again.txt
check tune-no-steps "$gpt" tune m.st --data new.txt --old text.txt --steps 0 --out zero.st
"$gpt" eval m.st --data new.txt > a
"$gpt" eval m.st --data new.txt --adapter zero.st > b
same tune-step-0-is-the-base a b
for command in sample trace attend lens heads; do
    check "adapter-$command" "$gpt" $command m.st --adapter a.st
done

# ---- errors ----
status attend-mlp 1 'is an MLP' "$gpt" attend mlp.st --prompt The
status heads-mlp 1 'is an MLP' "$gpt" heads mlp.st
status tune-mlp 1 'is an MLP' "$gpt" tune mlp.st --data new.txt --old text.txt
status ablate-mlp 1 'no heads' "$gpt" eval mlp.st --data text.txt --ablate 0.0
status adapter-mlp 1 'not an adapter for this model' "$gpt" sample mlp.st --adapter a.st
status adapter-post 1 'not an adapter for this model' "$gpt" sample post.st --adapter a.st
status adapter-model 1 'not an adapter for this model' "$gpt" sample m.st --adapter m.st
status adapter-text 1 'not a checkpoint' "$gpt" sample m.st --adapter text.txt
status adapter-missing 1 'cannot open' "$gpt" sample m.st --adapter nothing.st
status adapter-as-model 1 'a.st is an adapter' "$gpt" sample a.st
status ablate-layer 2 'layers are 0 to 1, heads 0 to 1' "$gpt" sample m.st --ablate 2.0
status ablate-head 2 'layers are 0 to 1, heads 0 to 1' "$gpt" trace m.st --prompt T --ablate 0.2
status ablate-words 2 'write LAYER.HEAD' "$gpt" eval m.st --data text.txt --ablate first
status position 2 'positions 0 to 3' "$gpt" trace m.st --prompt The --position 4
status position-word 2 'whole number' "$gpt" trace m.st --prompt The --position last
status repeat-one 2 'must be 2 to 8' "$gpt" heads m.st --repeat 1
status repeat-long 2 'must be 2 to 8' "$gpt" heads m.st --repeat 9
status unknown-character 2 'never saw' "$gpt" lens m.st --prompt 'ü'
status not-utf8 2 'not UTF-8' "$gpt" attend m.st --prompt "$(printf 'a\303')"
status csv-folder 1 'cannot write' "$gpt" lens m.st --prompt T --csv no/such/folder.csv
[ -w /dev/full ] && status csv-full 1 'cannot write' "$gpt" attend m.st --prompt 'The cat sat' --csv /dev/full
status tune-rank 2 "at most the model's --dim 16" "$gpt" tune m.st --data new.txt --old text.txt --rank 17
status tune-rank-zero 2 'from 1' "$gpt" tune m.st --data new.txt --rank 0
echo 'Ünter the bridge' > unknown.txt
status tune-unknown 1 'vocabulary lacks' "$gpt" tune m.st --data unknown.txt --old text.txt
status tune-out 1 'cannot write' "$gpt" tune m.st --data new.txt --old text.txt --steps 1 --out no/folder/a.st

# Ctrl-C finishes the step and saves.
rm -f c.st
"$gpt" tune m.st --data new.txt --old text.txt --steps 100000000 --out c.st > out 2> err &
pid=$!
tries=0
until grep -q '^before' out || [ $tries = 100 ]; do sleep 0.1; tries=$((tries + 1)); done
sleep 0.3
kill -TERM $pid
wait $pid
got=$?
if [ $got = 143 ]; then ok tune-stopped; else FAIL tune-stopped "status $got, not 143"; fi
check tune-saved "$gpt" eval m.st --data new.txt --adapter c.st
exit $bad
