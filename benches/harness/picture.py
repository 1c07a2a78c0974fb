"""The picture of a problem's results: a panel a case, a bar a subject from the fastest to the slowest, drawn by
gnuplot. A bar is the median, the thin line through its end the lowest and highest sample."""

import itertools

from . import table
from .subject import run

WIDTH = 860
TOP, BOTTOM = 40, 34  # the title; the caption
PANEL_TITLE, BAR, GAP = 30, 22, 12
LEFT, RIGHT = 190, 130  # the subjects' names; the figures
COLOURS = {"weft": "#d1495b", "limit": "#9a9a9a", "rival": "#4f7cac"}
LOGARITHMIC_FROM = 30  # a panel whose slowest bar is so many times as long as its fastest


def draw(path, title, results, machine):
    """Writes the SVG file `path`."""
    run(["gnuplot"], input=script(path, title, results, machine))


def script(path, title, results, machine):
    """What gnuplot is told."""
    panels = [list(panel) for _, panel in itertools.groupby(results, key=lambda result: result.group)]
    height = TOP + BOTTOM + sum(_height(panel) for panel in panels)
    lines = [
        f"set terminal svg size {WIDTH},{height} font 'sans-serif,13' background rgb 'white'",
        f"set output '{_quoted(str(path))}'",
        f"set label 1 '{_quoted(machine)}' at screen 0.5,{14 / height:.4f} center noenhanced font ',11'"
        " textcolor rgb '#555555'",
        f"set multiplot title '{_quoted(title)}' noenhanced font ',17'",
        "unset key; unset border; set tics scale 0; unset xtics; set style fill solid noborder",
        f"set lmargin at screen {LEFT / WIDTH:.4f}; set rmargin at screen {1 - RIGHT / WIDTH:.4f}",
    ]
    top = TOP
    for panel in panels:
        lines += _panel(panel, top, height)
        top += _height(panel)
    return "\n".join([*lines, "unset multiplot", ""])


def _height(panel):
    return PANEL_TITLE + BAR * len(panel) + GAP


def _panel(panel, top, height):
    """One case: horizontal bars."""
    first = panel[0]
    ordered = sorted(panel, key=lambda result: -result.median)
    high = max(result.max for result in panel)
    low = min(result.min for result in panel)
    logarithmic = low > 0 and high / low >= LOGARITHMIC_FROM
    start = low / 2 if logarithmic else 0
    end = high * 1.02 or 1
    workers = f"{first.workers} worker" + ("s" if first.workers > 1 else "")
    scale = ", logarithmic scale" if logarithmic else ""
    upper, lower = top + PANEL_TITLE, top + PANEL_TITLE + BAR * len(panel)
    yield f"set tmargin at screen {1 - upper / height:.4f}; set bmargin at screen {1 - lower / height:.4f}"
    yield ("set" if logarithmic else "unset") + " logscale x"
    yield f"set xrange [{start:.6g}:{end:.6g}]; set yrange [-0.5:{len(panel) - 0.5}]"
    yield f"set title '{_quoted(first.case)}, {first.unit} ({workers}{scale})' noenhanced offset 0,-0.6 font ',14'"
    yield "set ytics (" + ", ".join(f"'{_quoted(r.subject)}' {i}" for i, r in enumerate(ordered)) + ") noenhanced"
    yield "$bars << END"
    for place, result in enumerate(ordered):
        yield f"{result.median:.6g} {place} {start:.6g} {_colour(result)} {result.min:.6g} {result.max:.6g}"
    yield "END"
    for place, result in enumerate(ordered):
        yield (
            f"set label {place + 2} '{table.number(result.median)}' at graph 1.01,first {place} left font"
            f" ',12{':Bold' if result.subject == 'weft' else ''}'"
        )
    yield (
        "plot $bars using 1:2:3:1:($2-0.36):($2+0.36):4 with boxxyerror linecolor rgb variable,"
        " $bars using 1:2:5:6 with xerrorbars pointtype -1 linewidth 1.3 linecolor rgb '#222222'"
    )
    yield "unset label"  # the caption too, which only the first panel draws


def _colour(result):
    kind = "limit" if result.is_limit else "rival" if result.is_rival else "weft"
    return int(COLOURS[kind][1:], 16)


def _quoted(text):
    return text.replace("'", "''")
