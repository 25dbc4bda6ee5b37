#!/bin/sh
# fetch.sh: downloads TinyStories, 2.2 GB of short stories in the words of a small child.
#
#     data/fetch.sh [FOLDER]            default: build/tinystories, which git ignores
#
# Until a file is complete it is called FILE.part; after a broken download the same
# command goes on from there. Needs curl or wget, nothing else.
#
#     TINYSTORIES_BASE=https://...      another address to fetch from, such as a mirror
#     TINYSTORIES_DIR=FOLDER            another folder, the same as the argument
set -u
LC_ALL=C
export LC_ALL

base=https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main
base=${TINYSTORIES_BASE:-$base}
base=${base%/}
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
folder=${1:-${TINYSTORIES_DIR:-$root/build/tinystories}}

say() { echo "fetch: $*"; }
die() { echo "fetch: $*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }
bytes_of() { if [ -f "$1" ]; then wc -c < "$1" | tr -d ' '; else echo 0; fi; }

print_sha256() {
    if has sha256sum; then sha256sum < "$1"
    elif has shasum; then shasum -a 256 < "$1"
    elif has openssl; then openssl dgst -sha256 < "$1" | sed 's/.*= *//'
    else echo 'unknown: none of sha256sum, shasum, openssl is here'
    fi | sed "s/ *-\$//; s/^/sha256 /; s/\$/  ${1##*/}/"
}

# Reads the headers of an answer, prints its status and the size of the whole file. After
# redirections the last answer counts. A part says "Content-Range: bytes 0-0/SIZE".
status_and_size() {
    tr -d '\r' | awk '
        { key = tolower($1) }
        key ~ /^http\//         { status = $2; size = "" }
        key == "content-length:" && status == 200 { size = $2 }
        key == "content-range:" { size = $NF; sub(/.*\//, "", size) }
        END { print status + 0, size }'
}

ask_head() {
    if [ "$tool" = curl ]; then curl -s -L -I --connect-timeout 20 -m 60 "$1"
    else wget -S --spider -t 3 -T 20 "$1" 2>&1
    fi | status_and_size
}

# Some servers refuse HEAD for files that they let us GET: ask for the first byte instead.
ask_first_byte() {
    if [ "$tool" = curl ]; then
        curl -s -L -r 0-0 -D - --connect-timeout 20 -m 60 -o /dev/null "$1"
    else
        wget -S --header='Range: bytes=0-0' -t 3 -T 20 -O /dev/null "$1" 2>&1
    fi | status_and_size
}

# get URL FILE HAVE: appends what is missing to FILE, which has HAVE bytes; shows progress
# on a terminal. Status 3: cannot write; 33: the server can only send from the start.
get() {
    if [ "$tool" = curl ]; then
        if [ -t 2 ]; then show=-#; else show=-s; fi
        curl $show -f -L -C "$3" --connect-timeout 20 -y 60 -Y 100 -o "$2" "$1"
        code=$?
        if [ $code = 23 ]; then return 3; else return $code; fi
    fi
    if [ -t 2 ]; then show=-c; else show=-q; fi
    wget $show -c -t 3 -T 60 -O "$2" "$1"
}

fetch() {
    url=$base/$1 file=$folder/$1 part=$folder/$1.part
    if [ -f "$file" ]; then
        say "$1 is here already, $(bytes_of "$file") bytes"
        print_sha256 "$file"
        return
    fi

    # shellcheck disable=SC2046
    set -- "$1" $(ask_head "$url")
    # shellcheck disable=SC2046
    if [ "$2" != 0 ] && ! is_number "${3-}"; then set -- "$1" $(ask_first_byte "$url"); fi
    [ "$2" != 0 ] || die "no answer from $url: is the network up?"
    [ "$2" -lt 400 ] || die "the server answers $2 for $url"
    size=${3-}
    is_number "$size" || die "the server does not tell the size of $url"

    have=$(bytes_of "$part")
    if [ "$have" -gt "$size" ]; then
        say "$part is larger than the file on the server; starting anew"
        rm -f "$part"
        have=0
    fi
    free=$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')
    if is_number "$free" && [ "$free" -lt $(((size - have) / 1024)) ]; then
        die "disk full: $1 needs $(((size - have) / 1024)) KB more, $folder has $free KB"
    fi

    # As long as every attempt brings something, a broken connection is no reason to stop.
    anew=no
    while [ "$have" -lt "$size" ]; do
        say "$1: $have of $size bytes are here, fetching the rest"
        get "$url" "$part" "$have"
        code=$?
        now=$(bytes_of "$part")
        if [ $code = 3 ]; then die "cannot write $part; is the disk full?"; fi
        if [ $code = 33 ] && [ "$anew" = no ]; then
            say "the server cannot go on in the middle of a file; starting anew"
            rm -f "$part"
            now=0 anew=yes
        elif [ "$now" -le "$have" ]; then
            die "$1 stopped at $now of $size bytes ($tool: $code); run it again, or" \
                "delete $part to start anew"
        fi
        have=$now
    done
    [ "$have" = "$size" ] || die "$1 has $have bytes, the server said $size; run it again"
    mv -f "$part" "$file" || die "cannot rename $part"
    say "$1 is complete, $size bytes"
    print_sha256 "$file"
}

if has curl; then tool=curl
elif has wget; then tool=wget
else die "neither curl nor wget is here; install one, or open $base in a browser"
fi
mkdir -p "$folder" 2>/dev/null || die "cannot make the folder $folder"
[ -w "$folder" ] || die "cannot write into $folder"
trap 'echo "fetch: stopped; the same command goes on from here" >&2; exit 130' INT TERM

say 'TinyStories by Ronen Eldan and Yuanzhi Li (2023), short stories written by GPT-4;'
say "licence CDLA-Sharing-1.0. Two files, about 2.2 GB, go to $folder"
fetch TinyStoriesV2-GPT4-valid.txt
fetch TinyStoriesV2-GPT4-train.txt
