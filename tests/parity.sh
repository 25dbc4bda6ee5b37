# parity.sh: PyTorch computes the same cross-entropy from our checkpoints, for every kind of model.
# Needs the reference implementation in ../shared/peers and a python3 that has torch.
. "$root/tests/lib.sh"
peer=$root/../shared/peers/torch_gpt.py
[ -f "$peer" ] || { echo 'skipped: ../shared/peers/torch_gpt.py is not there'; exit 77; }
python=
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import torch' > /dev/null 2>&1; then python=$candidate; break; fi
done
[ "$python" ] || { echo 'skipped: no python3 with torch'; exit 77; }
make_text text.txt 60

# the validation part as ids: characters in ascending order, then the end-of-text token
cat > all.py <<'PYTHON'
import contextlib, importlib.util, io, re, sys, types
spec = importlib.util.spec_from_file_location("peer", sys.argv[1])
peer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peer)
stories = [s.strip("\n") for s in open("text.txt").read().split("<|endoftext|>")]
vocab = sorted(set("".join(stories)))
ids = [len(vocab)]
for story in stories[len(stories) - len(stories) // 10:]: ids += [vocab.index(c) for c in story] + [len(vocab)]
T, bad = 16, 0
for line in open("models"):
    file, loss, double, *name = line.split()
    total = 0
    for at in range(0, len(ids) - 1, T): # windows that follow each other
        window = ids[at:at + T + 1]
        a = types.SimpleNamespace(file=file, tokens=window, heads=2, norm="pre", act="gelu", context=T + 1, double=double == "1")
        if len(window) > T: # the reference cuts at its table of positions: one window, then its last target
            a.tokens, target = window[:T], window[T]
        said = io.StringIO()
        with contextlib.redirect_stdout(said): peer.parity(a)
        text = said.getvalue()
        n = len(a.tokens) - 1
        if n: total += n * float(re.search(r"^loss (.*)$", text, re.M)[1])
        if len(window) > T:
            logits = peer.torch.tensor([float(x) for x in re.search(r"^logits (.*)$", text, re.M)[1].split()]).double()
            total -= float(logits.log_softmax(-1)[target])
    theirs = total / (len(ids) - 1)
    if abs(theirs - float(loss)) < 1e-4: print("ok", *name)
    else: print("FAIL", *name, f": gpt {loss}, torch {theirs:.6f}"); bad = 1
PYTHON
: > models
for model in transformer mlp; do
    for pos in sin learned none; do
        for norm in pre post; do
            for act in relu gelu; do
                for tie in yes no; do
                    [ $model = transformer ] || [ $pos = sin ] || continue
                    file=$model-$pos-$norm-$act-$tie
                    # shellcheck disable=SC2086
                    "$gpt" train --data text.txt --out $file $small --hidden 64 --model $model --pos $pos --norm $norm --act $act \
                        --tie $tie --steps 60 --warmup 5 --lr 0.01 --eval-every 60 > out 2> err || FAIL $file 'train'
                    loss=$("$gpt" eval $file --data text.txt | sed -n 's/^loss \([0-9.]*\) .*/\1/p')
                    echo "$file ${loss:-0} 0 $model --pos $pos --norm $norm --act $act --tie $tie" >> models
                done
            done
        done
    done
done
"$python" all.py "$peer" 2> err || FAIL 'the reference' "status $?"
