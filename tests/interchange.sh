# interchange.sh: the lines of Python in README.md turn our checkpoints into GPT-2s of Hugging Face's
# and back, and train them on with PyTorch in two processes. Where the package transformers is not
# installed, a GPT-2 of a few lines takes its place, with the same names and layouts.
. "$root/tests/lib.sh"
. "$root/tests/python.sh"
find_python numpy torch
make_text text.txt 60
printf '<|endoftext|>\nA "caf\303\251" \\n \t \360\237\220\223\177 crowed.\n' >> text.txt # what JSON writes specially
python_of_readme
sed -n "/^cat > forward.py/,/^PYTHON$/p" "$root/tests/parity.sh" | sed '1d;$d' > forward.py # the same in numpy

if "$python" -c 'import transformers' > /dev/null 2>&1; then echo 'ok the package transformers is here'
else
    skip 'with the package transformers' 'it is not installed; a stand-in of a few lines takes its place'
    cat > transformers.py <<'PYTHON'
from types import SimpleNamespace as GPT2Config
import math, torch
from torch import nn

class Conv1D(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(n_in, n_out)), nn.Parameter(torch.zeros(n_out))
    def forward(self, x): return x @ self.weight + self.bias

def gelu_new(x): return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))

class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.H, self.c_attn, self.c_proj = c.n_head, Conv1D(c.n_embd, 3 * c.n_embd), Conv1D(c.n_embd, c.n_embd)
        self.register_buffer("bias", torch.ones(c.n_positions, c.n_positions, dtype=torch.uint8).tril()) # as it was
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.H, C // self.H).permute(2, 0, 3, 1, 4)
        p = (q @ k.transpose(2, 3) / math.sqrt(C // self.H)).masked_fill(self.bias[:T, :T] == 0, -math.inf).softmax(-1)
        return self.c_proj((p @ v).transpose(1, 2).reshape(B, T, C))

class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(c.n_embd, c.n_inner), Conv1D(c.n_inner, c.n_embd)
        self.act = {"relu": torch.relu, "gelu_new": gelu_new}[c.activation_function]
    def forward(self, x): return self.c_proj(self.act(self.c_fc(x)))

class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(c.n_embd, c.layer_norm_epsilon), Attention(c)
        self.ln_2, self.mlp = nn.LayerNorm(c.n_embd, c.layer_norm_epsilon), MLP(c)
    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))

class GPT2LMHeadModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        t = self.transformer = nn.Module()
        t.wte, t.wpe = nn.Embedding(c.vocab_size, c.n_embd), nn.Embedding(c.n_positions, c.n_embd)
        t.h = nn.ModuleList(Block(c) for _ in range(c.n_layer))
        t.ln_f = nn.LayerNorm(c.n_embd, c.layer_norm_epsilon)
        self.lm_head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        if c.tie_word_embeddings: self.lm_head.weight = t.wte.weight
    def forward(self, ids):
        t = self.transformer
        x = t.wte(ids) + t.wpe.weight[:ids.shape[1]]
        for block in t.h: x = block(x)
        return GPT2Config(logits=self.lm_head(t.ln_f(x)))
PYTHON
fi

cat > there.py <<'PYTHON'
# there and back: as it is, and as if its ids stood for other characters
import sys, numpy, torch
from checkpoint import encode, from_gpt2, read, to_gpt2
from forward import logits
file = sys.argv[1]
model, about = to_gpt2(file)
model.eval()
ids = encode("The cat sat", about)
ours = logits(*read(file), ids)
theirs = model(torch.tensor([ids])).logits[0].detach().numpy()
assert abs(ours - theirs).max() < 1e-4, abs(ours - theirs).max()
characters, state = [*about["vocab"], None], model.state_dict()
from_gpt2(file + ".back", state, characters, int(about["n_head"]), about["act"])
mixed = numpy.random.default_rng(1).permutation(len(characters))
for name in "transformer.wte.weight", "lm_head.weight": state[name] = state[name][mixed]
from_gpt2(file + ".mixed", state, [characters[i] for i in mixed], int(about["n_head"]), about["act"])
PYTHON

for kind in '--pos learned' '--pos sin --act gelu --hidden 48' '--pos learned --tie no'; do
    # shellcheck disable=SC2086
    "$gpt" train --data text.txt --out m $small $kind --steps 60 --warmup 5 --lr 0.01 --eval-every 60 > out 2> err
    check "to GPT-2 and back, $kind" "$python" there.py m
    "$gpt" eval m --data text.txt > loss.txt
    for copy in back mixed; do
        "$gpt" eval m.$copy --data text.txt > loss.$copy 2> err
        same "gpt reads it, with the same loss ($copy)" loss.txt loss.$copy
    done
done
for kind in '--norm post' '--pos none' '--pos rotary' '--pos smeared' '--model mlp'; do
    # shellcheck disable=SC2086
    "$gpt" train --data text.txt --out n $small $kind --steps 2 > out 2> err
    if "$python" there.py n > out 2> err; then FAIL "no counterpart: $kind" 'it was converted'
    else finds "no counterpart: $kind" 'no counterpart' err; fi
done

loss() { "$gpt" eval "$1" --data text.txt 2> err | sed -n 's/^loss \([0-9.]*\) .*/\1/p'; }
OMP_NUM_THREADS=1
export OMP_NUM_THREADS
if "$python" -c 'import torch.distributed as d; assert d.is_available()' > /dev/null 2>&1; then
    before=$(loss m) arguments="more.py m text.txt more.safetensors 100"
    echo 'import torch.distributed as d; d.init_process_group("gloo")' > nothing.py
    MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + $$ % 10000)) WORLD_SIZE=2
    if "$python" -m torch.distributed.run --nproc_per_node 2 --master_port $MASTER_PORT nothing.py > out 2> err; then
        # shellcheck disable=SC2086
        check 'torchrun' "$python" -m torch.distributed.run --nproc_per_node 2 --master_port $MASTER_PORT $arguments
    else # Debian's of 2023 does not start anything; this is what it would do
        skip 'torchrun' "it does not work here: $(tail -n 1 err)"
        export MASTER_ADDR MASTER_PORT WORLD_SIZE
        # shellcheck disable=SC2086
        RANK=1 LOCAL_RANK=1 "$python" $arguments > out1 2> err1 &
        # shellcheck disable=SC2086
        RANK=0 LOCAL_RANK=0 check 'two processes' "$python" $arguments
        wait $!
    fi
    after=$(loss more.safetensors)
    if awk "BEGIN { exit !(${after:-9} < ${before:-0} - 0.05) }"
    then ok 'two processes train it on, and gpt reads what they wrote'
    else FAIL 'two processes train it on' "loss $before before, ${after:-none} after"; fi
else skip 'two processes train it on' 'torch.distributed is not there'; fi
