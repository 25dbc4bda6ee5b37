# python.sh: for tests that need Python: which one, and the lines of it in README.md.
# shellcheck shell=sh disable=SC2154
# find_python MODULE...: $python has all these modules, or the test is skipped
find_python() {
    python=
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c "import $(echo "$*" | tr ' ' ,)" > /dev/null 2>&1; then python=$candidate; break; fi
    done
    [ "$python" ] || { echo "skipped: no python3 with $*"; exit 77; }
}
# every block of Python in README.md, in the file that its first line names
python_of_readme() {
    awk '/^```python/ { getline; file = $2; sub(/[:,]$/, "", file); on = 1 }
        /^```$/ { on = 0 }
        on { print > file }' "$root/README.md"
    if [ ! -s checkpoint.py ] || [ ! -s more.py ]; then FAIL 'README.md' 'its lines of Python are not there'; fi
}
