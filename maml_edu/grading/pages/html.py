"""What the pages for students and teachers have in common: text made harmless, one frame, one look.

The pages are single files without scripts, pictures or fonts from elsewhere; their policy forbids a
browser to load or run anything. Whatever comes from a student passes through `escape`.
"""

from __future__ import annotations

import html
import re

from ..exports.tables import number

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# What would be invisible, would end the text early, or would turn its direction around.
_HIDDEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)


def visible(text: object, limit: int | None = None) -> str:
    """Text that any program may show: control characters as signs, at most `limit` characters."""
    text = str(text).replace("\r\n", "\n").replace("\r", "\n")
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return _HIDDEN.sub(_sign, text)


def _sign(found):
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    turns = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    return f"[U+{code:04X}]" if turns else "\ufffd"


def escape(text: object, limit: int | None = None) -> str:
    """Text as HTML that says just this text, between tags or in a quoted attribute."""
    return html.escape(visible(text, limit))


def name(text: object, limit: int = 200) -> str:
    """A name as HTML; whichever way it is written, the words around it stay where they are."""
    return f"<bdi>{escape(text, limit)}</bdi>"


def points(value: float | None, of: float | None = None) -> str:
    """Points in words: 2.5 of 3 points; 3 points, open: where nothing has been decided."""
    if of is None:
        return "–" if value is None else str(number(value))
    worth = f"{number(of)} point{'' if of == 1 else 's'}"
    return f"{worth}, open" if value is None else f"{number(value)} of {worth}"


def page(title: str, body: str, pictures: bool = False) -> str:
    """A whole page; `title` is text, `body` is HTML. pictures: whether it holds any, inside itself."""
    policy = POLICY + ("; img-src data:" if pictures else "")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(title, 200)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


# Colours of Okabe and Ito, darkened where they carry text; the words say everything the colours say.
STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --soft: #565f69; --paper: #fff; --card: #f5f6f8;
  --line: #d9dde2; --right: #00734f; --wrong: #b04a00; --open: #005a92; --none: #5b6168; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #aab2bb; --paper: #14171a;
  --card: #1e2327; --line: #3a4148; --right: #4cc79b; --wrong: #f2994a; --open: #6cb8ea; --none: #a5adb6; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; overflow-wrap: anywhere; }
header h3 { margin: 0; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
a { color: var(--open); }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--open); outline-offset: 2px; }
.soft { color: var(--soft); }
.total { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; padding: 1rem 1.25rem;
  margin: 1.25rem 0; background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
.total strong { font-size: 1.5rem; }
.bar { flex: 1 0 100%; height: .6rem; border-radius: .3rem; background: var(--line); overflow: hidden;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.bar span { display: block; height: 100%; background: var(--right); }
.item { margin: 1rem 0; padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-left: .4rem solid var(--none); border-radius: .6rem; break-inside: avoid; overflow: hidden; }
.item.right { border-left-color: var(--right); }
.item.wrong { border-left-color: var(--wrong); }
.item.open { border-left-color: var(--open); }
.item header { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .15rem 1rem; }
.item header span { white-space: nowrap; font-variant-numeric: tabular-nums; }
.label { font-weight: 600; color: var(--none); }
.right .label { color: var(--right); } .wrong .label { color: var(--wrong); } .open .label { color: var(--open); }
.comment { border-left: 3px solid var(--line); padding-left: .75rem; white-space: pre-wrap; }
pre { margin: 0; padding: .75rem 1rem; overflow: auto; max-height: 40rem; background: var(--card); direction: ltr;
  border: 1px solid var(--line); border-radius: .4rem; font: .875rem/1.5 ui-monospace, Menlo, Consolas, monospace;
  tab-size: 4; unicode-bidi: isolate; }
.cell { margin: 1rem 0; }
.cell p { margin: 0 0 .25rem; font-size: .875rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.wide td { min-width: 9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; overflow-wrap: anywhere;
  border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; white-space: nowrap; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .25rem 0; }
summary { cursor: pointer; padding: .25rem 0; }
svg { display: block; max-width: 100%; height: auto; margin: .5rem 0 .75rem; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
img.tex { max-width: 100%; vertical-align: middle; }
@media (prefers-color-scheme: dark) { @media screen { img.tex { filter: invert(0.91); } } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --paper: #fff; --card: #fff; --line: #999;
  --right: #00553a; --wrong: #803600; --open: #00406a; --none: #333; }
  main { max-width: none; padding: 0; } pre { white-space: pre-wrap; overflow-wrap: anywhere; max-height: none; }
  a { color: inherit; text-decoration: none; } }
"""
