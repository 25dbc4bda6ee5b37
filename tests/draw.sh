#!/bin/sh
# Tests figures/draw.awk with the awk named in $AWK (default: awk). Prints one line: ok, or
# what went wrong (then the exit status is 1).
AWK=${AWK:-awk}
draw=$(dirname "$0")/../figures/draw.awk
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
skipped=
unset LC_ALL; LC_NUMERIC=C; export LC_NUMERIC      # a decimal comma is refused, see draw.awk

fail() { echo "FAIL draw: $*"; exit 1; }

# run NAME arguments...: the picture goes to NAME.svg, stderr to NAME.err; must be good XML.
run() {
    name=$1; shift
    $AWK -f "$draw" "$@" >"$dir/$name.svg" 2>"$dir/$name.err" ||
        fail "$name: exit status $?, $(cat "$dir/$name.err")"
    if command -v xmllint >/dev/null 2>&1; then
        xmllint --noout "$dir/$name.svg" 2>"$dir/xml" || fail "$name: bad XML: $(sed 1q "$dir/xml")"
    elif command -v python3 >/dev/null 2>&1; then
        python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$dir/$name.svg" \
            2>"$dir/xml" || fail "$name: bad XML: $(tail -n 1 "$dir/xml")"
    else
        skipped=' (without an XML parser: well-formedness was not checked)'
    fi
}

# holds NAME TEXT: the picture contains the text. number NAME TEXT N: on exactly N lines.
holds() { grep -F -e "$2" "$dir/$1.svg" >/dev/null || fail "$1: '$2' is not in the picture"; }
number() {
    n=$(grep -c -F -e "$2" "$dir/$1.svg")
    [ "$n" -eq "$3" ] || fail "$1: $n lines with '$2', expected $3"
}

# refuses NAME TEXT arguments...: exit status 1, no picture, one line on stderr with the text.
refuses() {
    name=$1 text=$2; shift 2
    $AWK -f "$draw" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
    [ $status -eq 1 ] || fail "$name: exit status $status, expected 1"
    [ ! -s "$dir/out" ] || fail "$name: wrote half a picture"
    [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "$name: expected one line, got: $(cat "$dir/err")"
    grep -F -e "$text" "$dir/err" >/dev/null || fail "$name: '$text' is not in: $(cat "$dir/err")"
}

# Lines: two runs, a level, a field that is empty, CRLF, no newline at the end.
printf 'step,train,valid\n0,4.2,4.3\n100,2.5,\n200,2.3,2.4\n' >"$dir/mlp.csv"
printf 'step,train,valid\r\n0,4.2,4.3\r\n100,1.8,\r\n200,1.1,1.2' >"$dir/tiny & <mighty>.csv"
run lines -v kind=lines -v title='a < b & "c"' -v x=step -v y=valid -v hline='bigram 2.28' \
    "$dir/mlp.csv" "$dir/tiny & <mighty>.csv"
holds lines '<title>a &lt; b &amp; &quot;c&quot;</title>'
holds lines '>tiny &amp; &lt;mighty&gt;</text>'
holds lines '>mlp</text>'
holds lines '>bigram 2.28</text>'
number lines "<path class='line " 4        # two runs, and each once more beside its name
number lines '<circle ' 4                  # the empty fields are no points
run columns -v kind=lines -v title=T -v x=step -v y=train,valid -v names='one,two' "$dir/mlp.csv"
holds columns '>one</text>'
number columns '<circle ' 5
printf 'step,train\n5,2.5\n' >"$dir/point.csv"
run point -v kind=lines -v title=T -v x=step -v y=train "$dir/point.csv"
number point '<circle ' 1

# Bars: a value on each, one missing, one negative.
printf 'model,bits,nats\nMLP,3.3,2.28\n"a ""quoted"", one",-1.5,\n' >"$dir/bars.csv"
run bars -v kind=bars -v title=T -v x=model -v y=bits,nats "$dir/bars.csv"
holds bars '>a &quot;quoted&quot;, one</text>'
number bars "<rect class='fill" 5          # three bars and two colours in the legend
for value in 3.3 2.28 -1.5; do holds bars ">$value</text>"; done

# A power law: 20 N^-0.3 + 0.7 must come back.
if $AWK 'BEGIN { exit log(1) }' >/dev/null 2>&1; then
    $AWK 'BEGIN { print "parameters,loss"
        for (n = 5000; n < 2e6; n *= 3) printf "%d,%.4f\n", n, 20 * exp(-0.3 * log(n)) + 0.7
    }' >"$dir/law.csv"
    run law -v kind=lines -v title=T -v x=parameters -v y=loss -v xlog=1 -v ylog=1 -v fit=1 \
        "$dir/law.csv"
    b=$(sed -n 's/^fit a=[^ ]* b=\([0-9.]*\) c=[^ ]*$/\1/p' "$dir/law.err")
    $AWK -v b="$b" 'BEGIN { exit !(b > 0.294 && b < 0.306) }' || fail "law: b=$b, expected 0.3"
    holds law 'exponent b = 0.3'
else
    skipped="$skipped (this awk has no log(): the fit was not checked)"
fi

# Attention: 2 layers of 3 heads; characters that XML and CSV care about.
$AWK 'BEGIN {
    n = split("<eot>|\"<\"|&|\"\"\"\"|\",\"| |\\n|\303\251|\001", c, "|")
    print "layer,head,query,key,query_char,key_char,weight"
    for (l = 0; l < 2; l++) for (h = 0; h < 3; h++)
        for (q = 1; q <= n; q++) for (k = 1; k <= q; k++)
            print l "," h "," q - 1 "," k - 1 "," c[q] "," c[k] "," (k == q ? 1 : 0.001)
}' >"$dir/attend.csv"
run attend -v kind=heat -v title=T "$dir/attend.csv"
[ "$(grep '<use ' "$dir/attend.svg" | sort -u | wc -l)" -eq 6 ] || fail 'attend: panels overlap'
for label in 'layer 0 head 0' 'layer 1 head 2' '&lt;eot&gt;' '&lt;' '&amp;' '&quot;' ',' '␣' '↵' \
    'é' '�'; do
    holds attend ">$label</text>"
done
number attend "d='M0 0h1M1 1h1M2 2h1M3 3h1M4 4h1M5 5h1M6 6h1M7 7h1M8 8h1'" 6   # nothing below 0.5 %

# A prompt of 100 characters, the hardest case: twelve equal weights apart from each other.
$AWK 'BEGIN {
    print "layer,head,query,key,query_char,key_char,weight"
    for (l = 0; l < 4; l++) for (h = 0; h < 4; h++)
        for (q = 0; q <= 100; q++) for (k = 0; k <= q; k++)
            print l "," h "," q "," k ",q,k," \
                (k % 2 == q % 2 && k < 24 ? 0.083 : k % 2 ? 0.006 : 0.001)
}' >"$dir/long.csv"
run long -v kind=heat -v title=T "$dir/long.csv"
number long '<use ' 16
size=$(wc -c <"$dir/long.svg")
[ "$size" -lt 200000 ] || fail "long: $size bytes, expected less than 200000"

# Any table: panels, texts, marks.
printf '%s\n' layer,at,char,best,p,right,part 0,0,a,x,0.9,1,A '0,1,a,&,0.1,0,A' \
    '0,0,a,<eot>,0.9,1,B' >"$dir/lens.csv"
run lens -v kind=heat -v title=T -v row=layer -v col=at -v collabel=char -v value=p -v text=best \
    -v mark=right -v panel=part "$dir/lens.csv"
number lens '<use ' 2
number lens "<path class='mark'" 2
holds lens '>&amp;</text>'
holds lens 'underlined: right'

# Errors.
cd "$dir" || exit 1
case $draw in /*) ;; *) draw=$OLDPWD/$draw ;; esac
: >empty.csv; echo step,train >header.csv
printf 'step,train\n1,abc\n' >word.csv; printf 'step,train\n1,2,3\n' >wide.csv
printf 'step,train\n1,"2\n' >quote.csv; printf 'step,train\n1,\n' >hole.csv
printf 'layer,head,query,key,query_char,key_char,weight\n0,0,0,0,a,a,1.7\n' >weight.csv
t='-v kind=lines -v x=step -v y=train'
refuses column "has no column 'loss'; it has step,train,valid" $t,loss mlp.csv
refuses empty 'empty.csv is empty' $t empty.csv
refuses header 'no records' $t header.csv
refuses word "word.csv line 2: column 'train' holds 'abc'; it must be a number" $t word.csv
refuses wide 'has 3 fields; the header has 2' $t wide.csv
refuses quote 'closing quote' $t quote.csv
refuses hole 'train is empty' $t hole.csv
refuses missing 'cannot read missing.csv' $t missing.csv
refuses nofile 'no CSV file' $t
refuses kind 'must be lines, bars or heat' -v kind=pie mlp.csv
refuses noy 'needs -v x=COLUMN' -v kind=bars mlp.csv
refuses hline "hline holds 'big'" $t -v hline=big mlp.csv
refuses names 'must hold 1 names' $t -v names=a,b mlp.csv
refuses weight 'weight is 1.7; it must be between 0 and 1' -v kind=heat weight.csv
refuses twice 'comes twice' -v kind=heat -v row=layer -v col=char -v value=p lens.csv
refuses heat "has no column 'layer'" -v kind=heat mlp.csv
case $skipped in *log*) ;; *)
    refuses fit 'fit=1 needs 3 different' $t -v fit=1 point.csv
    printf 'step,train\n1,1\n2,2\n3,3\n' >rise.csv
    refuses rise 'no power law fits' $t -v fit=1 rise.csv ;;
esac
echo "ok draw$skipped"
