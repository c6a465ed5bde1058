"""Chapter 15: five ways in which a program misses the meta-gradient, and what each does to an arrow.

The model is logistic regression with two parameters θ = (w, b): p = sigmoid(wx + b) is the probability of class 1.
Its loss is cross-entropy on (1 − p, p) as Keras computes it, probabilities clipped at 1e-7, so that the
arguments can be swapped as they can be there. Start from `find_the_factor`.
"""

from itertools import product

import numpy as np

from maml_edu.figures.live import interactive
from maml_edu.figures.scene import Arrow, Note, Points, Scene, contours, number

__all__ = ["find_the_factor"]

SUPPORT = (np.array([-2.4, -1.6, -0.4]), np.array([0, 1, 1]))  # inputs (3,), classes (3,)
QUERY = (np.array([-1.7, 0.7, 1.9]), np.array([0, 0, 1]))
START, ALPHA = (0.6, 1.7), 0.6
CLIP = 1e-7  # keras.config.epsilon()
EDGE = np.array([4.0, 3.5])  # of the plane of θ: w, b
LINE, GAP = 0.42, 0.16  # heights of a line of words, and of the gap below a switch
UNIT, LONGEST = 0.8, 3.0  # the wanted arrow is UNIT long; longer ones are cut at LONGEST times that

SWITCHES = {  # name: (words beside its tick box, how frameworks say it)
    "stopped": (
        "stop-gradient",
        "TensorFlow: tf.stop_gradient(slope)",
        "PyTorch: slope.detach(), or no create_graph",
        "JAX: jax.lax.stop_gradient(slope)",
    ),
    "same": (
        "support = query",
        "everywhere: loss(φ, support_x, support_y) at the end",
    ),
    "swapped": (
        "swapped arguments",
        "Keras: categorical_crossentropy(p, y) for (y, p)",
        "PyTorch, optax: loss(labels, logits) for (logits, labels)",
    ),
    "summed": (
        "sum instead of mean",
        "TensorFlow: a vector of losses, which the tape adds up",
        'PyTorch: reduction="sum"',
        "JAX: jnp.sum for jnp.mean",
    ),
    "late": (
        "tape opened too late",
        "TensorFlow: φ is older than the outer tape, so None",
        "PyTorch: φ comes from torch.no_grad(), so an error",
        "JAX: φ comes from outside grad's function, so zeros",
    ),
}
FREE = "none: try the switches"


# ---------------------------------------------------------------- the problem


def slope_and_curvature(theta, examples, swapped=False, summed=False):
    """∇L (2,) and ∇∇L (2, 2) of the cross-entropy at theta (2,): its mean over the examples, or their sum.

    With s = ±1 for class 1 and 0, the true class has probability q = sigmoid(s(wx + b)), and its loss is −log q.
    Swapped, the prediction weighs the logarithms of the clipped labels: −(1 − q) log ε − q log(1 − ε).
    """
    x, label = examples
    sign, inputs = 2 * label - 1, np.stack([x, np.ones_like(x)], axis=-1)  # (n,), (n, 2)
    q = 1 / (1 + np.exp(-sign * (inputs @ theta)))
    first, second = q - 1, q * (1 - q)  # derivatives by s(wx + b)
    if swapped:
        height = np.log(1 - CLIP) - np.log(CLIP)
        first, second = -height * q * (1 - q), -height * q * (1 - q) * (1 - 2 * q)
    share = 1 if summed else 1 / len(x)
    slope = share * (inputs.T @ (first * sign))
    return slope, share * np.einsum("n,ni,nj->ij", second, inputs, inputs)


def meta_gradient(theta, alpha, stopped=False, same=False, swapped=False, summed=False, late=False):
    """What a program with these faults computes for dL_Q(φ)/dθ, (2,), or None; without a fault it is right.

    φ = θ − α∇L_S(θ), and the right answer is (I − α∇∇L_S(θ)) ∇L_Q(φ).
    """
    if late:
        return None
    slope, curvature = slope_and_curvature(theta, SUPPORT, swapped, summed)
    phi = theta - alpha * slope
    after, _ = slope_and_curvature(phi, SUPPORT if same else QUERY, swapped, summed)
    return after if stopped else after - alpha * curvature @ after


def meta_loss(w, b, alpha):
    """L_Q(φ), right, for w and b of one shape (arrays)."""
    x, label = SUPPORT
    sign = 2 * label - 1
    rest = [1 / (1 + np.exp(s * (w * v + b))) for s, v in zip(sign, x, strict=True)]  # 1 − q
    w_phi = w + alpha * sum(s * v * r for s, v, r in zip(sign, x, rest, strict=True)) / len(x)
    b_phi = b + alpha * sum(s * r for s, r in zip(sign, rest, strict=True)) / len(x)
    margins = [(2 * y - 1) * (w_phi * v + b_phi) for v, y in zip(*QUERY, strict=True)]
    return sum(np.logaddexp(0, -margin) for margin in margins) / len(margins)


def compare(computed, wanted):
    """(length relative to the wanted one, angle between them in degrees; NaN for one of no length)."""
    lengths = np.linalg.norm(computed), np.linalg.norm(wanted)
    if not all(lengths):
        return (0.0 if not lengths[0] else np.inf), np.nan
    cosine = np.clip(computed @ wanted / (lengths[0] * lengths[1]), -1, 1)
    return float(lengths[0] / lengths[1]), float(np.degrees(np.arccos(cosine)))


def hidden_cases(cases=8, seed=15):
    """`cases` sets of switches, no two alike and none empty, in an order that the seed decides.

    A tape that opens too late hides all else, so that it is never together with others.
    """
    open_ones = [name for name in SWITCHES if name != "late"]
    combined = [
        frozenset(name for name, on in zip(open_ones, taken, strict=True) if on)
        for taken in product((False, True), repeat=len(open_ones))
    ]
    possible = [*(one for one in combined if one), frozenset({"late"})]
    if not 1 <= cases <= len(possible):
        raise ValueError(f"cases is {cases}: there are 1 to {len(possible)} different ones")
    chosen = np.random.default_rng(seed).permutation(len(possible))[:cases]
    return [possible[i] for i in chosen]


# ---------------------------------------------------------------- the figure


def find_the_factor(cases=8, seed=15):
    """Five switches, and the arrow of a program whose switches are hidden: which are on? Drag θ, change α.

    cases: how many programs there are to choose from, 1 … 16; seed: which ones. Without a program the switches
    can be tried. Raises ValueError for another number of cases.
    """
    hidden = {f"program {i}": one for i, one in enumerate(hidden_cases(cases, seed), start=1)}
    hidden = {FREE: None, **hidden}

    def scenes(case, alpha, answer, theta, **switches):
        return factor_scenes(switches, hidden[case], case, answer, alpha, theta)

    controls = {name: (words[0], name == "stopped") for name, words in SWITCHES.items()}
    controls |= {
        "case": ("hidden program", list(hidden)),
        "alpha": ("inner rate α", 0.0, 1.2, ALPHA, 0.05),
        "answer": ("show the answer", False),
    }
    return interactive(scenes, controls, drag={"theta": START})


def factor_scenes(switches, hidden=None, case=FREE, answer=False, alpha=ALPHA, theta=START):
    """Left: arrows from θ. Right: the switches, the frameworks' words for each, and whether they are found.

    switches: name → on or off, the reader's; hidden: the set of those of the program, None without a program.
    """
    theta = np.clip(np.asarray(theta, float), -EDGE, EDGE)
    mine = frozenset(name for name, on in switches.items() if on)
    programs = [(case, "hidden", hidden)] * (hidden is not None)
    computed = {  # the reader's last: on top of one that agrees, and narrower
        name: (role, meta_gradient(theta, alpha, **dict.fromkeys(on, True)))
        for name, role, on in [*programs, ("your switches", "first_order", mine)]
    }
    return [
        _plane_scene(computed, alpha, theta),
        _words_scene(mine, hidden, case, answer, _agree(computed), alpha),
    ]


def _agree(computed):
    """Whether the two arrows are the same: None, or equal to nine digits."""
    gradients = [gradient for _, gradient in computed.values()]
    if len(gradients) < 2 or any(gradient is None for gradient in gradients):
        return len(gradients) == 2 and gradients[0] is gradients[1]
    return np.allclose(*gradients, rtol=1e-9, atol=1e-15)


def _plane_scene(computed, alpha, theta):
    wanted = meta_gradient(theta, alpha)
    ways = {name: _said(gradient, wanted) for name, (_, gradient) in computed.items()}
    arrows, notes = [_push(theta, wanted, wanted, "maml", "minus the meta-gradient (wanted)")], []
    for name, (role, gradient) in computed.items():
        if gradient is not None:
            arrows.append(_push(theta, gradient, wanted, role, name))
            notes += _length_of_a_cut_one(arrows[-1], compare(gradient, wanted)[0], role)
    limits, levels = [(-edge, edge) for edge in EDGE], np.geomspace(0.02, 8, 14)
    surface = contours(lambda w, b: meta_loss(w, b, alpha), *limits, levels, 61)
    said = "; ".join(f"{name}: {way}" for name, way in ways.items())
    return Scene(
        title=said[0].upper() + said[1:],
        alt=(
            f"The plane of θ = (w, b) with contours of the meta-loss at α = {number(alpha)}, and arrows from θ at "
            f"({number(theta[0], places=1)}, {number(theta[1], places=1)}): blue for minus the meta-gradient, "
            f"other colours for minus what programs compute. {said}. Lengths are relative to the blue arrow's; "
            f"arrows longer than {number(LONGEST)} are cut and carry their length."
        ),
        xlabel="parameter w",
        ylabel="parameter b",
        xlim=limits[0],
        ylim=limits[1],
        equal=True,
        legend="below",
        levels=[surface],
        arrows=arrows,
        points=[Points(*theta, "theta", "θ (drag it)", drag="theta")],
        notes=notes,
    )


def _push(theta, gradient, wanted, role, name):
    """From θ along −gradient, in units of the wanted one's length, cut at LONGEST of them."""
    length, unit = np.linalg.norm(gradient), np.linalg.norm(wanted)
    relative = min(length / unit if unit else np.inf, LONGEST) if length else 0.0
    head = theta - UNIT * relative * gradient / (length or 1.0)
    return Arrow(tuple(theta), tuple(head), role, name)


def _length_of_a_cut_one(arrow, length, role):
    """Beyond the head, up or down, and towards the middle from left or right: never off the panel."""
    if length <= LONGEST:
        return []
    up = 1 if arrow.head[1] >= arrow.tail[1] else -1
    x, y = np.clip(np.add(arrow.head, (0, 0.35 * up)), -0.93 * EDGE, 0.93 * EDGE)
    return [Note(x, y, f"{number(length)} ×", "right" if x > 0 else "left", role=role)]


def _said(gradient, wanted):
    if gradient is None:
        return "None instead of a gradient"
    length, angle = compare(gradient, wanted)
    if np.isnan(angle):
        return "no length" if not length else "the wanted gradient is zero here"
    if abs(length - 1) < 1e-9 and angle < 1e-4:
        return "the meta-gradient itself"
    return f"{number(length)} times as long, {angle:.0f}° off"


# ---------------------------------------------------------------- the frameworks' words


def _words_scene(mine, hidden, case, answer, agree, alpha):
    """A block of lines for each switch, from the top: a mark if it is on, and a star if the answer has it."""
    problem = _problem(alpha)
    shown = hidden if answer and hidden is not None else frozenset()
    notes, points, y = [], [], 0.0
    for name, (title, *lines) in SWITCHES.items():
        state = "ON" if name in mine else "off"
        notes.append(Note(0.6, y, f"{title}: {state}", role="first_order" if name in mine else ""))
        notes += [Note(0.6, y - LINE * (i + 1), line) for i, line in enumerate(lines)]
        points += [Points(0.25, y, "first_order")] * (name in mine)
        points += [Points(9.7, y, "goal", f"on in {case}")] * (name in shown)
        y -= LINE * (len(lines) + 1) + GAP
    notes += [Note(0.6, y - LINE * i, line) for i, line in enumerate(problem)]
    return Scene(
        title=_verdict(mine, hidden, case, answer, agree),
        alt=(
            "The five switches, each with the words that frameworks have for it, and the problem: "
            f"{'; '.join(problem)}. "
            + " ".join(
                f"{title}: {'on' if name in mine else 'off'}"
                f"{', and on in the hidden program' if name in shown else ''}. {'; '.join(lines)}."
                for name, (title, *lines) in SWITCHES.items()
            )
        ),
        xlim=(0, 10),
        ylim=(y - LINE * (len(problem) - 1) - 0.3, 0.4),
        diagram=True,
        equal=True,
        legend="below",
        points=points,
        notes=notes,
    )


def _problem(alpha):
    """What the left panel shows, in lines."""
    return (
        "wanted: (I − αH) · slope of the query loss at φ",
        f"contours: the right query loss at φ, for α = {number(alpha)}",
        f"{len(SUPPORT[0])} support and {len(QUERY[0])} query examples",
    )


def _verdict(mine, hidden, case, answer, agree):
    name = case[0].upper() + case[1:]
    if hidden is None:
        on = _listed(mine)
        return f"On: {on}" if mine else "No switch is on: nothing is wrong. Choose a hidden program"
    if mine == hidden:
        return f"Found. {name}: {_listed(hidden)}"
    if answer:
        return f"{name}: {_listed(hidden)} (the stars)"
    if not agree:
        return f"{name} is not found yet: the two arrows differ"
    if "late" in mine:
        return f"{name} gives None, too: that hides every other switch. Which one is enough?"
    return "The arrows agree here, and the switches do not: change α or drag θ"


def _listed(names):
    return ", ".join(SWITCHES[name][0] for name in SWITCHES if name in names)
