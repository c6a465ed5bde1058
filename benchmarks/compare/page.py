"""From results to `docs/benchmarks.md`: tables between two markers, and the picture. Start with `write`.

`results` is what `bench.py` measures and keeps as JSON: plain dicts and lists.
"""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from benchmarks.compare.peers import BY_NAME
from benchmarks.compare.rounds import fastest, median, ratio, spread
from benchmarks.compare.sweeps import SWEEPS
from maml_edu.atomic import replacing

TITLES = {
    "sinusoid": "sinusoid",
    "sinusoid-adam": "sinusoid, inner Adam",
    "conv4": "Conv4",
    "conv4-pool": "Conv4, max-pool",
}
OURS = [n for n, entry in BY_NAME.items() if entry.ours and entry.precision == "float32"]
THEIRS = [name for name, entry in BY_NAME.items() if not entry.ours]


def write(results, page, picture):
    """Put tables between the markers of the results' device, and the picture beside them.

    Raises ValueError when the page has no such markers.
    """
    draw(results, picture)
    text = between(
        Path(page).read_text(encoding="utf-8"), results["device"], body(results, picture)
    )
    with replacing(Path(page)) as file:
        file.write(text.encode())


def between(text, device, body):
    """`text` with `body` between the device's markers, and nothing else changed."""
    begin, end = f"<!-- results: {device} -->", f"<!-- end of results: {device} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(
            f"the page needs the lines {begin} and {end}, once each and in this order: put them where "
            f"the tables belong."
        )
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n\n{body.strip()}\n\n{end}{after}"


def body(results, picture=None):
    """All tables as Markdown."""
    measured = results["workloads"]
    parts = [machine(results), *headline(measured)]
    if picture:
        parts.append(f"![{ALT}](images/{Path(picture).name})")
    parts += ["### Tasks per second", table(measured, speed), *remarks(measured)]
    parts += ["### How many times as fast is maml_edu?", table(measured, over, THEIRS)]
    parts += ["### Checked before the timing", table(measured, errors)]
    parts += ["### Start-up, first step, threads", startup(results)]
    return "\n\n".join([*parts, *(curve(own) for own in results["sweeps"] if own["points"])])


ALT = (
    "Bars: tasks per second of each peer and of maml_edu's engines, on a logarithmic scale. Lines: memory "
    "against inner steps, speed against tasks and against the width of the network."
)


def machine(results):
    about = results["machine"]
    held = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    said = [
        f"Measured {results['date']} on {about['name']}, {about['cores']} cores, in "
        f"{results['seconds'] / 60:.0f} minutes; {held}.",
        "A short run (`--quick`): not figures to quote." if results["quick"] else "",
        "Stopped before its end." if results["interrupted"] else "",
        results.get("note", ""),
    ]
    return " ".join(part for part in said if part)


def headline(measured):
    """One sentence a workload: our fastest engine beside the fastest peer."""
    lines = []
    for own in measured:
        ours, theirs = fastest(own["rows"], OURS), fastest(own["rows"], THEIRS)
        if not ours or not theirs:
            continue
        known = {row["peer"]: row for row in own["rows"]}
        said = (
            f"{factor(ratio(ours['rates'], theirs['rates']))} × the fastest peer ({label(theirs)})"
        )
        if "learn2learn" in known and median(known["learn2learn"]["rates"]):
            said += f", {factor(ratio(ours['rates'], known['learn2learn']['rates']))} × learn2learn"
        rate = number(median(ours["rates"]))
        lines.append(f"- {title(own)}: {label(ours)}, {rate} tasks a second: {said}")
    return ["\n".join(lines)] if lines else []


def table(measured, cell, names=None):
    """Peers down (those of `names`), workloads across; cell(row or None, all rows) is the text of one."""
    lines = ["| | " + " | ".join(title(own) for own in measured) + " |"]
    lines.append("| --- |" + " ---: |" * len(measured))
    for name in names_in(measured):
        if names is None or name in names:
            cells = [cell(row_of(own, name), own["rows"]) for own in measured]
            lines.append(f"| {BY_NAME[name].label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def speed(row, rows):
    """Median, the fastest of ours and of theirs in bold; † on fewer tasks."""
    if row is None or row["status"] != "timed" or median(row["rates"]) is None:
        return {"wrong": "wrong", "failed": "fails"}.get(row and row["status"], "–")
    best = [fastest(rows, group) for group in (OURS, THEIRS)]
    few = "†" if row["tasks"] < max(own["tasks"] for own in rows) else ""
    text = number(median(row["rates"]))
    return f"**{text}**{few}" if row in best else f"{text}{few}"


def over(row, rows):
    """Our fastest engine over one peer: the median of the ratios within rounds."""
    ours = fastest(rows, OURS)
    known = row is not None and ours is not None and row["status"] == "timed"
    return factor(ratio(ours["rates"], row["rates"])) if known else "–"


def errors(row, rows):
    """Relative error in float64 / float32."""
    if row is None or row["error64"] is None:
        return "–"
    single = "" if row["error32"] is None else f" / {row['error32']:.0e}"
    wrong = "**wrong** " if row["status"] == "wrong" else ""
    return f"{wrong}{row['error64']:.0e}{single}"


def startup(results):
    """Seconds to import, and of the first meta-gradient on each workload; the threads that it got."""

    def cell(row, rows):
        if row is None or row["first_seconds"] is None:
            return "–"
        threads = f" ({row['threads']})" if row["threads"] else ""
        return f"{number(row['first_seconds'])}{threads}"

    lines = table(results["workloads"], cell).splitlines()
    seconds = results["startup"]
    names = names_in(results["workloads"])
    imports = ["import", "---:", *(f"{seconds[n]:.1f}" if n in seconds else "–" for n in names)]
    joined = []
    for line, extra in zip(lines, imports, strict=True):
        first, _, rest = line.removeprefix("|").partition("|")
        joined.append(f"|{first}| {extra} |{rest}")
    return "\n".join(joined)


def remarks(measured):
    """Why a peer has no figure, each reason once; what † means; how far rounds lay apart."""
    said: dict[tuple[str, str], list[str]] = {}
    for own in measured:
        for row in own["rows"]:
            if row["status"] != "timed" and row["status"] != "apart":
                said.setdefault((label(row), row["reason"]), []).append(title(own))
    lines = [f"- {who} ({', '.join(where)}): {why}" for (who, why), where in said.items()]
    few = [row for own in measured for row in own["rows"] if row["tasks"] < most_tasks(own)]
    if few:
        lines.append(
            f"- † timed on {few[0]['tasks']} tasks an outer step: a whole batch takes minutes"
        )
    gaps = spreads(measured)
    if gaps:
        usual = f"{statistics.median(gaps):.0%} apart in the median over peers"
        lines.append(f"- Slowest and fastest round of one peer: {usual}, at most {max(gaps):.0%}")
    return ["\n".join(lines)] if lines else []


def spreads(measured):
    """(fastest − slowest) / median of every peer with at least two rounds."""
    rows = [
        r for own in measured for r in own["rows"] if sum(x is not None for x in r["rates"]) > 1
    ]
    ends = [(spread(r["rates"]), median(r["rates"])) for r in rows]
    return [(fast - slow) / middle for (slow, fast), middle in ends]


def most_tasks(own):
    return max((row["tasks"] for row in own["rows"]), default=0)


def curve(own):
    """One sweep as a table: peers down, values across."""
    sweep = {each.name: each for each in SWEEPS}[own["name"]]
    values = list(dict.fromkeys(point["value"] for point in own["points"]))
    lines = [f"### {sweep.title}" + (" (MB)" if sweep.measures_memory else " (tasks per second)")]
    axis = {"inner_steps": "K", "tasks": "tasks", "width": "width"}[sweep.axis]
    lines += ["", f"| {axis} | " + " | ".join(f"{v:,}" for v in values) + " |"]
    lines.append("| --- |" + " ---: |" * len(values))
    for name in dict.fromkeys(point["peer"] for point in own["points"]):
        known = {p["value"]: p for p in own["points"] if p["peer"] == name}
        cells = [figure(known.get(v, {})) for v in values]
        lines.append(f"| {BY_NAME[name].label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(point):
    if "bytes" in point:
        return number(point["bytes"] / 1e6)
    return number(point["rate"]) if "rate" in point else "fails" if "reason" in point else "–"


# ------------------------------------------------------------------------------------ small things


def names_in(measured):
    """The peers of a run, in the order of `PEERS`."""
    known = {row["peer"] for own in measured for row in own["rows"]}
    return [name for name in BY_NAME if name in known]


def row_of(own, name):
    return next((row for row in own["rows"] if row["peer"] == name), None)


def label(row):
    return BY_NAME[row["peer"]].label


def title(own):
    kind, _, steps = own["name"].rpartition("-")
    return f"{TITLES[kind]}, K = {steps}"


def number(value):
    """Three digits and thousands separators: 31,600; 25.4; 0.32."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    rounded = round(value, 2 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{min(digits, 3)}f}"


def factor(value):
    """A ratio with two digits: 3.4, 150."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


# ------------------------------------------------------------------------------------- the picture


def draw(results, path):
    """Speeds as bars and sweeps as lines, into a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = [(bars, own) for own in results["workloads"] if own["rows"]]
    panels += [(lines, own) for own in results["sweeps"] if own["points"]]
    across = min(2, len(panels))
    down = math.ceil(len(panels) / across) if panels else 0
    if not down:
        return
    size = (7.4 * across, 4.4 * down)
    figure, axes = plt.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (paint, own) in zip(axes.flat, panels, strict=False):
        paint(axis, own)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def bars(axis, own):
    """Tasks per second of everybody who was timed, ours in blue; those who are wrong named below."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = [row for row in own["rows"] if median(row["rates"]) is not None]
    rows = sorted(rows, key=lambda row: median(row["rates"]))
    wrong = [row for row in own["rows"] if row["status"] == "wrong"]
    values = [median(row["rates"]) for row in rows]
    least = min(values, default=1.0) / 3
    names = [label(row) for row in (*wrong, *rows)]
    colours = ["#0072B2" if row["peer"] in OURS else "#BBBBBB" for row in (*wrong, *rows)]
    axis.barh(
        names, [least] * len(wrong) + values, color=colours, edgecolor="#222222", linewidth=0.5
    )
    texts = ["wrong: not timed"] * len(wrong) + [number(value) for value in values]
    for place, (value, text) in enumerate(zip([least] * len(wrong) + values, texts, strict=True)):
        axis.annotate(text, (value, place), (3, 0), textcoords="offset points", va="center")
    axis.set_xscale("log")
    axis.set_xlim(least, max(values, default=1.0) * 3)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_title(title(own))
    axis.set_xlabel("tasks per second")
    axis.spines[["top", "right"]].set_visible(False)


STYLES = {  # Okabe and Ito's colours, and a marker each, for a print in grey
    "textbook": ("#000000", "o", "-"),
    "vmap": ("#E69F00", "s", "-"),
    "jax": ("#D55E00", "^", "-"),
    "ours-plain": ("#56B4E9", "v", "--"),
    "ours-lean": ("#009E73", "D", "--"),
    "ours-auto": ("#0072B2", "*", "-"),
}


def lines(axis, own):
    """One sweep: a line a peer, both axes logarithmic."""
    sweep = {each.name: each for each in SWEEPS}[own["name"]]
    key, scale = ("bytes", 1e6) if sweep.measures_memory else ("rate", 1)
    for name in dict.fromkeys(point["peer"] for point in own["points"]):
        known = [p for p in own["points"] if p["peer"] == name and p.get(key)]
        colour, marker, dash = STYLES.get(name, ("#CC79A7", ".", ":"))
        style = {"color": colour, "marker": marker, "linestyle": dash, "label": BY_NAME[name].label}
        axis.plot([p["value"] for p in known], [p[key] / scale for p in known], **style)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel(
        {"inner_steps": "inner steps K", "width": "hidden width"}.get(sweep.axis, sweep.axis)
    )
    axis.set_ylabel("MB beyond the process at rest" if key == "bytes" else "tasks per second")
    axis.set_title(sweep.title)
    axis.legend(fontsize=8, framealpha=0.9, edgecolor="none")
    axis.spines[["top", "right"]].set_visible(False)
