# lab.awk: what the labs make of gpt.c. A line `// lab N` stands above each function that a lab asks for.
#
#   awk -f tests/lab.awk gpt.c > starter.c
#       the functions lose their bodies; calling one says so and ends the program with status 3
#   awk -v mode=grade -v labs="1 4" -f tests/lab.awk gpt.c yours.c > both.c
#       yours.c, where each function of labs 1 and 4 has two bodies, its own and that of gpt.c: tests/lab.c
#       asks for one or the other, so that a mistake in one function spoils no test of another. The
#       functions of all other labs get the body of gpt.c, whatever yours.c has. With labs="" a starter
#       becomes gpt.c again, byte for byte.
#   awk -v mode=list -f tests/lab.awk gpt.c
#       the marked functions: lab, name

# A signature: its lines up to the one with the brace, which may be the line of the name or a later one.
function is_signature(line) { return line ~ /^[A-Za-z_].*\(/ && line !~ /^[A-Z_]+\(/ }
function name_of(line) {
    sub(/\(.*/, "", line)
    sub(/.*[ *]/, "", line)
    return line
}
function plain(name) { # as the caller knows it: PER_CPU makes softmax of softmax_any
    sub(/_any$/, "", name)
    return name
}
function two_bodies(name) {
    printf "if (yours(\"%s\")) {\n#line %d \"%s\"\n%s} else {\n#line %d \"gpt.c\"\n%s}\n", plain(name),
        began + 1, FILENAME, own, line_of[name], body[name]
    printf "}\n#line %d \"%s\"\n", FNR + 1, FILENAME
}

BEGIN {
    count = split(labs, chosen, " ")
    for (i = 1; i <= count; i++) graded[chosen[i]] = 1
    while (mode == "grade" && (getline line < ARGV[1]) > 0) given_lines++
}

{ second = mode == "grade" && NR > given_lines }
second { sub(/\r$/, "") }

# gpt.c: learns the names, and the bodies
!second && /^\/\/ lab [0-9]+$/ { lab = $3 }
!second && lab && !name && is_signature($0) {
    name = name_of($0)
    lab_of[name] = lab
    if (mode == "list") print lab, plain(name)
    heading = 1
}
!second && name {
    if (heading) {
        if (!mode) print
        if (/[{]$/) { heading = 0; line_of[name] = FNR + 1 }
    } else if (/^}/) {
        if (!mode) {
            printf "    fprintf(stderr, \"lab %s: %s is not written yet\\n\");\n", lab, plain(name)
            print "    exit(3);"
            print
        }
        name = lab = ""
    } else body[name] = body[name] $0 "\n"
    next
}
!second { if (!mode) print; next }

# yours.c: puts the bodies in
!own_name && is_signature($0) && name_of($0) in lab_of { own_name = name_of($0); heading = 1; own = head = "" }
own_name && heading {
    head = head $0 "\n"
    if (/;[ \t]*$/ && !/[{]/) { # a declaration
        printf "%s", head
        own_name = ""
    } else if (/[{]/) {
        heading = 0
        began = FNR
        seen[own_name] = 1
        if (/[}][ \t]*$/) { # all on one line
            sub(/[}][ \t]*$/, "")
            own = substr($0, index($0, "{") + 1) "\n"
            began--
            head = substr(head, 1, length(head) - length($0) - 1)
            sub(/[{].*/, "{\n", head)
            finish()
        } else {
            own = substr($0, index($0, "{") + 1)
            sub(/^[ \t]*(\/\/.*)?$/, "", own)
            if (own != "") { own = own "\n"; began-- }
        }
    }
    next
}
own_name && /^}/ { finish(); next }
own_name { own = own $0 "\n"; next }
second { print }

function finish() {
    printf "%s", head
    if (graded[lab_of[own_name]]) two_bodies(own_name)
    else printf "%s}\n", body[own_name]
    own_name = ""
}
END {
    if (mode != "grade") exit
    if (own_name) {
        printf "%s: the function %s never ends: its last line is a } at the left margin\n", FILENAME,
            plain(own_name) > "/dev/stderr"
        exit 1
    }
    for (name in lab_of)
        if (!seen[name]) {
            printf "%s: the function %s is missing; begin with a fresh file from make lab\n", FILENAME,
                plain(name) > "/dev/stderr"
            exit 1
        }
}
