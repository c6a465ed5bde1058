"""One look for every picture: what a thing *is* (its role) decides how it is drawn.

Colours are Okabe and Ito's or near them, which people with colour-blindness tell apart; dashes and
markers differ too, so that a picture printed in grey can still be read. matplotlib (`static.py`) and
the browser (`plane.js`) read the same table. Start from `ROLES`.

One palette for light and for dark pages
----------------------------------------
A picture has no paper of its own: it lies on white in JupyterLab's light theme and on #111111 in the
dark one, and nothing tells it which. Two pictures and a choice between them would need `<picture>`,
`<style>` or an inline `<svg>`, and JupyterLab takes all three out of a notebook that has not been run
on this machine. `prefers-color-scheme` asks the operating system, which
may be dark where JupyterLab is light. A transparent PNG whose every colour has a contrast of 3 : 1 or
more with both grounds is right in all of them. That leaves a band of middle lightness (L* from 41 to
62); marks whose fill is lighter have a black edge. Live figures, which run only where they are trusted,
take text and paper from JupyterLab's own variables, and what is `LINE` here in the colour of the text.
"""

from dataclasses import asdict, dataclass

INK = "#737373"  # text and axes
LINE = "#666666"  # lines and marks without a colour of their own
GRID = "#80808040"  # a grey through which three quarters of the ground are seen
GROUNDS = ("#ffffff", "#111111")  # JupyterLab's, light and dark


@dataclass(frozen=True)
class Role:
    """How one kind of thing is drawn.

    `dash` is (on, off, …) in multiples of the line width, empty for a solid line; `marker` is a
    matplotlib letter that `plane.js` knows too; `edge` outlines markers whose colour is light.
    """

    colour: str
    dash: tuple[float, ...] = ()
    marker: str = "o"
    width: float = 2.0
    edge: str = ""
    means: str = ""


ROLES = {
    "truth": Role(LINE, width=2.0, means="what is really there: the true function"),
    "support": Role("#E69F00", marker="o", edge="#000000", means="examples to adapt to"),
    "query": Role("#56B4E9", marker="s", edge="#000000", means="examples to be judged by"),
    "support_loss": Role("#B97F00", dash=(9.0, 1.6), means="the loss on examples to adapt to"),
    "query_loss": Role("#3A93CC", dash=(3.0, 1.4), means="the loss on examples to be judged by"),
    "before": Role("#8C8C8C", dash=(3.5, 2.0), marker="o", means="before adaptation"),
    "after": Role("#009E73", marker="D", width=2.4, means="after adaptation"),
    "theta": Role(LINE, marker="o", means="θ, the meta-parameters"),
    "phi": Role("#009E73", marker="D", means="φ, the adapted parameters"),
    "maml": Role("#0072B2", marker="o", width=2.4, means="MAML, the full meta-gradient"),
    "first_order": Role(
        "#D55E00", dash=(5.0, 1.6, 1.0, 1.6), marker="^", means="MAML without its second order"
    ),
    "baseline": Role(
        "#CC79A7", dash=(2.2, 1.4), marker="s", width=2.4, means="an ordinary pretrained network"
    ),
    "reptile": Role("#A6761D", dash=(7.0, 2.0), marker="v", width=2.4, means="Reptile"),
    "implicit": Role("#8A63D2", dash=(1.0, 1.0), marker="P", width=2.8, means="implicit MAML"),
    "path": Role(LINE, marker="o", width=1.2, means="steps of an optimiser"),
    "surface": Role("#3A93CC", width=1.0, means="a loss surface, level by level"),
    "hidden": Role(
        "#CC79A7",
        dash=(2.2, 1.4),
        marker="s",
        width=2.4,
        means="a program whose fault is to be found",
    ),
    "attention": Role("#CC79A7", width=1.0, means="what a transformer looks at"),
    "reader": Role(LINE, marker="^", means="what the reader answers"),
    "goal": Role(
        "#F0E442",
        marker="*",
        edge="#000000",
        means="what is to be found: a minimum, a right answer",
    ),
    "high": Role("#D55E00", marker="^", means="the larger of two values of one quantity"),
    "low": Role(
        "#3A93CC", dash=(3.5, 1.6), marker="s", means="the smaller of two values of one quantity"
    ),
    "neutral": Role(LINE, dash=(1.0, 1.6), width=1.2, means="guides and limits"),
    "stretched": Role("#009E73", width=2.4, means="a direction whose factor 1 − αλ is above 1"),
    "shrunk": Role("#3A93CC", dash=(3.5, 1.6), means="a direction whose factor is from 0 to 1"),
    "reversed": Role(
        "#D55E00", dash=(5.0, 1.6, 1.0, 1.6), means="a direction whose factor is from −1 to 0"
    ),
    "runaway": Role("#CC79A7", dash=(2.2, 1.4), means="a direction whose factor is below −1"),
}


def roles_as_json():
    """`ROLES` as plain dicts, for the browser, where `LINE` follows the colour of the text."""
    return {name: {**asdict(role), **_live(role)} for name, role in ROLES.items()}


def _live(role):
    return {"dash": list(role.dash), "colour": "var(--ink)" if role.colour == LINE else role.colour}


def luminance(colour):
    """Relative luminance of "#rrggbb", 0 black … 1 white (WCAG 2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast of two colours, 1 … 21 (WCAG 2)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lightness(colour):
    """CIE L* (0 black … 100 white) of "#rrggbb": what is left of a colour in a grey print."""
    y = luminance(colour)
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y
