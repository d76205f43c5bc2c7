"""Turns raw.csv and shared.csv of bench/gomap/run into tables (bench.md) and charts (SVG).

usage: report.py FOLDER ENTRIES LARGE CONDITIONS [DOCS]
With DOCS, docs/gomap.md of that folder gets the tables between its two marks, and the charts beside it.
"""
import csv
import sys
from html import escape

ROWS = {
    "insert": "insert, growing from empty (ns)",
    "hit": "look up what is there (ns)",
    "miss": "look up what is not there (ns)",
    "iterate": "iterate (ns an element)",
    "delete": "delete (ns)",
    "memory": "memory (bytes an element)",
    "longest": "longest single insert (us)",
}
BEGIN, END = "<!-- bench/gomap/run -d writes from here -->", "<!-- to here -->"


def read(path):
    """The least of each row, entries and peer, and the peers in the order that they ran."""
    best = {}
    with open(path, newline="") as f:
        for peer, row, n, value in csv.reader(f):
            value = float(value) / (1000 if row == "longest" else 1)
            key = (row, int(n), peer)
            best[key] = min(best.get(key, value), value)
    return best, list(dict.fromkeys(peer for _, _, peer in best))


def read_shared(path):
    """The most of each peer, threads and writes."""
    best = {}
    with open(path, newline="") as f:
        for peer, threads, writes, rate in csv.reader(f):
            key = (int(threads), int(writes), peer)
            best[key] = max(best.get(key, 0), float(rate))
    return best, list(dict.fromkeys(peer for _, _, peer in best))


def table(corner, columns, peers, cell):
    lines = [f"| {corner} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for peer in peers:
        values = [cell(column, peer) for column in columns]
        if any(value is not None for value in values):
            cells = ["-" if value is None else f"{value:.1f}" for value in values]
            lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return lines


def panel(x, y, title, bars):
    """A bar for each (name, value); the longest fills the width."""
    bar, width, left = 18, 190, 96
    most = max(value for _, value in bars) or 1
    lines = [f'<text x="{x}" y="{y + 14}" font-weight="bold">{escape(title)}</text>']
    for i, (name, value) in enumerate(bars, 1):
        at = y + i * bar + 2
        color = "#2a6f97" if name.startswith("gomap") else "#a9bcd0"
        length = value / most * width
        lines.append(f'<text x="{x}" y="{at + 13}">{escape(name)}</text>')
        lines.append(f'<rect x="{x + left}" y="{at + 1}" width="{length:.1f}" height="14" fill="{color}"/>')
        lines.append(f'<text x="{x + left + length + 4:.1f}" y="{at + 13}">{value:.1f}</text>')
    return lines


def chart(title, panels):
    """The panels (title, bars) in two columns."""
    panels = [(name, bars) for name, bars in panels if bars]
    if not panels:
        return None
    column, top = 372, 34
    rows = [panels[i:i + 2] for i in range(0, len(panels), 2)]
    lines, y = [], top
    for row in rows:
        for i, (name, bars) in enumerate(row):
            lines += panel(8 + i * column, y, name, bars)
        y += 18 * max(len(bars) for _, bars in row) + 36
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * column}" height="{y}" '
            'font-family="sans-serif" font-size="12">')
    lines = [head, '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="8" y="20" font-size="14">{escape(title)}</text>'] + lines
    return "\n".join(lines + ["</svg>"]) + "\n"


def main():
    out, n, large, conditions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    best, peers = read(f"{out}/raw.csv")
    shared, shared_peers = read_shared(f"{out}/shared.csv")
    text, charts = [conditions], {}

    def add(name, title, lines, panels):
        svg = chart(title, panels)
        if svg:
            text.extend(["", f"{title}:", "", *lines, "", f"![{title}](gomap-{name}.svg)"])
            charts[f"gomap-{name}.svg"] = svg

    huge = [peer for peer in peers if peer.endswith("+huge")]
    peers = [peer for peer in peers if peer not in huge]
    for name, size in (("rows", n), ("large", large)):
        add(name, f"{size:,} random 64-bit keys", table("peer", list(ROWS), peers, lambda row, peer: best.get((row, size, peer))),
            [(title, [(p, best[row, size, p]) for p in peers if (row, size, p) in best]) for row, title in ROWS.items()])
    if huge:
        text.extend(["", f"{n:,} random 64-bit keys, huge pages for all (GLIBC_TUNABLES=glibc.malloc.hugetlb=1):", "",
                     *table("peer", list(ROWS), ["gomap-huge", *huge], lambda row, peer: best.get((row, n, peer)))])
    cases = {f"{t} thread{'s' * (t > 1)}, {w} % writes": (t, w) for t, w in sorted({key[:2] for key in shared})}
    add("shared", "Maps that threads share, million operations a second",
        table("peer", list(cases), shared_peers, lambda case, peer: shared.get((*cases[case], peer))),
        [(case, [(p, shared[t, w, p]) for p in shared_peers if (t, w, p) in shared]) for case, (t, w) in cases.items()])

    report = "\n".join(text) + "\n"
    with open(f"{out}/bench.md", "w") as f:
        f.write(report)
    folders = [out]
    if len(sys.argv) > 5:
        folders.append(sys.argv[5])
        path = f"{sys.argv[5]}/gomap.md"
        with open(path) as f:
            before, rest = f.read().split(BEGIN)
        after = rest.split(END)[1]
        with open(path, "w") as f:
            f.write(before + BEGIN + "\n\n" + report + "\n" + END + after)
    for folder in folders:
        for name, svg in charts.items():
            with open(f"{folder}/{name}", "w") as f:
                f.write(svg)
    print(report)


main()
