# parity.sh: the lines of Python in README.md open our checkpoints, and a forward pass of a few lines
# of numpy, in double, gives every token of a text the loss that gpt gives it: for every kind of model.
. "$root/tests/lib.sh"
. "$root/tests/python.sh"
find_python numpy
make_text text.txt 60
python_of_readme

cat > forward.py <<'PYTHON'
import csv, sys, numpy as np
from checkpoint import encode, read

def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + w[name + ".bias"]

def logits(w, about, ids):
    w = {name: a.astype(float) for name, a in w.items()}
    H, post = int(about["n_head"]), about["norm"] == "post"
    act = (lambda x: np.maximum(x, 0)) if about["act"] == "relu" else \
        (lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))))
    linear = lambda x, name: x @ w[name + ".weight"] + w[name + ".bias"]
    def turned(x): # (H,T,D), pairs of channels as complex numbers
        _, T, D = x.shape
        z = x[..., ::2] + 1j * x[..., 1::2]
        z = z * np.exp(1j * np.arange(T)[:, None] * 10000.0 ** (-np.arange(0, D, 2) / D))
        return np.stack([z.real, z.imag], -1).reshape(x.shape)
    def attention(x, name):
        T, C = x.shape
        q, k, v = linear(x, name + ".c_attn").reshape(T, 3, H, C // H).transpose(1, 2, 0, 3)
        if about["pos"] == "smeared":
            taps = w[name + ".smear"].reshape(3, H, 1, C // H)
            k = sum([k] + [np.pad(taps[i - 1] * k, ((0, 0), (i, 0), (0, 0)))[:, :T] for i in (1, 2, 3)])
        still = {"rotary": 0, "smeared": 1}.get(about["pos"], H)  # heads that aren't turned
        q[still:], k[still:] = turned(q[still:]), turned(k[still:])
        p = q @ k.transpose(0, 2, 1) / np.sqrt(C // H) + np.triu(np.full((T, T), -np.inf), 1)
        p = np.exp(p - p.max(-1, keepdims=True))
        return linear((p / p.sum(-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(T, C), name + ".c_proj")
    mlp = lambda x, name: linear(act(linear(x, name + ".c_fc")), name + ".c_proj")
    x = w["transformer.wte.weight"][ids]
    if about["model"] == "transformer" and about["pos"] in ("sin", "learned"): x = x + w["transformer.wpe.weight"][:len(ids)]
    for l in range(int(about["n_layer"])):
        at = f"transformer.h.{l}."
        parts = ((".ln_1", attention, "attn"), (".ln_2", mlp, "mlp"))[about["model"] == "mlp":]
        for ln, f, name in parts:
            x = norm(x + f(x, at + name), w, at + ln[1:]) if post else x + f(norm(x, w, at + ln[1:]), at + name)
    if not post: x = norm(x, w, "transformer.ln_f")
    return x @ w.get("lm_head.weight", w["transformer.wte.weight"]).T

def losses(w, about, ids): # of every token but the first, in windows that follow each other
    T, all = int(about["n_ctx"]), []
    for at in range(0, len(ids) - 1, T):
        x, y = ids[at:at + T], ids[at + 1:at + T + 1]
        p = logits(w, about, x[:len(y)])
        p = p - p.max(-1, keepdims=True)
        all += list(np.log(np.exp(p).sum(-1)) - p[range(len(y)), y])
    return np.array(all)

if __name__ == "__main__":
    bad = False
    for line in open("models"):
        file, *name = line.split()
        weights, about = read(file)
        stories = open("text.txt", encoding="utf-8").read().rstrip("\n").split("\n<|endoftext|>\n")
        valid = stories[len(stories) - len(stories) // 10:] # what gpt eval looks at
        ids = [len(about["vocab"])] + [i for story in valid for i in encode(story, about)[1:]]
        mine = losses(weights, about, ids)
        theirs = np.array([float(row[3]) for row in list(csv.reader(open(file + ".csv", encoding="utf-8")))[1:]])
        worst = abs(mine - theirs).max() if mine.shape == theirs.shape else np.inf
        print("ok" if worst < 1e-5 else "FAIL", *name, *([] if worst < 1e-5 else [f": losses differ by {worst}"]))
PYTHON

: > models
for model in transformer mlp; do
    for pos in sin learned rotary smeared none; do
        for norm in pre post; do
            for act in relu gelu; do
                for tie in yes no; do
                    [ $model = transformer ] || [ $pos = sin ] || continue
                    file=$model-$pos-$norm-$act-$tie
                    kind="--model $model --pos $pos --norm $norm --act $act --tie $tie"
                    # shellcheck disable=SC2086
                    "$gpt" train --data text.txt --out $file $small --hidden 48 $kind --steps 60 --warmup 5 --lr 0.01 \
                        --eval-every 60 > out 2> err || FAIL $file 'train'
                    "$gpt" eval $file --data text.txt --tokens $file.csv > out 2> err || FAIL $file 'eval'
                    echo "$file $kind" >> models
                done
            done
        done
    done
done
"$python" forward.py 2> err || FAIL 'the forward pass in numpy' "status $?"
