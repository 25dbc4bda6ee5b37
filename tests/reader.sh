# reader.sh: a checkpoint is a safetensors file: a reader of a few lines of Python, without any
# library, opens it and finds every tensor where the header says.
. "$root/tests/lib.sh"
has python3 || { echo 'skipped: no python3'; exit 77; }
make_text text.txt 60
cat > read.py <<'PYTHON'
import json, math, struct, sys
file, double, layers, C, F, T, kind, tie, adam = sys.argv[1], *map(int, sys.argv[2:7]), *sys.argv[7:]
text = open("text.txt", encoding="utf-8").read()
V = len(set(text.replace("\n<|endoftext|>\n", "").rstrip("\n"))) + 1
data = open(file, "rb").read()
n, = struct.unpack("<Q", data[:8])
assert n % 8 == 0 and data[8:9] == b"{"
header = json.loads(data[8:8 + n].decode("ascii"))
meta = header.pop("__metadata__")
assert list(meta)[0] == "format" and meta["format"] == "pt"
assert all(type(value) is str for value in meta.values())
assert int(meta["vocab_size"]) == V == len(meta["vocab"]) + 1, meta["vocab"]
assert list(meta["vocab"]) == sorted(set(text.replace("\n<|endoftext|>\n", "").rstrip("\n")))
expected = {"transformer.wte.weight": [V, C]}
attends = kind != "mlp"
if attends and kind != "none": expected["transformer.wpe.weight"] = [T, C // int(meta["n_head"]) if kind in ("rotary", "smeared") else C]
for l in range(layers):
    p = f"transformer.h.{l}."
    if attends: expected |= {p + "ln_1.weight": [C], p + "ln_1.bias": [C], p + "attn.c_attn.weight": [C, 3 * C],
        p + "attn.c_attn.bias": [3 * C], p + "attn.c_proj.weight": [C, C], p + "attn.c_proj.bias": [C]}
    if kind == "smeared": expected[p + "attn.smear"] = [3, C]
    expected |= {p + "ln_2.weight": [C], p + "ln_2.bias": [C], p + "mlp.c_fc.weight": [C, F],
        p + "mlp.c_fc.bias": [F], p + "mlp.c_proj.weight": [F, C], p + "mlp.c_proj.bias": [C]}
if meta["norm"] == "pre": expected |= {"transformer.ln_f.weight": [C], "transformer.ln_f.bias": [C]}
if tie == "no": expected["lm_head.weight"] = [V, C]
if adam == "yes":
    expected |= {p + name: shape for p in ("adam.m.", "adam.v.") for name, shape in list(expected.items())}
assert {name: t["shape"] for name, t in header.items()} == expected, set(header) ^ set(expected)
size, at = (8 if double else 4), 0
for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, end = t["data_offsets"]
    assert t["dtype"] == ("F64" if double else "F32") and begin == at, name
    assert end - begin == size * math.prod(t["shape"]), name
    numbers = struct.unpack(f"<{(end - begin) // size}{'d' if double else 'f'}", data[8 + n + begin:8 + n + end])
    assert all(map(math.isfinite, numbers)), name
    at = end
    if "ln_" in name and name.endswith(".weight") and "adam" not in name: assert 0.5 < sum(numbers) / len(numbers) < 2, name
    if name.startswith("adam.v."): assert min(numbers) >= 0, name
assert len(data) == 8 + n + at
for word in ("data", "path", "threads", "time", "seconds", "date"): assert word not in meta, word
PYTHON
# an é, a quotation mark, a backslash, a tab and an animal beyond U+FFFF in the vocabulary
printf 'caf\303\251 "quoted" back\\slash\ta \360\237\220\223 crowed.\n<|endoftext|>\n' >> text.txt
for double in 0 1; do
    program=$gpt
    [ $double = 0 ] || program=$gpt_double
    for kind in learned sin rotary smeared none mlp; do
        for options in '--norm pre --tie yes' '--norm post --tie no'; do
            model="--pos $kind"
            [ $kind != mlp ] || model='--model mlp'
            # shellcheck disable=SC2086
            "$program" train --data text.txt --out m.safetensors $small $model $options --steps 5 > out 2> err
            tie=${options##* }
            check "weights of $kind $options, $(basename "$program")" python3 read.py m.safetensors $double 2 16 32 16 $kind "$tie" no
            check "state of $kind $options, $(basename "$program")" python3 read.py m.safetensors.last $double 2 16 32 16 $kind "$tie" yes
        done
    done
done
# the file says nothing of where and when it was made
cp m.safetensors first.safetensors
sleep 1
mkdir -p elsewhere
cp text.txt elsewhere/other.txt
# shellcheck disable=SC2086
"$program" train --data elsewhere/other.txt --out elsewhere/m.safetensors $small $model $options --steps 5 > out 2> err
same 'the same bytes at another time from another folder' first.safetensors elsewhere/m.safetensors
# a vocabulary of quotation marks and animals survives reading
printf 'a prompt with "' > prompt
"$program" sample m.safetensors --prompt "caf$(printf '\303\251') \"$(printf '\360\237\220\223')\\" --chars 5 > out 2> err
finds 'every character of the vocabulary can be prompted' "^caf$(printf '\303\251') \"" out
