"""One look for every picture: what a thing *is* (its role) decides how it is drawn.

Colours are Okabe and Ito's, which people with colour-blindness tell apart; dashes and markers
differ too, so that a picture printed in grey can still be read. matplotlib (`static.py`) and the
browser (`plane.js`) read the same table. Start from `ROLES`.
"""

from dataclasses import asdict, dataclass

INK = "#222222"  # text and axes
GRID = "#e4e4e4"
PAPER = "#ffffff"


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
    "truth": Role("#000000", width=1.8, means="what is really there: the true function"),
    "support": Role("#E69F00", marker="o", edge="#000000", means="examples to adapt to"),
    "query": Role("#56B4E9", marker="s", edge="#000000", means="examples to be judged by"),
    "before": Role("#8C8C8C", dash=(3.5, 2.0), marker="o", means="before adaptation"),
    "after": Role("#009E73", marker="D", width=2.4, means="after adaptation"),
    "theta": Role("#000000", marker="o", means="θ, the meta-parameters"),
    "phi": Role("#009E73", marker="D", means="φ, the adapted parameters"),
    "maml": Role("#0072B2", marker="o", width=2.4, means="MAML, the full meta-gradient"),
    "first_order": Role(
        "#D55E00", dash=(5.0, 1.6, 1.0, 1.6), marker="^", means="MAML without its second order"
    ),
    "baseline": Role(
        "#CC79A7", dash=(2.2, 1.4), marker="s", width=2.4, means="an ordinary pretrained network"
    ),
    "path": Role("#000000", marker="o", width=1.2, means="steps of an optimiser"),
    "surface": Role("#56B4E9", width=1.0, means="a loss surface, level by level"),
    "reader": Role("#000000", marker="^", means="what the reader answers"),
    "goal": Role(
        "#F0E442",
        marker="*",
        edge="#000000",
        means="what is to be found: a minimum, a right answer",
    ),
    "high": Role("#D55E00", marker="^", means="the larger of two values of one quantity"),
    "low": Role(
        "#56B4E9", dash=(3.5, 1.6), marker="s", means="the smaller of two values of one quantity"
    ),
    "neutral": Role("#666666", dash=(1.0, 1.6), width=1.2, means="guides and limits"),
}


def roles_as_json():
    """`ROLES` as plain dicts, for the browser."""
    return {name: {**asdict(role), "dash": list(role.dash)} for name, role in ROLES.items()}


def lightness(colour):
    """CIE L* (0 black … 100 white) of "#rrggbb": what is left of a colour in a grey print."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y
