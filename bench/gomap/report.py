"""Turns raw.csv and shared.csv of bench/gomap/run into tables (bench.md) and a bar chart a row (SVG)."""
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


def read(path):
    best = {}
    with open(path, newline="") as f:
        for peer, row, n, value in csv.reader(f):
            value = float(value) / (1000 if row == "longest" else 1)
            key = (row, int(n), peer)
            if key not in best or value < best[key]:
                best[key] = value
    return best


def chart(title, bars):
    height, width, left = 24, 420, 110
    most = max(value for _, value in bars) or 1
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" '
        f'height="{height * (len(bars) + 1) + 8}" font-family="sans-serif" font-size="13">',
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>',
    ]
    for i, (peer, value) in enumerate(bars, 1):
        y = i * height + 4
        color = "#2a6f97" if peer.startswith("gomap") else "#a9bcd0"
        length = value / most * width
        lines.append(f'<text x="4" y="{y + 14}">{escape(peer)}</text>')
        lines.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="18" fill="{color}"/>')
        lines.append(f'<text x="{left + length + 5:.1f}" y="{y + 14}">{value:.1f}</text>')
    return "\n".join(lines + ["</svg>"]) + "\n"


def read_shared(path):
    best = {}
    with open(path, newline="") as f:
        for peer, threads, writes, rate in csv.reader(f):
            key = (peer, int(threads), int(writes))
            best[key] = max(best.get(key, 0), float(rate))
    return best


def shared_report(out):
    best = read_shared(f"{out}/shared.csv")
    peers = list(dict.fromkeys(peer for peer, _, _ in best))
    cases = sorted({(threads, writes) for _, threads, writes in best})
    lines = ["", "| M op/s at threads, writes | " + " | ".join(f"{t}, {w} %" for t, w in cases) + " |",
             "|---|" + "---:|" * len(cases)]
    for peer in peers:
        lines.append(f"| {peer} | " + " | ".join(f"{best[peer, t, w]:.1f}" if (peer, t, w) in best else "-" for t, w in cases) + " |")
    for t, w in cases:
        with open(f"{out}/shared-{t}-{w}.svg", "w") as f:
            f.write(chart(f"shared: {t} thread{'s' * (t > 1)}, {w} % writes (M op/s)",
                          [(p, best[p, t, w]) for p in peers if (p, t, w) in best]))
    return lines


def main():
    out, n, large = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    best = read(f"{out}/raw.csv")
    peers = list(dict.fromkeys(peer for _, _, peer in best))
    lines = ["| peer | " + " | ".join(f"{row}" for row in ROWS) + " |",
             "|---|" + "---:|" * len(ROWS)]
    sizes = {row: large if large and row in ("longest", "memory") else n for row in ROWS}
    for peer in peers:
        cells = [best.get((row, sizes[row], peer)) for row in ROWS]
        lines.append(f"| {peer} | " + " | ".join("-" if c is None else f"{c:.1f}" for c in cells) + " |")
    lines += shared_report(out)
    with open(f"{out}/bench.md", "w") as f:
        f.write("\n".join(lines) + "\n")
    for row, title in ROWS.items():
        bars = [(p, best[row, sizes[row], p]) for p in peers if (row, sizes[row], p) in best]
        with open(f"{out}/{row}.svg", "w") as f:
            f.write(chart(f"{title}, {sizes[row]} entries", bars))
    print("\n".join(lines))


main()
