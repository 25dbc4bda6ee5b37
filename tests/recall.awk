# recall.awk: how much do models lose on the characters that need a memory?
#
#   gpt eval table.safetensors --tokens build/table.csv      one such file per model
#   awk -f tests/recall.awk data/recall.csv build/table.csv build/mlp.csv ... > bars.csv
#
# data/recall.csv names the characters of the validation stories that something earlier in
# the story has settled, and how many characters back that something stands. This joins it
# with each model's loss per character and prints the mean loss by distance:
#
#   distance,table,mlp,...        a column is called like its file, without .csv
#   1-50,...
#   51-100,... 101-200,... 201+,... all,...
#   in sight,...       only those whose decider stands in the model's own window
#
# On stderr: how many characters each row stands for. Files are joined by offset; where
# the character is a letter it must agree, so that an old recall.csv is noticed.

BEGIN {
    FS = ","
    OFMT = CONVFMT = "%.6g"
    if (ARGC < 3) die("usage: awk -f recall.awk recall.csv TOKENS.csv...")
    buckets = split("1-50 51-100 101-200 201+ all", name, " ")
}

function die(message) {
    failed = 1
    print "recall.awk: " message > "/dev/stderr"
    exit 1
}

function bucket(back) {
    return back <= 50 ? 1 : back <= 100 ? 2 : back <= 200 ? 3 : 4
}

{ sub(/\r$/, "") }

FNR == 1 {
    file++
    if (file == 1 && $0 != "offset,character,back,candidates,kind") {
        die(FILENAME " is not a recall.csv: its header is " $0)
    }
    if (file > 1 && $0 != "position,offset,character,loss") {
        die(FILENAME " doesn't come from gpt eval --tokens: its header is " $0)
    }
    title[file] = FILENAME
    sub(/.*\//, "", title[file])
    sub(/\.csv$/, "", title[file])
    next
}

file == 1 {
    back[$1] = $3
    letter[$1] = $2
    count[bucket($3)]++
    count[buckets]++
    next
}

# The character may be a quoted comma; so the loss is the last field, not the fourth.
$2 in back {
    if ($3 != letter[$2]) {
        die(FILENAME " has '" $3 "' at offset " $2 ", recall.csv has '" letter[$2] \
            "': they belong to different texts")
    }
    sum[file, bucket(back[$2])] += $NF
    sum[file, buckets] += $NF
    if (back[$2] <= $1 + 1) {                  # the window begins $1 + 1 characters back
        sight[file] += $NF
        seen[file]++
    }
    found[file]++
}

END {
    if (failed) exit 1
    if (file < 2) die("no file of losses")
    for (f = 2; f <= file; f++) {
        if (found[f] != count[buckets]) {
            die(title[f] " has " found[f] + 0 " of the " count[buckets] + 0 \
                " recall characters")
        }
        header = header "," title[f]
    }
    print "distance" header
    for (b = 1; b <= buckets; b++) {
        if (!count[b]) continue
        row = name[b]
        for (f = 2; f <= file; f++) row = row "," sprintf("%.4f", sum[f, b] / count[b])
        print row
        print name[b] ": " count[b] " characters" > "/dev/stderr"
    }
    row = "in sight"
    for (f = 2; f <= file; f++) {
        row = row "," (seen[f] ? sprintf("%.4f", sight[f] / seen[f]) : "")
        print "in sight of " title[f] ": " seen[f] + 0 " characters" > "/dev/stderr"
    }
    print row
}
