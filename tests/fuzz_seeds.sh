# fuzz_seeds.sh: what the fuzzers begin with: small files of every kind in the folders load, text and
# options, and the words that they are made of in load.dict, text.dict and options.dict.
# shellcheck shell=sh disable=SC2154
mkdir -p load text options
make_text text.txt 12
printf 'a b\n' > ab.txt
for _ in 1 2 3 4 5; do printf 'ab b\303\251 \342\202\254 \360\220\200\200"\\\n'; done > few.txt
seeds=0
for kind in '--pos learned' '--pos sin --norm post --act gelu' '--pos none --tie no' '--pos rotary' '--pos smeared' '--model mlp'; do
    for data in text few; do
        seeds=$((seeds + 1))
        # shellcheck disable=SC2086
        "$gpt" train --data $data.txt --out load/seed $kind --layers 1 --heads 1 --dim 2 --hidden 2 --context 2 \
            --batch 1 --steps 1 > /dev/null 2> err || { cat err; exit 1; }
        mv load/seed load/seed$seeds
        mv load/seed.last load/last$seeds
    done
done
# an adapter for the model in fuzz_load.c
for _ in 1 2 3 4 5; do printf 'aaba'; done > two.txt
"$gpt" train --data two.txt --out two --layers 1 --heads 1 --dim 2 --hidden 2 --context 2 --batch 1 --steps 1 > /dev/null 2>&1
"$gpt" tune two --data two.txt --old two.txt --rank 1 --batch 1 --steps 1 --out load/adapter > /dev/null 2> err || { cat err; exit 1; }
cp text.txt text/seed1
printf 'one\r\n<|endoftext|>\r\ntwo' > text/seed2
printf '\357\273\277caf\303\251\n<|endoftext|>\n\360\220\200\223\n\342\202\254' > text/seed3
printf 'train\n--dim\n64\n--heads=4\n--pos\nsin\n--lr\n1e-3' > options/seed1
printf 'sample\nmodel\n--temperature\n0.5\n--top-k\n5\n--past-end' > options/seed2
printf 'tune\nmodel\n--rank=3\n--seed\n7\n--matmul\nplain' > options/seed3
# the words of the headers, quoted as a dictionary wants them
cat load/seed* load/adapter | LC_ALL=C tr -c 'a-zA-Z0-9_.' '\n' | LC_ALL=C grep -E '^[a-zA-Z0-9_.]{2,40}$' |
    LC_ALL=C sort -u | sed 's/.*/"&"/' > load.dict
printf '"<|endoftext|>"\n"\\x0a<|endoftext|>\\x0a"\n"\\x0d\\x0a"\n"\\xef\\xbb\\xbf"\n' > text.dict
for command in train sample eval trace attend lens heads tune check info help; do
    echo "\"$command\""
    "$gpt" help $command | sed -n 's/^  --\([a-z-]*\) .*/"--\1"/p'
done | sort -u > options.dict
