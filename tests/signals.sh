# signals.sh: Ctrl-C and SIGTERM finish the step, save, say how to go on; the end is the same.
. "$root/tests/lib.sh"
make_text text.txt 60
options='--data text.txt --layers 2 --heads 2 --dim 32 --context 32 --batch 16 --seed 5 --steps 900 --eval-every 30'
# shellcheck disable=SC2086
"$gpt" train $options --out whole.safetensors > out 2> err || FAIL 'a run that is left alone' "status $?"

# waits until a line of the file matches; a minute at most
wait_for() { # FILE PATTERN
    tries=0
    until grep -q -e "$2" "$1" 2> /dev/null || [ $tries -ge 600 ]; do
        sleep 0.1 2> /dev/null || sleep 1
        tries=$((tries + 1))
    done
}

for signal in INT:130 TERM:143; do
    name=SIG${signal%:*} want=${signal#*:}
    rm -f part.*
    # shellcheck disable=SC2086
    "$gpt" train $options --out part.safetensors > part.txt 2> err &
    pid=$!
    wait_for part.txt '^step 30 '
    kill -"${signal%:*}" $pid
    wait $pid
    status=$?
    last=$(sed -n 's/.*stopped at step \([0-9]*\).*/\1/p' err)
    if [ $status = "$want" ]; then ok "$name: exit status $want"
    elif [ $status = 0 ]; then skip "$name" 'the run was over before the signal came'; continue
    else FAIL "$name: exit status $want" "exit status $status"; fi
    if [ "$(grep -c '' err)" = 1 ] && [ "${last:-0}" -gt 0 ]; then ok "$name: says where it stopped"
    else FAIL "$name: says where it stopped" "$(grep -c '' err) lines"; fi
    step=$("$gpt" info part.safetensors.last | sed -n 's/^step //p')
    if [ "$step" = "$last" ]; then ok "$name: the state is that of step $last"
    else FAIL "$name: the state is that of step $last" "it is that of ${step:-none}"; fi
    if ls part.*tmp > /dev/null 2>&1; then FAIL "$name: leaves nothing behind" "$(echo part.*tmp)"
    else ok "$name: leaves nothing behind"; fi
    # the command that it prints works as it stands
    command=$(sed -n 's/.*with: gpt //p' err)
    # shellcheck disable=SC2086
    "$gpt" $command > out 2> err || FAIL "$name: goes on" "gpt $command gave status $?"
    same "$name: goes on as if never stopped, best weights" whole.safetensors part.safetensors
    same "$name: goes on as if never stopped, last state" whole.safetensors.last part.safetensors.last
done

# before the first evaluation there is something to sample from, too
rm -f part.*
# shellcheck disable=SC2086
"$gpt" train $options --out part.safetensors --stop-at 5 > out 2> err || FAIL 'stopped at 5' "status $?"
check 'stopped before the first evaluation: sample' "$gpt" sample part.safetensors --chars 20
check 'stopped before the first evaluation: resume' "$gpt" train --data text.txt --resume part.safetensors.last --stop-at 10
