# draw.awk reads CSV and prints a picture (SVG). It runs in any POSIX awk; in a busybox that
# was built without log() and exp(), all but log axes and the fit.
#
#   awk -f draw.awk -v kind=lines -v title=T -v x=COLUMN -v y=COLUMN,... a.csv [b.csv ...]
#       [-v xlog=1] [-v ylog=1] [-v hline='bigram 2.28,goal 1.05'] [-v fit=1]
#       a line per y column and file; hline adds named levels; fit=1 adds L = a N^-b + c
#   awk -f draw.awk -v kind=bars -v title=T -v x=LABELS -v y=COLUMN,... f.csv
#   awk -f draw.awk -v kind=heat -v title=T f.csv
#       attention: columns layer,head,query,key,query_char,key_char,weight
#   awk -f draw.awk -v kind=heat -v title=T -v row=COLUMN -v col=COLUMN -v value=COLUMN f.csv
#       [-v rowlabel=COLUMN] [-v collabel=COLUMN] [-v panel=COLUMN] [-v text=COLUMN]
#       [-v mark=COLUMN] [-v root=1]
#       any table; text is written into the cells, cells whose mark is 1 are underlined;
#       root=1 shades by the square root of the value, which shows more of the small ones
#
# Every kind takes -v xlabel=, -v ylabel= and -v desc=, for screen readers; lines and bars take -v names='a,b' as well.
# CSV: a header, then one record a line; fields may be "quoted, like this", "" is a quote.
#
# Each record goes to take_lines, take_bars or take_heat, which checks and keeps it. Then
# draw_lines, draw_bars or draw_heat works out places and hands markup to out(). Nothing is
# printed before finish(), so an error leaves no half picture behind. Globals are in CAPITALS,
# options in small letters, and parameters that stand after a gap are local variables.

BEGIN {
    if (0.5 "" != "0.5") die("numbers have a decimal comma here; put LC_ALL=C before awk")
    NUMBER = "^ *[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)? *$"
    # Some awks count characters, some bytes. For those that count bytes: all bytes of a
    # UTF-8 character but the first lie between 128 and 191.
    if (length("\303\251") == 2) for (I = 128; I < 192; I++) CONT = CONT sprintf("%c", I)
    W = 840                                              # the picture's width in pixels
    SHADES = 20                                          # steps in a heat map's scale
    if (kind !~ /^(lines|bars|heat)$/) die("kind is '" kind "'; it must be lines, bars or heat")
    if (kind == "heat") choose_heat()
    else if (x == "" || y == "") die("kind=" kind " needs -v x=COLUMN and -v y=COLUMN,...")
    else { need(x); NY = split(y, YCOL, " *, *"); for (I = 1; I <= NY; I++) need(YCOL[I]) }
    if (ARGC < 2) die("no CSV file given")
    if (ARGC > 2 && kind != "lines") die("kind=" kind " draws one CSV file, not " (ARGC - 1))
    for (I = 1; I < ARGC; I++) read_csv(ARGV[I])
    if (names != "" && split(names, NAME, " *, *") != NS)
        die("names='" names "' must hold " NS + 0 " names with commas between them")
    if (kind == "lines") draw_lines()
    else if (kind == "bars") draw_bars()
    else draw_heat()
}

# ---- Reading ----------------------------------------------------------------------------------

function die(message) {
    print "draw.awk: " message > "/dev/stderr"
    exit 1
}

function need(column) { if (column != "") NEEDED[++NNEEDED] = column }

function read_csv(file,    line, i, n, width, header, run) {
    FILE = file; RECORD = 1; n = (getline line < file)
    if (n < 0) die("cannot read " file)
    if (n == 0) die(file " is empty; it needs a header and at least one record")
    sub(/^\357\273\277/, "", line)                       # a byte-order mark
    width = split_csv(line)
    split("", COL)                                       # COL: name of a column -> its number
    for (i = 1; i <= width; i++) { COL[F[i]] = i; header = header (i > 1 ? "," : "") F[i] }
    for (i = 1; i <= NNEEDED; i++)
        if (!(NEEDED[i] in COL)) die(file " has no column '" NEEDED[i] "'; it has " header)
    run = file; sub(/.*\//, "", run); sub(/\.[^.]*$/, "", run)
    for (i = 1; i <= NY; i++) NAME[++NS] = ARGC == 2 ? YCOL[i] : run (NY > 1 ? " " YCOL[i] : "")
    while ((getline line < file) > 0) {
        RECORD++
        if (line ~ /^\r?$/) continue
        if ((n = split_csv(line)) != width)
            die(file " line " RECORD " has " n " fields; the header has " width)
        if (kind == "lines") take_lines()
        else if (kind == "bars") take_bars()
        else take_heat()
        header = ""
    }
    close(file)
    if (header != "") die(file " has a header but no records")
}

# a,"b ""c""" -> F[1] = a, F[2] = b "c"; returns the number of fields.
function split_csv(s,    n, q, field) {
    sub(/\r$/, "", s); s = s ","
    while (s != "") {
        field = ""
        if (substr(s, 1, 1) == "\"") {
            s = substr(s, 2)
            while ((q = index(s, "\"")) && substr(s, q + 1, 1) == "\"") {
                field = field substr(s, 1, q); s = substr(s, q + 2)
            }
            field = field substr(s, 1, q - 1)
            if (!q || substr(s, ++q, 1) != ",")
                die(FILE " line " RECORD " has a quoted field without its closing quote")
        } else { q = index(s, ","); field = substr(s, 1, q - 1) }
        F[++n] = field; s = substr(s, q + 1)
    }
    return n
}

function number(column,    s) {
    s = F[COL[column]]
    if (s !~ NUMBER || s + 0 > 1e300 || s + 0 < -1e300)
        die(FILE " line " RECORD ": column '" column "' holds '" s "'; it must be a number")
    return s + 0
}

# ---- Text and SVG -----------------------------------------------------------------------------

function max(a, b) { return a > b ? a : b }
function min(a, b) { return a < b ? a : b }
function floor(v) { return int(v) > v ? int(v) - 1 : int(v) }
# A coordinate: at most one decimal.
function r(v) { v = sprintf("%.1f", v); sub(/\.0$/, "", v); return v == "-0" ? 0 : v }
function widen(key, v) {                                 # LO and HI: least and greatest so far
    if (!(key in LO)) LO[key] = HI[key] = v
    LO[key] = min(LO[key], v); HI[key] = max(HI[key], v)
}

function escape(s) {                                     # XML has no control characters
    gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s)
    gsub(/"/, "\\&quot;", s); gsub(/[\001-\037\177]|\357\277\276|\357\277\277/, "\357\277\275", s)
    return s
}
# A space, newline or tab as a label becomes something that can be seen.
function visible(s) {
    return s == " " ? "\342\220\243" : s == "\\n" ? "\342\206\265" : s == "\t" ? "\\t" : s
}

# s, or its first n - 1 characters and an ellipsis; CHARS is the number of characters.
function clip(s, n,    i, k, cut) {
    for (i = 1; i <= length(s); i++)
        if (!index(CONT, substr(s, i, 1))) {
            if (++k == n) cut = i
            if (k > n) { CHARS = n; return substr(s, 1, cut - 1) "\342\200\246" }
        }
    CHARS = k + 0
    return s
}
function chars(s) { clip(s, 1e6); return CHARS }

# A number for people: 20k, 1.5M, 1e-07; k only on axes that reach 10,000.
function short(v, biggest,    s) {
    s = max(v, -v)
    if (s >= 1e6 && s < 1e9) return sprintf("%.7gM", v / 1e6)
    if (s >= 1e3 && s < 1e6 && biggest >= 1e4) return sprintf("%.7gk", v / 1e3)
    return s ? sprintf("%.7g", v) : 0                    # some awks would print -0
}

function out(s) { OUT[++NOUT] = s }
function put(px, py, class, s, size) {                   # text; class m: centred, e: ends at px
    out("<text class='" class "' x='" r(px) "' y='" r(py) \
        (size ? "' style='font-size:" r(size) "px" : "") "'>" escape(s) "</text>")
}
function path(class, d) { out("<path class='" class "' fill='none' d='" d "'/>") }
function box(class, px, py, width, height) {
    out("<rect class='" class "' x='" r(px) "' y='" r(py) "' width='" r(width) "' height='" height \
        "'/>")
}

# The heat map's colours: SHADES steps through three stops, each red, green, blue.
function ramp(stops,    s, k, t, i, c, css) {
    split(stops, s, " ")
    for (k = 1; k <= SHADES; k++) {
        t = 2 * (k - 1) / (SHADES - 1); i = t > 1 ? 3 : 0; t -= i / 3
        css = css ".s" k "{color:rgb("
        for (c = 1; c <= 3; c++)
            css = css int(s[i + c] + (s[i + c + 3] - s[i + c]) * t) (c < 3 ? "," : ")}")
    }
    return css
}

# For those who hear the page: what kind of picture, of what.
function description(    i, s) {
    s = kind == "lines" ? "Line chart" : kind == "bars" ? "Bar chart" : "Heat map"
    if (NS) for (i = 1; i <= NS; i++) s = s (i > 1 ? ", " : " of ") NAME[i]
    if (ylabel != "") s = s "; " (kind == "heat" ? "rows: " : kind == "bars" ? "lengths: " : "upwards: ") ylabel
    if (xlabel != "") s = s "; " (kind == "heat" ? "columns: " : "to the right: ") xlabel
    return s "."
}

# Colours for light pages, then those that differ on dark ones. A card lies behind it all, so
# that a viewer which ignores the second half shows a light card, not dark text on a dark page.
function finish(height,    i, size) {
    size = max(11, min(17, (W - 48) / 0.56 / max(1, chars(title))))
    put(24, 34, "t", clip(title, int((W - 48) / 0.56 / size)), size)
    print "<svg xmlns='http://www.w3.org/2000/svg' width='" r(W) "' height='" r(height) \
        "' viewBox='0 0 " r(W) " " r(height) "' role='img'>"
    print "<title>" escape(title) "</title>"
    print "<desc>" escape(desc != "" ? desc : description()) "</desc>\n<style>"
    print "svg{font:12.5px -apple-system,'Segoe UI',Helvetica,Arial,sans-serif}text{fill:#1f2328}"
    print ".m{text-anchor:middle}.e{text-anchor:end}.t{font-weight:600}.q{fill:#57606a}"
    print ".k{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
    print ".card{fill:#fff;stroke:#d0d7de}.grid{stroke:#e6e9ed}.axis{stroke:#8c959f}"
    print ".level{stroke:#57606a;stroke-width:1.2;stroke-dasharray:2 3}.empty{fill:#f0f2f5}"
    print ".line{stroke:currentColor;stroke-width:2;stroke-linejoin:round}.fill{fill:currentColor}"
    print ".cell{stroke:currentColor;shape-rendering:crispEdges}"
    print ".mark{stroke:#e69f00;stroke-width:2}.d1{stroke-dasharray:8 3}.d2{stroke-dasharray:3 2}"
    print ".c0{color:#0072b2}.c1{color:#d55e00}.c2{color:#009e73}.c5{color:#56b4e9}"
    print ".c6{color:#6e7781}.c3{color:#cc79a7}.c4{color:#e69f00}"
    if (kind == "heat") print ".on{fill:#fff}" ramp("212 230 246 62 142 196 8 40 92")
    print "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#9aa4af}"
    print ".card{fill:#161b22;stroke:#30363d}.grid{stroke:#272d35}.axis{stroke:#6e7681}"
    print ".level{stroke:#9aa4af}.empty{fill:#1e242c}.c0{color:#3b93d6}.c1{color:#ee7a2e}"
    print ".c2{color:#1fb58a}.c5{color:#9bdcff}.c6{color:#9aa4af}"
    if (kind == "heat") print ".on{fill:#0d1117}" ramp("30 50 76 52 128 190 226 243 255")
    print "}</style>\n<rect class='card' fill='#fff' x='.5' y='.5' rx='8' width='" r(W - 1) \
        "' height='" r(height - 1) "'/>"
    for (i = 1; i <= NOUT; i++) print OUT[i]
    print "</svg>"
}

# ---- Lines ------------------------------------------------------------------------------------

# Run s has N[s] points (X[s,i], Y[s,i]); 1 to NS are runs, NS + 1 to ALL horizontal lines.
function take_lines(    i, s, px, py) {
    px = number(x)
    for (i = 1; i <= NY; i++) {
        s = NS - NY + i
        if (F[COL[YCOL[i]]] == "") continue              # not measured here
        py = number(YCOL[i])
        if ((xlog && px <= 0) || (ylog && py <= 0)) { LEFT_OUT++; continue }
        X[s, ++N[s]] = px; Y[s, N[s]] = py
        widen("x", px); widen("y", py); widen(s, px)
    }
}

function take_levels(    i, n, part, v) {
    n = split(hline, part, " *, *"); ALL = NS + n
    for (i = 1; i <= n; i++) {
        v = part[i]; sub(/ +$/, "", v); sub(/.* /, "", v)
        if (v !~ NUMBER || (ylog && v + 0 <= 0))
            die("hline holds '" part[i] "'; it must be a name and a number" \
                (ylog ? " above 0" : ""))
        Y[NS + i, N[NS + i] = 1] = v + 0; NAME[NS + i] = part[i]; widen("y", v + 0)
    }
}

# Chooses an axis's ends and its ticks, TICK[axis,1] to TICK[axis,NTICK[axis]]. A linear axis
# steps by 1, 2 or 5 times a power of ten. A log axis shows powers of ten; if it spans few of
# them their multiples, too, and if it spans hardly any the same ticks as a linear axis.
function ticks(axis, is_log,    lo, hi, span, step, v, digit, i, k, n, e) {
    lo = LO[axis]; hi = HI[axis]
    if (hi - lo <= 1e-9 * max(hi, -lo)) { e = lo ? max(lo, -lo) / 2 : 1; lo -= e; hi += e }
    if (is_log && axis == "y") { e = exp(log(hi / lo) / 20); lo /= e; hi *= e }
    span = is_log ? log(hi / lo) / log(10) : 0           # in powers of ten
    if (span > 0.5) {
        k = split(span > 4 ? "1" : span > 1.2 ? "1 2 5" : "1 1.5 2 3 4 5 7", digit, " ")
        for (e = floor(log(lo) / log(10)); e < log(hi) / log(10) + 1e-6; e += max(1, int(span / 6)))
            for (i = 1; i <= k; i++)
                if ((v = (digit[i] "e" e) + 0) >= lo * 0.9999 && v <= hi * 1.0001)
                    TICK[axis, ++n] = v
    } else {
        v = (hi - lo) / 7                                # at most seven steps or so
        for (step = 1; step > v; ) step /= 10
        while (step * 10 <= v) step *= 10
        v /= step; step *= (v > 5 ? 10 : v > 2 ? 5 : v > 1 ? 2 : 1)
        if (axis == "y" && !is_log) {
            lo = floor(lo / step) * step; hi = -floor(-hi / step) * step
        }
        for (i = -floor(-lo / step); i * step <= hi + step / 1e6; i++) TICK[axis, ++n] = i * step
    }
    NTICK[axis] = n; LO[axis] = lo; HI[axis] = hi; IS_LOG[axis] = is_log
}

# From a value to its place on the axis (0 to 1), and to pixels.
function place(axis, v) {
    if (IS_LOG[axis]) return log(v / LO[axis]) / log(HI[axis] / LO[axis])
    return (v - LO[axis]) / (HI[axis] - LO[axis])
}
function at_x(v) { return LEFT + place("x", v) * (RIGHT - LEFT) }
function at_y(v) { return BOTTOM - place("y", v) * (BOTTOM - TOP) }

# Fits L = a N^-b + c with the least sum of squared errors. For a given b, L is a straight line
# in z = N^-b, so linear regression yields a and c (a loss has no c < 0: then c = 0, a alone).
# That leaves b to be searched, on a grid from 0 to 5 that closes in on its best point.
# N is divided by its geometric mean (log N loses MEAN), which keeps z near 1.
function law(a, b, c, n) { return a * exp(-b * (log(n) - MEAN)) + c }
function fit_error(s, b,    i, z, n, sz, sl, szz, szl, e) {
    for (i = 1; i <= (n = N[s]); i++) {
        z = law(1, b, 0, X[s, i])
        sz += z; sl += Y[s, i]; szz += z * z; szl += z * Y[s, i]
    }
    A = (n * szl - sz * sl) / (n * szz - sz * sz); C = (sl - A * sz) / n
    if (C < 0) { C = 0; A = szl / szz }
    for (i = 1; i <= n; i++) { z = Y[s, i] - law(A, b, C, X[s, i]); e += z * z }
    return e
}
# Leaves A, B, C and MEAN for law(), prints the fit on stderr and returns it for the picture.
function fit_law(s,    i, b, e, best, from, step, between, a) {
    MEAN = 0
    for (i = 1; i <= N[s]; i++) {
        if (X[s, i] <= 0) die("fit=1 needs every " x " above 0; " NAME[s] " has " X[s, i])
        MEAN += log(X[s, i]) / N[s]
        if (X[s, i] > LO[s] && X[s, i] < HI[s]) between = 1
    }
    if (!between) die("fit=1 needs 3 different values of " x "; " NAME[s] " has fewer")
    from = 0; best = -1
    for (step = 0.05; step > 1e-7; step /= 10) {
        for (i = 1; i <= (step == 0.05 ? 100 : 20); i++) {
            b = from + i * step; e = fit_error(s, b)
            if (best < 0 || e < best) { best = e; B = b }
        }
        from = max(0, B - step)
    }
    fit_error(s, B)
    if (A <= 1e-9 * C) die("fit=1: " NAME[s] " does not fall as " x " grows; no power law fits")
    a = A * exp(B * MEAN)
    print sprintf("fit a=%.5g b=%.4f c=%.5g", a, B, C) (NS > 1 ? " " NAME[s] : "") > "/dev/stderr"
    return sprintf("L = %.3g N<tspan dy='-5' style='font-size:10px'>\342\210\222%.3f</tspan>" \
        "<tspan dy='5'> + %.3g</tspan><tspan class='q' dx='9'>exponent b = %.3f</tspan>", \
        a, B, C, B)
}

# Labels stand at the heights AT where their lines end, but at least 17 pixels apart.
function spread(    i, k, s, d, n, order) {
    for (s = 1; s <= ALL; s++) if (N[s]) {
        AT[s] = at_y(Y[s, N[s]])
        for (i = ++n; i > 1 && AT[order[i - 1]] > AT[s]; i--) order[i] = order[i - 1]
        order[i] = s
    }
    for (k = 1; k <= 500; k++) for (i = 1; i <= n; i++) {
        s = order[i]; AT[s] = max(TOP + 17 * (i - 1), min(BOTTOM - 17 * (n - i), AT[s]))
        d = i > 1 ? (17 - AT[s] + AT[order[i - 1]]) / 2 : 0
        if (d > 0) { AT[s] += d; AT[order[i - 1]] -= d }
    }
}

function draw_lines(    i, s, v, d, last, p, wide, class) {
    if (!("x" in LO))
        die("no point to draw: " y " is empty" (xlog || ylog ? " or not above 0" : ""))
    if (LEFT_OUT) print "draw.awk: log axes have no 0; points left out: " LEFT_OUT > "/dev/stderr"
    take_levels()
    if (ylabel == "" && NY == 1) ylabel = y
    TOP = 58
    for (s = 1; fit && s <= NS; s++) {
        out("<text x='24' y='" TOP "'>" (NS > 1 ? escape(clip(NAME[s], 28)) ": " : "") fit_law(s) \
            "</text>")
        TOP += 20; FM[s] = MEAN; FA[s] = A; FB[s] = B; FC[s] = C
    }
    if (ylabel != "") { put(24, TOP + 2, "q", ylabel); TOP += 18 }
    ticks("x", xlog); ticks("y", ylog)
    BOTTOM = TOP + max(340, ALL * 17); LEFT = 0
    for (i = 1; i <= NTICK["y"]; i++) LEFT = max(LEFT, 32 + 7 * chars(short(TICK["y", i], HI["y"])))
    for (s = 1; s <= ALL; s++) { NAME[s] = clip(NAME[s], 28); wide = max(wide, CHARS * 6.7) }
    RIGHT = W - 28 - (ALL > 1 ? 40 + wide : 0)

    for (i = 1; i <= NTICK["y"]; i++) {
        path("grid", "M" r(LEFT) " " r(at_y(TICK["y", i])) "H" r(RIGHT))
        put(LEFT - 8, at_y(TICK["y", i]) + 4.5, "e q", short(TICK["y", i], HI["y"]))
    }
    path("axis", "M" r(LEFT) " " r(BOTTOM) "H" r(RIGHT))
    last = -1000
    for (i = 1; i <= NTICK["x"]; i++) {
        p = at_x(TICK["x", i]); v = short(TICK["x", i], HI["x"])
        path("axis", "M" r(p) " " r(BOTTOM) "v5")
        if (p - last < 14 + chars(v) * 7) continue       # no room for this number
        put(p, BOTTOM + 20, "m q", v); last = p
    }
    put((LEFT + RIGHT) / 2, BOTTOM + 43, "m q", xlabel == "" ? x : xlabel)

    spread()
    for (s = ALL; s >= 1; s--) {
        if (!N[s]) continue
        class = s > NS ? "level" : "line c" (s - 1) % 7 " d" int((s - 1) / 7)
        d = last = ""
        if (s > NS) d = " " r(LEFT) " " r(at_y(Y[s, 1])) "H" r(RIGHT)
        else if (fit) for (i = 0; i <= 100; i++) {
            MEAN = FM[s]; v = LO[s] * exp(i / 100 * log(HI[s] / LO[s]))
            d = d " " r(at_x(v)) " " r(at_y(law(FA[s], FB[s], FC[s], v)))
        } else for (i = 1; i <= N[s]; i++) {
            p = " " r(at_x(X[s, i]))                      # of very many points draw what shows
            if (p != last || N[s] <= 2000) d = d p " " r(at_y(Y[s, i]))
            last = p
        }
        path(class, "M" substr(d, 2))
        if (s <= NS && (fit || N[s] <= 30)) for (i = 1; i <= N[s]; i++)
            out("<circle class='fill " class "' r='2.5' cx='" r(at_x(X[s, i])) "' cy='" \
                r(at_y(Y[s, i])) "'/>")
        if (ALL == 1) continue
        v = s > NS || at_x(X[s, N[s]]) > RIGHT - 4       # does it reach the right edge?
        path(class, (v ? "M" r(RIGHT) " " r(at_y(Y[s, N[s]])) "L" : "M") r(RIGHT + 14) " " \
            r(AT[s]) "h20")
        put(RIGHT + 40, AT[s] + 4.5, "", NAME[s])
    }
    finish(BOTTOM + 62)
}

# ---- Bars -------------------------------------------------------------------------------------

# They lie on their side: labels of any length have room, and every value has its place.
function take_bars(    i) {
    LABEL[++NG] = clip(visible(F[COL[x]]), 32)
    for (i = 1; i <= NY; i++) {
        GIVEN[NG, i] = F[COL[YCOL[i]]]
        if (GIVEN[NG, i] != "") widen("v", number(YCOL[i]))
    }
}

function draw_bars(    g, i, wide, v, thick, gap, top, scale, zero, w, px) {
    if (!("v" in LO)) die("no bar to draw: " y " is empty")
    widen("v", 0); if (LO["v"] == HI["v"]) HI["v"] = 1
    for (g = 1; g <= NG; g++) wide = max(wide, chars(LABEL[g]) * 7.2)
    zero = 36 + wide + (LO["v"] < 0 ? 60 : 0)
    scale = (W - 84 - zero) / (HI["v"] - LO["v"]); zero -= LO["v"] * scale
    thick = NY == 1 ? 22 : NY < 4 ? 17 : 14
    top = 58; px = 24
    if (ylabel == "" && NY == 1) ylabel = y
    if (ylabel != "") { put(24, top, "q", ylabel); top += 22 }
    for (i = 1; NY > 1 && i <= NY; i++) {                # the legend
        v = clip(NAME[i], 32); w = 34 + CHARS * 6.8
        if (px > 24 && px + w > W - 24) { px = 24; top += 20 }
        box("fill c" (i - 1) % 7, px, top - 10, 12, 12); put(px + 18, top, "", v); px += w
    }
    top += (NY > 1 ? 22 : -6)
    gap = NY > 1 ? 14 : 6
    path("axis", "M" r(zero) " " (top - 5) "v" (NG * (NY * thick + gap) - gap + 10))
    for (g = 1; g <= NG; g++) {
        put(24 + wide, top + 4.5 + NY * thick / 2, "e", LABEL[g])
        for (i = 1; i <= NY; i++) {
            if (GIVEN[g, i] == "") continue
            v = GIVEN[g, i] + 0; w = max(v, -v) * scale
            box("fill c" (i - 1) % 7, zero - (v < 0) * w, top + (i - 1) * thick + 1, w, thick - 2)
            put(zero + v * scale + (v < 0 ? -6 : 6), top + (i - 0.5) * thick + 4.5, \
                v < 0 ? "e" : "s", length(GIVEN[g, i]) <= 7 ? GIVEN[g, i] : sprintf("%.4g", v))
        }
        top += NY * thick + gap
    }
    if (xlabel != "") { put(24, top + 20, "q", xlabel); top += 26 }
    finish(top + 14)
}

# ---- Heat maps --------------------------------------------------------------------------------

# Cell (p,i,j) of panel p, row i and column j holds V[p,i,j].
function choose_heat() {
    if (row col value == "") {
        ATTENTION = 1; row = "query"; col = "key"; value = "weight"
        rowlabel = "query_char"; collabel = "key_char"; need("layer"); need("head")
    }
    if (row == "" || col == "" || value == "")
        die("kind=heat needs -v row=, -v col= and -v value=, or none of them for attention")
    need(row); need(col); need(value); need(rowlabel); need(collabel)
    need(panel); need(text); need(mark)
}

# Numbers the rows (columns, panels) from 1 in the order in which they appear.
function id(set, key, label,    i) {
    if ((set, key) in ID) return ID[set, key]
    i = ID[set, key] = ++COUNT[set]
    KEY[set, i] = key; LABEL[set, i] = clip(visible(label), 24)
    if (CHARS > LONGEST[set]) { LONGEST[set] = CHARS; OUTER[set] = i % 2 }
    return i
}

function take_heat(    p, i, j, v) {
    i = id("row", F[COL[row]], F[COL[rowlabel == "" ? row : rowlabel]])
    j = id("col", F[COL[col]], F[COL[collabel == "" ? col : collabel]])
    v = panel == "" ? "" : F[COL[panel]]
    if (ATTENTION) v = "layer " number("layer") " head " number("head")
    p = id("panel", v, v)
    DOWN[p] = id("down", ATTENTION ? F[COL["layer"]] : "")
    ACROSS[p] = id("across", ATTENTION ? F[COL["head"]] : v)
    if ((p, i, j) in V) die(FILE " line " RECORD ": " row " '" KEY["row", i] "' with " col " '" \
        KEY["col", j] "' comes twice; each pair must come once")
    if (F[COL[value]] == "") return
    V[p, i, j] = v = number(value); widen("v", v)
    if (ATTENTION && (v < -0.001 || v > 1.001))
        die(FILE " line " RECORD ": weight is " v "; it must be between 0 and 1")
    if (text != "" && F[COL[text]] == "<eot>") TEXT[p, i, j] = EOT = "\342\210\216"
    else if (text != "") widen("text", chars(TEXT[p, i, j] = visible(F[COL[text]])))
    if (mark != "" && F[COL[mark]] + 0 == 1) MARK[p, i, j] = 1
}

# The shade of a cell, 1 to SHADES; 0 for a cell that stays empty: below FAINT of the scale.
function shade(p, i, j,    u, k) {
    if (!((p, i, j) in V)) return 0
    u = (V[p, i, j] - LO["v"]) / (HI["v"] - LO["v"])
    if (u < FAINT) return 0
    for (k = 1; k < SHADES && (root ? k * k / SHADES : k) < u * SHADES - 1e-6; ) k++
    return k
}

# A panel's cells: for each shade one path, which has a stroke one cell wide along every run
# of neighbours that share it. That's far smaller than a rectangle for every cell.
function cells(p,    i, j, k, run, d, all) {
    for (i = 1; i <= COUNT["row"]; i++)
        for (j = 1; j <= COUNT["col"]; j += run) {
            k = shade(p, i, j)
            for (run = 1; j + run <= COUNT["col"] && shade(p, i, j + run) == k; ) run++
            if (k) d[k] = d[k] "M" (j - 1) " " (i - 1) "h" run
        }
    for (k = 1; k <= SHADES; k++)
        if (d[k] != "") all = all "<path class='cell s" k "' d='" d[k] "'/>"
    return all
}

# Labels stand in one line (1) or, where cells are narrow, alternate between two (2); where
# even that won't do (0), there's a number every so often. reach() is how far they stick out.
function tiers(set, size) {
    size /= (set == "row" ? 6.6 : 5.2)                  # what a character takes
    return size >= 1 ? 1 : size >= 0.5 ? 2 : 0
}
function font(set, size) { return tiers(set, size) ? max(8, min(12, size)) : 10 }
function reach(set, size) {
    return tiers(set, size) ? tiers(set, size) * 8 + LONGEST[set] * font(set, size) * 0.62 : 28
}
function labels(set, size, edge,    i, s, n, f, far, along, step) {
    n = tiers(set, size); f = font(set, size)
    for (step = 1; !n && step * size < 26; ) step *= 2
    out("<g class='k' style='font-size:" r(f) "px'>")
    for (i = 1; i <= COUNT[set]; i += step) {
        s = n ? LABEL[set, i] : KEY[set, i]
        far = 5 + (n == 2 && i % 2 == OUTER[set]) * 8; along = (i - 0.5) * size
        if (set == "row") put(-far, along + f * 0.35, "e", s)
        else if (chars(s) == 1 || chars(s) * f * 0.62 < size * step)
            put(along, edge + far + f * 0.75, "m", s)
        else out("<text class='e' transform='translate(" r(along + f * 0.35) " " r(edge + far) \
            ")rotate(-90)'>" escape(s) "</text>")
    }
    out("</g>")
}

function draw_heat(    i, j, p, nr, nc, na, cw, ch, side, pitch, below, top, d, size, all, px, py, \
    s) {
    if (!("v" in LO)) die("nothing to draw: " value " is empty")
    nr = COUNT["row"]; nc = COUNT["col"]; na = COUNT["across"]
    widen("v", 0)
    if (ATTENTION) { LO["v"] = 0; HI["v"] = 1 }
    else if (LO["v"] == HI["v"] || (HI["v"] > 0.5 && HI["v"] < 1)) HI["v"] = 1
    W = max(W, 28 + na * 130)                            # then, the widest cells that fit
    for (cw = HI["text"] > 1 ? 44 : 26; cw > 0.2; cw -= (cw > 4 ? 0.5 : 0.02)) {
        ch = text == "" ? cw : max(20, min(26, cw))
        side = reach("row", ch); pitch = side + nc * cw + 20
        if (28 + na * pitch <= W) break
    }
    if (na * pitch < 600) W = min(W, max(max(440, 28 + na * pitch), 48 + chars(title) * 9.6))
    below = nr * ch + reach("col", cw)
    # The frame and the labels are the same for all panels: drawn once, used often.
    d = "V" nr "H" nc
    for (i = 1; ATTENTION && i < nr; i++) d = d "v-1h-1"
    out("<defs><g id='frame'>")
    out("<path class='empty' d='M0 0" d "V0z' transform='scale(" cw " " ch ")'/>")
    labels("row", ch); labels("col", cw, nr * ch)
    out("</g></defs>")
    put(24, 56, "q", "\342\206\223 " (ylabel == "" ? row : ylabel) " \302\240 \342\206\222 " \
        (xlabel == "" ? col : xlabel))
    # A picture that would grow too big leaves out more of the faint cells, and says so.
    for (FAINT = 0.005; FAINT < 0.1; FAINT *= 2) {
        size = 0
        for (p = 1; p <= COUNT["panel"]; p++) size += length(all[p] = cells(p))
        if (size < 150000) break
    }
    top = KEY["panel", 1] == "" ? 70 : 88
    for (p = 1; p <= COUNT["panel"]; p++) {
        px = 24 + side + (ACROSS[p] - 1) * pitch; py = top + (DOWN[p] - 1) * (below + 34)
        size = min(12.5, pitch / max(1, chars(KEY["panel", p])) / 0.62)
        if (CHARS) put(px, py - 7, "t", KEY["panel", p], size)
        out("<g transform='translate(" r(px) " " r(py) ")'><use href='#frame'/>")
        out("<g transform='translate(0 " r(ch / 2) ")scale(" cw " " ch ")'>" all[p] "</g>")
        d = ""
        for (i = 1; i <= nr; i++) for (j = 1; j <= nc; j++) {
            if ((p, i, j) in MARK) d = d "M" r((j - 0.85) * cw) " " r(i * ch - 2.5) "h" r(cw * 0.7)
            if (!((p, i, j) in TEXT)) continue
            s = TEXT[p, i, j]; size = min(13, cw / 0.64 / max(1, chars(s)))
            if (size >= 8) put((j - 0.5) * cw, (i - 0.5) * ch + size * 0.3, \
                "m k" (shade(p, i, j) > SHADES / 2 ? " on" : ""), s, size)
        }
        if (d != "") path("mark", d)
        out("</g>")
    }
    py = top + COUNT["down"] * (below + 34) - 4
    px = 24; s = value "  " short(LO["v"]); put(px, py, "q", s); px += 10 + chars(s) * 7
    for (i = 1; i <= SHADES; i++) box("fill s" i, px + i * 8 - 8, py - 10, 8, 12)
    put(px + SHADES * 8 + 8, py, "q", short(HI["v"]) (root ? " (root scale)" : ""))
    put(24, py + 22, "q", "left empty: below " FAINT * 100 " %" (mark == "" ? "" : \
        " \302\240 underlined: " mark) (EOT == "" ? "" : " \302\240 " EOT ": <eot>"))
    finish(py + 42)
}
