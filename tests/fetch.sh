#!/bin/sh
# fetch.sh: tests data/fetch.sh against a small server on this machine, with curl and with
# wget. A line per check; exit status 0, 1 after a failure, 77 if it cannot test anything.
# shellcheck disable=SC2317             # functions that are called by check and trap
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
has() { command -v "$1" >/dev/null 2>&1; }
if ! has python3 || ! { has curl || has wget; }; then
    echo 'skipped: fetch needs python3, and curl or wget'
    exit 77
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/fetch.XXXXXX") || exit 1
server=
stop() {
    if [ "$server" ]; then
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM HUP
HOME=$work no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
export HOME no_proxy NO_PROXY
unset TINYSTORIES_DIR

# ---- two files of known content ----
small=TinyStoriesV2-GPT4-valid.txt large=TinyStoriesV2-GPT4-train.txt
mkdir "$work/www"
awk 'BEGIN { for (i = 0; i < 999; i++) print "small", i, i * i }' > "$work/www/$small"
awk 'BEGIN { for (i = 0; i < 29999; i++) print "large", i, i * i }' > "$work/www/$large"
size=$(wc -c < "$work/www/$large" | tr -d ' ')
half=$((size / 2))

# ---- a server that can misbehave: http://127.0.0.1:PORT/MODE/FILE ----
cat > "$work/server.py" <<'PYTHON'
import http.server, os, re, sys, threading
folder, log, port_file = sys.argv[1:]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self): self.answer(True)
    def do_GET(self): self.answer(False)
    def log_message(self, *words): pass

    def begin(self, status, **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()

    def answer(self, is_head):
        mode, name = self.path.strip("/").split("/")
        if mode == "missing":
            return self.begin(404, Content_Length=0)
        if mode == "redirect":                      # to a place that refuses HEAD
            return self.begin(302, Location="/nohead/" + name, Content_Length=0)
        if mode == "nohead" and is_head:
            return self.begin(403, Content_Length=0)
        with open(os.path.join(folder, name), "rb") as f:
            body = f.read()
        size, first = len(body), 0
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if mode == "nosize":                        # until the connection closes
            self.begin(200)
        elif is_head:
            wrong = {"promise": 5, "understate": -5}
            self.begin(200, Content_Length=size + wrong.get(mode, 0))
        elif asked and mode != "norange":
            first = int(asked[1])
            body = body[first:int(asked[2] or size) + 1]
            if not body:
                span = "bytes */%d" % size
                return self.begin(416, Content_Length=0, Content_Range=span)
            span = "bytes %d-%d/%d" % (first, first + len(body) - 1, size)
            self.begin(206, Content_Length=len(body), Content_Range=span)
        else:
            self.begin(200, Content_Length=size)
        if is_head:
            return
        if mode == "cut": body = body[:300000]      # the connection breaks after so much
        if mode == "dead": body = b""
        with open(log, "a") as f:                   # FILE, first byte, bytes sent
            print(name, first, len(body), file=f)
        self.wfile.write(body)

threading.Timer(240, os._exit, [1]).start()         # it never outlives the test for long
httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as f:
    f.write(str(httpd.server_address[1]))
os.rename(port_file + ".new", port_file)
httpd.serve_forever()
PYTHON
python3 "$work/server.py" "$work/www" "$work/log" "$work/port" &
server=$!
tries=0
while [ ! -f "$work/port" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ]; then echo 'FAIL the test server does not start'; exit 1; fi
    sleep 0.1 2>/dev/null || sleep 1
done
port=$(cat "$work/port")

# ---- helpers ----
# A folder with the commands that fetch.sh may use and those named here: the whole PATH.
make_path() {
    bin=$work/bin
    rm -rf "$bin"
    mkdir "$bin"
    set -- "$@" sh awk tr wc cut sed df mkdir rm mv dirname sha256sum shasum openssl
    for name in "$@"; do
        if has "$name"; then ln -s "$(command -v "$name")" "$bin/$name"; fi
    done
}

new() { rm -rf "$work/to" "$work/log"; mkdir "$work/to"; : > "$work/log"; }
half_file() { head -c "$1" "$work/www/$large" > "$work/to/$large.part"; }

# run MODE: fetches from http://127.0.0.1:PORT/MODE; the status goes to $status.
run() {
    base=http://127.0.0.1:$port/$1
    TINYSTORIES_BASE=$base PATH=$bin "$root/data/fetch.sh" "$work/to" \
        > "$work/out" 2> "$work/err"
    status=$?
}

failed=0
check() {                           # check NAME COMMAND...: ok when the command succeeds
    name=$1
    shift
    if "$@"; then echo "ok $tool: $name"; return; fi
    echo "FAIL $tool: $name"
    sed 's/^/    /' "$work/out" "$work/err" "$work/log"
    failed=1
}

whole() {                           # both files are here, right, and nothing else
    [ "$status" = 0 ] && cmp -s "$work/www/$small" "$work/to/$small" &&
        cmp -s "$work/www/$large" "$work/to/$large" && set -- "$work/to"/* && [ $# = 2 ]
}
sent() { [ "$(grep "$large" "$work/log" | tr '\n' ';')" = "$1" ]; }
# It said one line with this in it, ended with a failure, and gave no file its final name.
refused() {
    [ "$status" != 0 ] && [ "$(wc -l < "$work/err")" -eq 1 ] &&
        grep -q "$1" "$work/err" &&
        [ ! -e "$work/to/$large" ] && [ ! -e "$work/to/$small" ]
}
sha256_printed() {
    sum=$(python3 -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$work/www/$large")
    grep -q "sha256 $sum  $large" "$work/out"
}

# ---- the checks ----
for tool in curl wget; do
    if ! has $tool; then echo "skipped $tool: not installed"; continue; fi
    make_path $tool

    new; run good
    check 'a complete download' whole
    check 'prints the sha256' sha256_printed
    check 'names the licence' grep -q CDLA-Sharing-1.0 "$work/out"
    : > "$work/log"; run good
    check 'a second run fetches nothing' [ ! -s "$work/log" ]
    check 'a second run succeeds' whole

    new; half_file "$half"; run good
    check 'half a file is completed' whole
    check 'only the rest is sent' sent "$large $half $((size - half));"
    new; half_file "$size"; run good
    check 'a complete FILE.part gets its name' whole
    check 'and is not sent again' sent ''
    new; half_file "$size"; echo more >> "$work/to/$large.part"; run good
    check 'too large a FILE.part is replaced' whole
    new; run cut
    check 'a connection that breaks is taken up again' whole
    check 'and nothing is sent twice' sent \
        "$large 0 300000;$large 300000 300000;$large 600000 $((size - 600000));"
    new; half_file "$half"; run norange
    check 'a server without ranges starts anew' whole
    new; run redirect
    check 'a redirection to where HEAD is refused' whole

    new; run missing
    check 'a missing file' refused 'answers 404'
    check 'leaves nothing behind' [ -z "$(ls "$work/to")" ]
    new; run promise
    check 'a file smaller than the server said' refused stopped
    new; run understate
    check 'a file larger than the server said' refused 'the server said'
    new; run dead
    check 'a server that sends nothing' refused 'stopped at 0 of'
    new; run nosize
    check 'a server that tells no size' refused 'does not tell the size'
    new; rm -rf "$work/to"; : > "$work/to"; run good
    check 'a file where the folder should be' refused 'cannot make the folder'
    new
    printf '#!/bin/sh\necho Filesystem\necho disk 9 9 0 100%% /\n' > "$work/df"
    chmod +x "$work/df"; ln -sf "$work/df" "$bin/df"; run good
    check 'a full disk' refused 'disk full'
    make_path $tool
    new; open=$port; port=1; run good; port=$open
    check 'no server' refused 'is the network up'
done

tool=none
make_path
new; run good
check 'neither curl nor wget' refused 'neither curl nor wget'
exit $failed
