"""Markdown and TeX of anybody as HTML that says it and does nothing: `html_of`.

Tags are shown as text, links and pictures as words. TeX becomes a picture where Matplotlib's mathtext can read
it, and stays as it was written elsewhere. A browser's policy forbids scripts on top of that.
"""

from __future__ import annotations

import base64
import io
import threading
from functools import lru_cache

from .html import escape, visible

LONGEST = 20_000  # characters of an answer that are shown
TEX = 300  # characters of one formula that is drawn
DEEP = 8  # braces in braces
FORMULAS = 60  # drawn in one text
_DRAWING = threading.Lock()  # Matplotlib's reader of TeX serves one at a time


def html_of(text: str, code: bool = False) -> str:
    """HTML of an answer; code as it stands there."""
    shown = visible(text)
    left = len(shown) - LONGEST
    shown = shown[:LONGEST]
    made = f"<pre><code>{escape(shown)}</code></pre>" if code else _markdown(shown)
    return made + (f'<p class="soft">… cut here: {left:,} more characters</p>' if left > 0 else "")


def _markdown(text: str) -> str:
    try:
        return _reader()(text)
    except (ImportError, RecursionError):
        return f'<pre class="words">{escape(text)}</pre>'


def _reader():
    """Markdown → HTML, a new one each time, for it counts formulas. Raises ImportError without mistune."""
    import mistune
    from mistune.plugins.math import math

    class Words(mistune.HTMLRenderer):
        """HTML without anything to follow or to load."""

        def __init__(self):
            super().__init__(escape=True)
            self.drawn = 0

        def link(self, text, url="", title=None, *rest, **more):
            return f'{text} <span class="url">({escape(url, 300)})</span>'

        def image(self, text, url="", title=None, *rest, **more):
            return f'<span class="url">[picture: {escape(text, 300)} {escape(url, 100)}]</span>'

        def block_html(self, html):
            return f'<pre class="words">{escape(html)}</pre>'

        def inline_html(self, html):
            return escape(html)

        def heading(self, text, level=1, **attrs):
            return f"<h4>{text}</h4>\n"

        def block_code(self, code, info=None):
            return f"<pre><code>{escape(code)}</code></pre>\n"

        def formula(self, tex):
            self.drawn += 1
            return picture_of(tex) if self.drawn <= FORMULAS else source_of(tex)

    renderer = Words()
    read = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough"])
    math(read)  # type: ignore[arg-type]
    renderer.register("inline_math", lambda own, tex: own.formula(tex))
    renderer.register("block_math", lambda own, tex: f'<p class="math">{own.formula(tex)}</p>\n')
    return read


# ------------------------------------------------------------------ TeX


def source_of(tex: str) -> str:
    """A formula as it was written."""
    return f'<code class="tex">${escape(tex, 2000)}$</code>'


def picture_of(tex: str) -> str:
    """A formula as a picture whose alternative text is its source; as its source where that cannot be."""
    drawn = _drawn(" ".join(tex.split())) if len(tex) <= TEX and _depth(tex) <= DEEP else None
    if drawn is None:
        return source_of(tex)
    data, width, height, low = drawn
    return (
        f'<img class="tex" alt="{escape(tex, TEX)}" width="{width}" height="{height}" '
        f'data-low="{low}" src="data:image/svg+xml;base64,{data}">'
    )


def _depth(tex: str) -> int:
    now = most = 0
    for sign in tex:
        now += (sign == "{") - (sign == "}")
        most = max(most, now)
    return most


@lru_cache(maxsize=4096)
def _drawn(tex: str) -> tuple[str, float, float, float] | None:
    """(SVG in base64, width, height, how far it reaches below the line), in pixels of a page; None: cannot be."""
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    look = FontProperties(size=12)
    text = f"${_in_mathtext(tex)}$"
    try:
        with _DRAWING:
            width, height, low, _, _ = MathTextParser("path").parse(text, dpi=72, prop=look)
            if not 0 < width < 2000 or not 0 < height < 500:
                return None
            figure = Figure(figsize=(width / 72, height / 72))
            figure.text(0, low / height, text, fontproperties=look, color="black")
            file = io.BytesIO()
            figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    except Exception:  # whatever mathtext does with what a student wrote
        return None
    size = 4 / 3  # points → pixels
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return data, round(width * size, 1), round(height * size, 1), round(low * size, 1)


def _in_mathtext(tex: str) -> str:
    """TeX in the words that Matplotlib knows."""
    for name, known in ((r"\lVert", r"\Vert"), (r"\rVert", r"\Vert"), (r"\bm", r"\boldsymbol"),
                        (r"\tfrac", r"\frac"), (r"\dfrac", r"\dfrac")):  # fmt: skip
        tex = tex.replace(name, known)
    return tex
