"""Checks of chapter 15: one function per exercise, for the learner and for the grader. No framework is needed."""

from functools import partial

import numpy as np

from maml_edu.checks.comparing import array_of, difference
from maml_edu.checks.exercise import WrongAnswer, draw, exercise, expect, named

# ------------------------------------------------------------------ 15.1

RIGHT = dict(
    zip(
        "ABCDEFGHI",
        "full first full first first zero none at_theta support".split(),
        strict=True,
    )
)
WHY = {
    "A": "grad goes through the grad inside it, and the loss is that of the query set at φ",
    "B": "without create_graph=True the slope is a constant for the second call of grad",
    "C": "the inner tape is asked while the outer one is open, which records this, too",
    "D": "the outer tape opens when the slope is there already, and takes it for a constant",
    "E": "assign writes a new value into the variable and leaves no path to the old one: the outer tape knows the "
    "variable only as it is read in the query loss, at φ",
    "F": "stop_gradient stands around all of φ and cuts both paths, and JAX says 0 where nothing leads back",
    "G": "stop_gradient stands around all of φ and cuts both paths, and TensorFlow says None where nothing "
    "leads back",
    "H": "nobody uses what update returns: the model still holds θ, and the query loss is taken there",
    "I": "the meta-loss is the support loss again; the query set does not occur",
}
IS = {
    "full": "the full gradient of the query loss",
    "first": "the first-order gradient",
    "at_theta": "the slope of the query loss at θ",
    "support": "the full gradient with the support set for the query set",
    "support_first": "the first-order gradient with the support set for the query set",
    "slope": "the slope of the support loss at θ",
    "plus": "the full gradient with 1 + αa in place of 1 − αa",
    "other": "the full gradient with the query's curvature in the factor, 1 − αb in place of 1 − αa",
    "bent": "the full gradient without the direct path from θ to φ, −αa in place of 1 − αa",
    "phi": "φ itself, and no gradient",
    "zero": "0",
    "none": "None",
}


@exercise("15.what_it_computes", points=3, minutes=15, difficulty=2)
def what_it_computes(answer, rng):
    """Name the gradient"""
    cases = draw(
        rng, theta=(1.0, 3.0), a=(0.4, 1.4), c=(-3.0, -1.0), b=(1.6, 2.5), d=(4.0, 6.0),
        alpha=(0.1, 0.5),
    )  # fmt: skip
    for case in cases:
        values = _gradients(*case)
        got, right = answer(*case), {letter: values[name] for letter, name in RIGHT.items()}
        if not isinstance(got, dict) or got.keys() != right.keys():
            expect(got, right)
            continue
        for letter, name in RIGHT.items():
            mistakes = {
                f"listing {letter} does not give {IS[other]}: {WHY[letter]}": value
                for other, value in values.items()
                if other != name
            }
            expect(got[letter], right[letter], mistakes, what=f"your value for listing {letter}")


def _gradients(theta, a, c, b, d, alpha):
    """All that a listing might give."""
    phi = theta - alpha * a * (theta - c)
    first = b * (phi - d)
    return {
        "full": (1 - alpha * a) * first,
        "first": first,
        "at_theta": b * (theta - d),
        "support": (1 - alpha * a) * a * (phi - c),
        "support_first": a * (phi - c),
        "slope": a * (theta - c),
        "plus": (1 + alpha * a) * first,
        "other": (1 - alpha * b) * first,
        "bent": -alpha * a * first,
        "phi": phi,
        "zero": 0.0,
        "none": None,
    }


# ------------------------------------------------------------------ 15.2

NUMBER, NONE, ERROR = "number", "none", "error"
TAPE_MISTAKES = {
    "after": "a tape is taken to record after its block has ended: it records only while it is open",
    "before": "a tape is taken to know what was computed before it opened: for it, those values are constants",
    "unrecorded": "no tape records a gradient here: a gradient is computed, too, and every tape that is open "
    "records it",
    "always": "there is a number for every gradient: without a recorded path from source to target it is None",
    "watched_late": "watching is taken to count for what was computed before: the tape follows a constant only "
    "from then on",
    "watched_everywhere": "what one tape watches is taken to be followed by every open tape: each follows only "
    "what it watches itself",
    "constants": "constants are followed without being watched: that holds for variables only",
    "variables": "variables are not followed unless they are watched: a tape follows each of them by itself",
    "twice": "a tape that is not persistent answers twice: the second time it is an error",
    "twice_none": "the second question to a tape that is not persistent gives None: it is an error",
    "never_twice": "a persistent tape answers only once: it may be asked as often as one likes",
    "stays_open": "a persistent tape is taken to record after its block has ended: it may be asked again, and "
    "that is all",
    "direct": "a gradient is taken to be computed from its source: it is computed from its target, which is a "
    "constant for a tape that was not open when it was computed",
    "both": "a gradient is taken to be computed from its source, too: it is computed from its target, and a tape "
    "that does not follow the target does not record it",
    "innermost": "only the tape that was opened last records: every open tape does",
    "not_its_own": "an open tape does not record the gradient that it is asked for itself: if it is open and "
    "persistent, it does",
    "backwards": "the path is sought from the target to the source: it leads from source to target",
    "all_inputs": "an operation is recorded only if the tape follows all of its inputs: one is enough",
    "closed": "a tape that is closed gives None: after its block is just when it is asked",
    "one_step": "only paths of a single operation are found: a path may have many",
    "none_is_free": "a tape that has given None may be asked again: a tape that is not persistent is used up by "
    "its first question, whatever it gave",
    "followed": "there is a number whenever the tape follows source and target: recorded operations must lead from "
    "the one to the other, too",
    "recorded": "there is a number whenever the tape follows the target: recorded operations must lead from the "
    "source to it",
    "results": "an operation on results alone is not recorded: a tape follows the results that it has recorded, "
    "too",
    "beside": "a constant that is not watched is taken for a source because it was added to a value that is "
    "followed: what the tape does not follow leads nowhere",
}  # fmt: skip


@exercise("15.persistent_or_nested", points=4, minutes=30, difficulty=3)
def persistent_or_nested(answer, rng):
    """Persistent or nested"""
    for case, _ in enumerate(draw(rng, case=1)):
        order = rng.permutation(len(BLOCKS))
        for block in order[
            : 6 if case else None
        ]:  # in the first case all, then some under other names
            variables, events = _program(rng, BLOCKS[block])
            right = _asked(variables, events)
            mistakes = partial(_misread, variables, events)
            expect(answer(variables, events), right, mistakes, detail=_as_code(variables, events))


def _misread(variables, events):
    right = _asked(variables, events)
    nothing = {NONE: None}
    in_words = 'the answer for a gradient that is None should be the string "none"'
    return {text: _asked(variables, events, rule) for rule, text in TAPE_MISTAKES.items()} | {
        in_words: [nothing.get(word, word) for word in right]
    }


# x, v: variables; k: a constant; in capitals: tapes. "y<x" computes y from x, "y<xk" from both; "g=A:y/x" asks
# tape A for the gradient of y with respect to x; "+A" opens a tape, "*A" a persistent one, "-A" closes it, and
# "A!k" watches.
BLOCKS = [
    "+A y<x z<y -A g=A:z/x",
    "+A y<x -A z<y g=A:z/x",
    "y<x +A z<yv -A g=A:z/x",
    "+A y<x z<v w<yz -A g=A:w/v",
    "+A y<x z<v -A g=A:y/v",
    "+A +B y<x z<y -B g=B:z/y -A h=A:g/x",
    "+A +B y<x z<y g=B:z/x -B -A h=A:g/x",
    "+A +B y<x -B -A g=B:y/x h=A:g/x",
    "+B y<x -B +A g=B:y/x -A h=A:g/x",
    "+B y<x z<y +A w<zv -A -B +C g=B:w/x -C h=C:g/x",
    "+B y<x +A z<y -A -B +C g=B:z/x -C h=A:z/x",
    "+A +B y<x z<y -B w<z -A g=B:z/x h=A:w/x",
    "*A y<x z<y -A g=A:z/x h=A:y/x",
    "+A y<x z<y -A g=A:z/x h=A:y/x",
    "+A y<k z<x -A g=A:y/k",
    "*A y<k A!k z<k -A g=A:y/k h=A:z/k",
    "+A y<xk z<y -A g=A:z/x",
    "*A y<x g=A:y/x -A h=A:g/x",
    "*A y<x -A g=A:y/x h=A:g/x",
    "*A y<x z<y -A w<z g=A:w/x h=A:z/x",
    "+A y<xk z<y -A g=A:z/k",
    "+A y<k z<x -A g=A:z/k h=A:z/x",
    "+A y<x z<v -A g=A:y/v h=A:y/x",
    "+A y<x +B z<yv -B g=B:z/v -A h=A:g/x",
    "+A y<x +B z<yv w<z -B g=B:w/v -A h=A:g/v",
    "+A y<x z<y +B A!k w<zk -A -B g=B:w/k h=A:w/k",
]


def _program(rng, block):
    """(variables, events) of a block, under names drawn anew."""
    words = list(
        map(str, rng.permutation("theta phi loss slope total weight bias inner_loss mean".split()))
    )
    tapes = dict(zip("ABC", map(str, rng.permutation(["tape", "outer", "inner"])), strict=True))
    letters = sorted(set("xvkyzwgh") & set(block))
    names = dict(zip(letters, words, strict=False))
    name = names.__getitem__
    events: list[tuple] = []
    for text in block.split():
        if text[0] in "+*":
            events.append(("open", tapes[text[1]], text[0] == "*"))
        elif text[0] == "-":
            events.append(("close", tapes[text[1]]))
        elif "!" in text:
            events.append(("watch", tapes[text[0]], name(text[2])))
        elif "<" in text:
            events.append(("compute", name(text[0]), [name(letter) for letter in text[2:]]))
        else:
            events.append(("gradient", name(text[0]), tapes[text[2]], name(text[4]), name(text[6])))
    return sorted(names[letter] for letter in "xv" if letter in names), events


def _as_code(variables, events):
    """The program as a learner would write it."""
    lines, depth = [], 0
    for kind, *rest in events:
        depth -= kind == "close"
        line = {
            "open": lambda tape, many: f"with GradientTape({'persistent=True' * many}) as {tape}:",
            "close": lambda tape: f"# the block of {tape} ends",
            "watch": lambda tape, value: f"{tape}.watch({value})",
            "compute": lambda result, inputs: f"{result} = exp({' + '.join(inputs)})",
            "gradient": lambda result, tape, of, by: f"{result} = {tape}.gradient({of}, {by})",
        }[kind](*rest)
        lines.append("    " * max(depth, 0) + line)
        depth += kind == "open"
    return f"program, with the variables {', '.join(variables)}:\n" + "\n".join(lines)


class _Tape:
    def __init__(self, persistent, follows, ops):
        self.persistent, self.follows, self.ops = persistent, set(follows), list(ops)
        self.open, self.asked = True, False

    def record(self, result, inputs, rule):
        seen = [value in self.follows or rule == "constants" for value in inputs]
        if all(seen) if rule == "all_inputs" else any(seen):
            self.follows |= {result} if rule != "results" else set()
            self.ops.append((result, inputs))

    def leads(self, source, target, rule):
        """Whether recorded operations lead from source to target."""
        if rule == "followed":
            return {source, target} <= self.follows
        if rule == "recorded":
            return target in self.follows
        reached = {source} if rule in ("beside", "constants") else {source} & self.follows
        for result, inputs in self.ops:
            if reached & ({*inputs} if rule != "one_step" else {*inputs} & {source}):
                reached.add(result)
        return target in reached


def _asked(variables, events, rule=""):
    """What each gradient of a program is; a rule names what is misunderstood."""
    tapes: dict[str, _Tape] = {}
    history: list[tuple] = []
    results = []
    watched = {tape: value for kind, tape, *value in events if kind == "watch"}

    def record(result, inputs, but=None):
        history.append((result, inputs))
        live = [t for t in tapes.values() if t.open or rule == "after"]
        for tape in live[-1:] if rule == "innermost" else live:
            if tape is not but:
                tape.record(result, inputs, rule)

    for kind, first, *rest in events:
        if kind == "open":
            follows = [] if rule == "variables" else [*variables]
            if rule == "watched_late":
                follows += watched.get(first, [])
            tapes[first] = _Tape(rest[0], follows, [])
            for result, inputs in history if rule == "before" else ():
                tapes[first].record(result, inputs, rule)
        elif kind == "close":
            tapes[first].open = rule == "stays_open" and tapes[first].persistent
        elif kind == "watch":
            others = tapes if rule == "watched_everywhere" else ()
            for tape in {first, *others}:
                tapes[tape].follows.add(rest[0])
        elif kind == "compute":
            record(first, rest[0])
        else:
            word, used = _ask(tapes[rest[0]], rest[2], rest[1], rule)
            results.append(word)
            if used and rule != "unrecorded":
                record(first, used, tapes[rest[0]] if rule == "not_its_own" else None)
    return results


def _ask(tape, source, target, rule):
    """(what the tape answers, what the gradient was computed from)."""
    again, tape.asked = tape.asked and not tape.persistent, True
    if rule == "never_twice" and tape.persistent:
        again, tape.persistent = False, False
    if again and rule != "twice":
        return (NONE if rule == "twice_none" else ERROR), []
    if rule == "backwards":
        source, target = target, source
    if not tape.leads(source, target, rule) or (rule == "closed" and not tape.open):
        tape.asked = rule != "none_is_free"
        return (NUMBER if rule == "always" else NONE), []
    return NUMBER, {"direct": [source], "both": [source, target]}.get(rule, [target])


# ------------------------------------------------------------------ 15.3

EDGE = 1e-7  # keras.config.epsilon()
INFINITE = (
    "there are infinite numbers in it, or NaN: the logarithm of a target of 0 is taken, which Keras clips at "
    "1e-7 before"
)


@exercise("15.swapped", points=3, minutes=15, difficulty=3)
def swapped(answer, rng):
    """Exchanged arguments"""
    for examples, classes in draw(rng, examples=(4, 6), classes=(3, 5)):
        logits, targets = rng.normal(0, 1.2, (examples, classes)), _targets(rng, examples, classes)
        got, right = answer(logits, targets), _exchanged(logits, targets)
        if not isinstance(got, (list, tuple)) or len(got) != 2:
            expect(got, right)
            continue
        if _of_log_zero(*map(array_of, got)):
            raise WrongAnswer(INFINITE)
        wrong = partial(_wrong_losses, logits, targets)
        expect(got[0], right[0], wrong, what="the loss")
        wrong = partial(_wrong_slopes, logits, targets)
        expect(got[1], right[1], wrong, what="the gradient")


def _of_log_zero(losses, slopes):
    """Whether numbers are infinite (or NaN in the gradient, from ∞ − ∞), and none of the losses is NaN."""
    arrays = [a for a in (losses, slopes) if a is not None and a.dtype.kind == "f"]
    return (
        len(arrays) == 2
        and not np.isnan(losses).any()
        and not all(np.isfinite(a).all() for a in arrays)
    )


def _targets(rng, examples, classes):
    """One-hot rows, in any order; besides one with two ones, and one that is smoothed."""
    targets = np.eye(classes)[rng.integers(classes, size=examples)]
    targets[0, :2] = 1.0
    targets[0, 2:] = 0.0
    targets[1] = 0.9 * targets[1] + 0.1 / classes
    return rng.permuted(targets[rng.permutation(examples)], axis=1)


def _softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _costs(targets, edge=EDGE, scaled=True):
    """−log of the targets, as Keras takes it of its second argument."""
    y = targets / targets.sum(axis=1, keepdims=True) if scaled else targets
    return -np.log(np.clip(y, edge, 1 - edge))


def _exchanged(logits, targets, **how):
    p, costs = _softmax(logits), _costs(targets, **how)
    losses = (p * costs).sum(axis=1)
    return losses, p * (costs - losses[:, None])


CLIPS = (1e-4, 1e-5, 1e-6, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-20)
CLIPS += (float(np.finfo(np.float32).eps), float(np.finfo(float).eps))


def _of_other_clips(logits, targets, part):
    text = "the targets are clipped at another number than Keras's 1e-7"
    return {f"{text} ({edge:g})": _exchanged(logits, targets, edge=edge)[part] for edge in CLIPS}


def _of_other_costs(logits, targets, part):
    """What other orders and sums than Keras's give."""
    clipped = np.clip(targets, EDGE, 1 - EDGE)
    costs = {
        "the targets are clipped before they are divided by their sum: Keras divides first": (
            -np.log(clipped / clipped.sum(axis=1, keepdims=True))
        ),
        "the targets are divided by the sum of all of them: each example is divided by its own": _costs(
            targets / targets.sum(), scaled=False
        ),
        "the targets are divided by their number of classes: they are divided by their sum": _costs(
            targets / targets.shape[1], scaled=False
        ),
    }  # fmt: skip
    p = _softmax(logits)
    losses = {text: (p * cost).sum(axis=1) for text, cost in costs.items()}
    if part == 0:
        return losses
    del costs[next(iter(costs))]  # the same gradient as when they are not divided at all
    return {text: p * (cost - losses[text][:, None]) for text, cost in costs.items()}


def _wrong_losses(logits, targets):
    p, costs = _softmax(logits), _costs(targets)
    right, y = (p * costs).sum(axis=1), targets / targets.sum(axis=1, keepdims=True)
    log_p = np.log(p)
    return {
        "this is the loss with its arguments in the right order": -(targets * log_p).sum(axis=1),
        "this is the loss with its arguments in the right order, and the targets scaled to a sum of 1": -(
            y * log_p
        ).sum(axis=1),
        "the targets are not divided by their sum, as Keras does with its second argument": (
            _exchanged(logits, targets, scaled=False)[0]
        ),
        "targets of 0 are left out, as if 0 · log 0 were meant: here the factor is p, which is not 0": (
            p * np.where(targets > 0, costs, 0)
        ).sum(axis=1),
        "this is the mean over the examples: Keras's function returns one loss for each": right.mean(),
        "this is the sum over the examples: Keras's function returns one loss for each": right.sum(),
        "this is the mean over the classes: it is their sum": right / logits.shape[1],
        "the sign is the wrong one": -right,
        "the softmax is missing: these are the logits times the logarithms": (logits * costs).sum(axis=1),
        "both arguments are the probabilities": -(p * log_p).sum(axis=1),
        "both arguments are the targets": (y * costs).sum(axis=1),
        "this is the Kullback–Leibler divergence: the cross-entropy has no p log p": (
            p * (log_p + costs)
        ).sum(axis=1),
        "the targets pass a softmax first, as if they were logits": -(p * np.log(_softmax(targets))).sum(
            axis=1
        ),
        "the softmax is taken over the examples (axis 0): it belongs to the classes": (
            _softmax(logits.T).T * costs
        ).sum(axis=1),
    } | _of_other_clips(logits, targets, 0) | _of_other_costs(logits, targets, 0)  # fmt: skip


def _wrong_slopes(logits, targets):
    p, costs = _softmax(logits), _costs(targets)
    right = _exchanged(logits, targets)[1]
    y = targets / targets.sum(axis=1, keepdims=True)
    inside = (y > EDGE) & (y < 1 - EDGE)
    by_target = np.where(inside, -p / y, 0.0)
    return {
        "this is the gradient p − y, which belongs to the arguments in the right order": p - targets,
        "this is the gradient p − y with scaled targets, which belongs to the arguments in the right order": p - y,
        "this is the gradient with the arguments in the right order": (
            p * targets.sum(axis=1, keepdims=True) - targets
        ),
        "this is the gradient with respect to the probabilities: the path through the softmax is missing": costs,
        "of the softmax's derivative only p is there: raising one logit lowers the other probabilities": p * costs,
        "of the softmax's derivative only the diagonal p (1 − p) is there: each logit moves every probability": (
            p * (1 - p) * costs
        ),
        "this is the gradient of the mean: without reduction a tape takes that of the sum": right / len(logits),
        "the gradients of the examples are added: each example has a row of its own": right.sum(axis=0),
        "the sign is the wrong one": -right,
        "the targets are not divided by their sum before they are clipped, as Keras does with its second "
        "argument": (
            _exchanged(logits, targets, scaled=False)[1]
        ),
        "this is the gradient with respect to the targets: the logits are what one learns": by_target,
        "it is 0, as if the targets stood for the model: the probabilities are the first argument, and carry "
        "the gradient": (
            np.zeros_like(p)
        ),
        "targets of 0 are left out, as if 0 · log 0 were meant: here the factor is p, which is not 0": (
            lambda c: p * (c - (p * c).sum(axis=1, keepdims=True))
        )(np.where(targets > 0, costs, 0)),
    } | _of_other_clips(logits, targets, 1) | _of_other_costs(logits, targets, 1)  # fmt: skip


# ------------------------------------------------------------------ 15.4


@exercise("15.pytree_step", points=4, minutes=15, difficulty=2)
def pytree_step(answer, rng):
    """A step for a tree"""
    for layers in draw(rng, layers=(2, 3)):
        trees = _trees(rng, layers)
        got, right = _asked_of_trees(answer, trees), _stepped(*trees)
        if difference(got, right) is None and _other_kinds(got, right):
            raise WrongAnswer(
                "a tuple has become a list, or a list a tuple: a compiled function or an optimiser that gets "
                "the tree next finds a different structure"
            )
        expect(got, right, partial(_wrong_trees, *trees))


STOPS = "your function stops with an error where "
RATE_OF_A_PART = (
    "a number in `rates` stands for a whole part: it is the rate of all leaves in that part"
)
NONE_FOR_A_PART = "None in `grads` stands for a whole part: that part stays as it is"
NONE_FOR_A_LEAF = "None in `grads` stands for a leaf: that leaf stays as it is"


def _asked_of_trees(answer, trees):
    """The answer; if it raises an error, and none for simpler trees, that is what it does not do yet."""
    try:
        return answer(*trees)
    except NotImplementedError:
        raise
    except Exception as error:
        for text, simpler in _simpler(*trees).items():
            if _is_right_for(answer, simpler):
                raise WrongAnswer(STOPS + text, f"{type(error).__name__}: {error}") from error
        raise


def _simpler(params, grads, rates):
    """What is missing in a tree → trees without it."""
    ones = _mapped_tree(lambda _: 1.0, params)
    all_rates = _stepped(ones, ones, rates, leaf=lambda p, g, rate: rate)
    none_of_leaves = _stepped(
        params, grads, 1.0, leaf=lambda p, g, r: g, none=partial(_mapped_tree, lambda _: None)
    )
    all_grads = _stepped(params, grads, 1.0, leaf=lambda p, g, r: g)
    return {
        RATE_OF_A_PART: (params, grads, all_rates),
        NONE_FOR_A_PART: (params, none_of_leaves, rates),
        NONE_FOR_A_LEAF: (params, all_grads, rates),
        f"{RATE_OF_A_PART}; and where {NONE_FOR_A_PART}": (params, none_of_leaves, all_rates),
        f"{RATE_OF_A_PART}; and where {NONE_FOR_A_LEAF}": (params, all_grads, all_rates),
    }


def _is_right_for(answer, trees):
    try:
        return difference(answer(*trees), _stepped(*trees)) is None
    except Exception:
        return False


def _trees(rng, layers):
    """(params, grads, rates); what leaves have in common in shape lets mistaken pairs go unnoticed."""
    array, rate = lambda *shape: rng.normal(size=shape), lambda: float(rng.uniform(0.1, 0.9))
    names = list(map(str, rng.permutation("scale shift gain slope".split())))[:3]
    body, head, extra = map(str, rng.permutation("body head extra".split()))
    order = [names[1], names[2], names[0]]
    params = {
        body: [(array(3, 3), array(3)) for _ in range(layers)],
        head: {name: array(3) for name in names},
        extra: float(rng.normal()),
    }
    grads = {
        body: [(array(3, 3), array(3)) for _ in range(layers)],
        head: {name: array(3) for name in order},
        extra: float(rng.normal()),
    }
    rates = {
        body: [(rate(), rate()), *(rate() for _ in range(layers - 1))],
        extra: rate(),
        head: rate(),
    }
    frozen = int(rng.integers(2))
    grads[body][0] = (grads[body][0][0], None) if frozen else (None, grads[body][0][1])
    if layers == 3:
        grads[body][2] = None  # a whole part without a gradient
    return params, grads, rates


def _other_kinds(got, right):
    """Whether a list stands for a tuple somewhere, or a tuple for a list; the trees are alike otherwise."""
    if isinstance(right, dict):
        return any(_other_kinds(got[key], value) for key, value in right.items())
    if isinstance(right, (list, tuple)):
        return type(got) is not type(right) or any(map(_other_kinds, got, right))
    return False


def _moved(param, grad, rate):
    return param - rate * grad


def _stepped(params, grads, rates, leaf=_moved, none=lambda params: params):
    """The tree after a step; `leaf` moves a leaf, `none` is what becomes of a part without a gradient."""
    if grads is None:
        return none(params)
    if isinstance(params, dict):
        rate = lambda key: rates[key] if isinstance(rates, dict) else rates
        return {key: _stepped(params[key], grads[key], rate(key), leaf, none) for key in params}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        parts = zip(params, grads, rates, strict=True)
        return type(params)(_stepped(*part, leaf, none) for part in parts)
    return leaf(params, grads, rates)


def _leaves(tree):
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [tree]


def _mapped_tree(function, tree):
    if isinstance(tree, dict):
        return {key: _mapped_tree(function, part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_mapped_tree(function, part) for part in tree)
    return function(tree)


def _without_none(tree):
    """The tree without the entries of its lists and tuples that are None."""
    if isinstance(tree, dict):
        return {key: _without_none(part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_without_none(part) for part in tree if part is not None)
    return tree


def _wrong_trees(params, grads, rates):
    step = partial(_stepped, params, grads, rates)
    every = _leaves(rates)
    zeros = partial(_mapped_tree, lambda leaf: 0 * leaf)
    first_of_part = _first_leaves_only(params, grads, rates)
    none_moved = lambda tree: _mapped_tree(lambda leaf: leaf - every[0], tree)
    return {
        "a leaf without a gradient becomes None: it stays as it is": step(none=lambda _: None),
        "a leaf without a gradient becomes zeros: it stays as it is": step(none=zeros),
        "a leaf without a gradient is left out, so that the structure changes: it stays as it is": _without_none(
            step(none=lambda _: None)
        ),
        "a leaf without a gradient is moved as if its gradient were 1: it stays as it is": step(none=none_moved),
        "the step goes uphill: the gradient is subtracted": step(lambda p, g, r: p + r * g),
        "the rates are not used": step(lambda p, g, r: p - g),
        "these are the changes, rate times gradient: subtract them from the parameters": step(
            lambda p, g, r: r * g, none=zeros
        ),
        "these are the changes, rate times gradient, and None: subtract them from the parameters": step(
            lambda p, g, r: r * g, none=lambda _: None
        ),
        "these are the changes, minus rate times gradient: add them to the parameters": step(
            lambda p, g, r: -r * g, none=zeros
        ),
        "the leaves are right, and the structure is gone: return a tree like params, not a list of leaves": _leaves(
            step()
        ),
        "the first rate is used for all leaves": step(lambda p, g, r: p - every[0] * g),
        "the mean of the rates is used for all leaves": step(lambda p, g, r: p - np.mean(every) * g),
        "the gradients in a dict are taken in their order: look them up by their names": _stepped(
            params, _by_place(params, grads), rates
        ),
        "the rates in a dict are taken in their order: look them up by their names": _stepped(
            params, grads, dict(zip(params, rates.values(), strict=True))
        ),
        "gradients and rates in a dict are taken in their order: look them up by their names": _stepped(
            params, _by_place(params, grads), dict(zip(params, rates.values(), strict=True))
        ),
        "a rate that stands for a whole part moves only its first leaf": first_of_part,
        "only the leaves of the first level are moved, not those in lists, tuples and dicts further in": {
            key: value if isinstance(value, (dict, list, tuple)) else _moved(value, grads[key], rates[key])
            for key, value in params.items()
        },
        "nothing was changed": params,
    }  # fmt: skip


def _by_place(params, grads):
    """The gradients, in each dict, under the name that stands in the same place in params."""
    if isinstance(params, dict) and not any(isinstance(v, (dict, list)) for v in params.values()):
        return dict(zip(params, grads.values(), strict=True))
    if isinstance(params, dict):
        return {key: _by_place(params[key], grads[key]) for key in params}
    return grads


def _first_leaves_only(params, grads, rates):
    """The tree in which a rate that stands for a part moves its first leaf alone."""
    if grads is None:
        return params
    if isinstance(params, dict) and isinstance(rates, dict):
        return {k: _first_leaves_only(params[k], grads[k], rates[k]) for k in params}
    if isinstance(params, (list, tuple)) and isinstance(rates, (list, tuple)):
        return type(params)(map(_first_leaves_only, params, grads, rates))
    if isinstance(params, dict):
        first = next(iter(params))
        return params | {first: _stepped(params[first], grads[first], rates)}
    if isinstance(params, (list, tuple)):
        return type(params)((_stepped(params[0], grads[0], rates), *params[1:]))
    return _moved(params, grads, rates)


# ------------------------------------------------------------------ 15.5


@exercise("15.in_axes", points=4, minutes=20, difficulty=3)
def in_axes(answer, rng):
    """Which axis, and which argument"""
    for size in draw(rng, size=(3, 4)):
        for case in _calls(rng, size):
            f, args, axes = case
            right = _vmap(f.numpy, args, axes)
            expect(answer(f, args, axes), right, partial(_wrong_maps, f.numpy, args, axes))


def _calls(rng, n):
    """(function, arguments, axes): every axis has the same length, so that no wrong one is refused."""
    array = lambda *shape: rng.normal(0, 0.7, shape)
    mlp = {"w1": array(n, n), "b1": array(n), "w2": array(n, n), "b2": array(n)}
    last = [0, 1, 2, -1, -2]
    pick = lambda: last[rng.integers(len(last))]
    linear = {"w": array(n, n, n), "b": array(n)}
    both = {"w": array(n, n, n), "b": array(n, n)}
    calls = [
        (named("tanh_mlp"), [mlp, array(n, n, n)], [None, 0]),
        (named("tanh_mlp_mse"), [mlp, array(n, n, n), array(n, n, n)], [None, pick(), 0]),
        (named("linear_mse"), [linear, array(n, n, n), array(n, n, n)], [{"w": 1, "b": None}, -1, pick()]),
        (named("linear_mse"), [both, array(n, n), array(n, n, n)], [0, None, 2]),
        (named("quartic_of_rows"), [array(n, n, n)], [1]),
        (named("sine_of_product"), [array(n, n), array(n, n)], [1, None]),
    ]  # fmt: skip
    return [calls[place] for place in rng.permutation(len(calls))]


def _taken(value, axis, i):
    """What the function is given of an argument in its i-th call."""
    if axis is None:
        return value
    if isinstance(value, dict):
        of = lambda key: axis[key] if isinstance(axis, dict) else axis
        return {key: _taken(part, of(key), i) for key, part in value.items()}
    return np.take(value, i, axis)


def _calls_of(f, args, axes, take=_taken):
    size = len(_leaves(args)[0])
    return [f(*(take(*pair, i) for pair in zip(args, axes, strict=True))) for i in range(size)]


def _vmap(f, args, axes, take=_taken, out=np.stack):
    return out(_calls_of(f, args, axes, take))


def _or_nan(function, *args):
    """NaN, which fits no answer, where a mistake cannot be computed."""
    try:
        return function(*args)
    except (ValueError, IndexError, TypeError):
        return float("nan")


def _each_axis(change, axes):
    """The axes with `change` applied to each number and each None."""
    if isinstance(axes, (dict, list)):
        return _mapped_tree(change, axes)
    return change(axes)


def _first_number(axes):
    return next(axis for axis in _leaves(axes) if axis is not None)


def _wrong_maps(f, args, axes):
    made = lambda new, **how: _or_nan(lambda: _vmap(f, args, _each_axis(new, axes), **how))
    same = lambda axis: axis
    number = lambda change: lambda axis: None if axis is None else change(axis)
    for_dicts = lambda change: [change(axis) if isinstance(axis, dict) else axis for axis in axes]
    whole = lambda change: _or_nan(lambda: _vmap(f, args, for_dicts(change)))
    out = lambda function: made(same, out=function)
    dims = lambda axis: axis if axis is None or axis >= 0 else -axis
    return {
        "an argument whose axis is None is mapped along axis 0: None means that every call gets all of it (θ is "
        "shared)": (
            made(lambda axis: 0 if axis is None else axis)
        ),
        "every argument is mapped along axis 0, whatever its axis": made(lambda axis: 0),
        "the number of an axis is not used: everything that is mapped is mapped along axis "
        "0": made(number(lambda _: 0)),
        "every argument is mapped along axis 0 but dicts, which are shared: read the axes": _or_nan(
            lambda: _vmap(f, args, [None if isinstance(arg, dict) else 0 for arg in args])
        ),
        "every dict is shared, whatever its axes": _or_nan(
            lambda: _vmap(
                f, args, [None if isinstance(a, dict) else x for a, x in zip(args, axes, strict=True)]
            )
        ),
        "axis 0 is taken for None: `if not axis` is true of both; ask `axis is None`": made(
            lambda axis: axis or None
        ),
        "a negative axis is counted from the front: −1 is the last axis": made(dims),
        "a dict of axes is taken for None: it has an axis for each name": whole(lambda _: None),
        "a dict of axes is taken for 0: it has an axis for each name": whole(lambda _: 0),
        "in a dict of axes the first number is used for all names: each has its own": whole(_first_number),
        "None in a dict of axes is taken for 0: that array is shared": whole(
            lambda axis: {key: 0 if value is None else value for key, value in axis.items()}
        ),
        "the results are averaged: stack them": out(lambda results: np.mean(results, axis=0)),
        "the results are added: stack them": out(lambda results: np.sum(results, axis=0)),
        "the results are stacked along the last axis: the new axis is the first": out(
            lambda results: np.stack(results, axis=-1)
        ),
        "the results are stacked along the axis that was mapped: the new axis is the first, wherever it was "
        "before": out(
            lambda results: _stacked_at(results, _first_number(axes))
        ),
        "the results are joined end to end: stack them along a new axis": out(np.hstack),
        "the function is called once, on everything: call it for each place along the mapped axes": _or_nan(
            lambda: f(*args)
        ),
        "only the first result is there": out(lambda results: results[0]),
        "the results are in reverse order": out(lambda results: np.stack(results[::-1])),
        "there is a result for every combination of places: all arguments move on together": _or_nan(
            lambda: _combined(f, args, axes)
        ),
        "the axes are counted from 1: they are counted from 0": made(
            number(lambda axis: axis - 1 if axis > 0 else axis)
        ),
    }  # fmt: skip


def _stacked_at(results, axis):
    most = np.ndim(results[0])
    return np.stack(results, axis=min(axis, most) if axis >= 0 else max(axis, -most - 1))


def _combined(f, args, axes):
    """The results for all combinations of places of the arguments that are mapped."""
    free = [place for place, axis in enumerate(axes) if axis is not None]
    size = len(_leaves(args)[0])
    grid = np.stack(np.meshgrid(*[np.arange(size)] * len(free), indexing="ij"), -1)
    results = []
    for places in grid.reshape(-1, len(free)).tolist():
        at = dict(zip(free, places, strict=True))
        results.append(f(*(_taken(arg, axes[n], at.get(n, 0)) for n, arg in enumerate(args))))
    results = np.stack(results)
    return results.reshape(grid.shape[:-1] + results.shape[1:])


# ------------------------------------------------------------------ 15.6


@exercise("15.stateless_maml", points=5, minutes=40, difficulty=4)
def stateless_maml(answer, rng):
    """The meta-gradient without a framework"""
    for case in draw(rng, case=_classification):
        got, right = answer(*case), _meta(*case)
        expect(got, right, partial(_wrong_metas, *case))


def _classification(rng):
    tasks, shots, queries = (int(rng.integers(*ends)) for ends in ((2, 4), (4, 7), (7, 10)))
    features, classes = int(rng.integers(3, 5)), int(rng.integers(3, 5))
    params = {"w": rng.normal(0, 0.6, (features, classes)), "b": rng.normal(0, 0.6, classes)}
    support_x = rng.normal(0, 1.2, (tasks, shots, features))
    query_x = rng.normal(0, 1.2, (tasks, queries, features))
    label = lambda *shape: np.eye(classes)[rng.integers(classes, size=shape)]
    alpha = float(rng.uniform(0.3, 0.9))
    return params, support_x, label(tasks, shots), query_x, label(tasks, queries), alpha


def _of_both(function, *dicts):
    return {name: function(*(one[name] for one in dicts)) for name in ("w", "b")}


def _probabilities(params, x):
    return _softmax(x @ params["w"] + params["b"])


def _entropy(params, x, y):
    return float(-(y * np.log(_probabilities(params, x))).sum(axis=1).mean())


def _pulled(x, error):
    """The gradient, when `error` is the derivative with respect to the scores."""
    return {"w": x.T @ error, "b": error.sum(axis=0)}


def _slope(params, x, y, swap=False):
    p = _probabilities(params, x)
    error = _exchanged(x @ params["w"] + params["b"], y)[1] if swap else p - y
    return _pulled(x, error / len(x))


def _curved(params, x, direction, how=frozenset()):
    """H times a direction, H the Hessian of the mean cross-entropy."""
    p = _probabilities(params, x)
    change = x @ direction["w"] + (0 if "no b in dz" in how else direction["b"])
    if "own logit only" in how:
        change = p * (1 - p) * change
    else:
        change = p * (
            change - (0 if "diagonal" in how else (p * change).sum(axis=1, keepdims=True))
        )
    bent = _pulled(x, change if "summed curvature" in how else change / len(x))
    return bent | {"b": 0 * bent["b"]} if "no b in Hu" in how else bent


def _task(params, sx, sy, qx, qy, alpha, how):
    """(query loss, its gradient) of one task; `how` holds what is done wrong."""
    size = len(sx) if "summed shots" in how else 1
    slope = _of_both(lambda g: size * g, _slope(params, sx, sy, "swapped inside" in how))
    if "b not adapted" in how:
        slope = slope | {"b": 0 * slope["b"]}
    sign = 1 if "uphill" in how else -1
    phi = _of_both(lambda p, g: p + sign * alpha * g, params, slope)
    if "support again" in how:
        qx, qy = sx, sy
    at = params if "at θ" in how else phi
    outer = _slope(at, qx, qy, "swapped outside" in how)
    outer = _of_both(lambda g: len(qx) * g, outer) if "summed query slope" in how else outer
    loss = _entropy(params if "loss before" in how else at, qx, qy)
    if "at θ" in how or "first order" in how:
        return loss, outer
    x = qx if "curvature of the queries" in how else sx
    bent = _curved(phi if "curvature at φ" in how else params, x, outer, how)
    rate = alpha * size
    if "wrong sign" in how:
        rate = -rate
    if "no rate" in how:
        rate = 1.0
    if "curvature twice" in how:
        again = _curved(params, sx, bent)
        bent = _of_both(lambda one, two: 2 * one - alpha * two, bent, again)
    direct = 0 if "only the bend" in how else 1
    return loss, _of_both(lambda u, h: direct * u - rate * h, outer, bent)


def _meta(params, support_x, support_y, query_x, query_y, alpha, how=frozenset()):
    tasks = zip(support_x, support_y, query_x, query_y, strict=True)
    results = [_task(params, *task, alpha, how) for task in tasks]
    loss = float(np.mean([loss for loss, _ in results]))
    return loss, _of_both(lambda *parts: np.mean(parts, axis=0), *(grads for _, grads in results))


META_MISTAKES = {
    "first order": "this is the first-order gradient: the slope of the step depends on θ, too, so each task's "
    "gradient u at φ "
    "becomes u − αHu",
    "support again": "the support set is used for the query loss, too: then nothing asks how φ does on new "
    "examples",
    "at θ": "the query loss is taken at θ, as if nobody used the new values: evaluate the network with φ",
    "loss before": "the loss is the one before the step, at θ; the gradient is right",
    "wrong sign": "the curvature is added: it is u − αHu",
    "uphill": "the inner step goes uphill: φ = θ − α · slope",
    "uphill, wrong sign": "the inner step goes uphill, and is differentiated so: φ = θ − α · slope",
    "curvature at φ": "the Hessian is that at φ: the slope was taken at θ, so H belongs there",
    "curvature of the queries": "the Hessian is that of the query loss: the step was made on the support loss",
    "diagonal": "the softmax is differentiated as if its outputs did not share a sum: change p by p · (dz − Σ p "
    "dz)",
    "own logit only": "a probability is taken to change with its own logit alone, by p (1 − p) dz: it changes "
    "with all, by p · (dz − Σ p dz)",
    "no b in dz": "b is missing where the scores change along u: dz = x u_W + u_b",
    "no b in Hu": "b has no curvature here: Hu has a part for b, the mean of dp",
    "summed curvature": "1/n is missing in Hu: the support loss is a mean, and so is its gradient",
    "summed query slope": "the gradient is that of the summed query losses: the meta-loss takes their mean",
    "only the bend": "this is −αHu alone: φ = θ − α · slope depends on θ directly, too",
    "no rate": "α is missing before the Hessian",
    "curvature twice": "I − αH is applied twice: with one inner step it is applied once",
    "summed shots": "the inner step uses the sum over the support examples: it is their mean",
    "b not adapted": "b does not adapt in the inner step: all parameters do",
    "swapped inside": "the inner step is made on the cross-entropy with exchanged arguments; the curvature then "
    "does not belong to it",
    "swapped outside": "the query loss is differentiated as the cross-entropy with exchanged arguments",
}  # fmt: skip


def _wrong_metas(*case):
    params, support_x, support_y, query_x, query_y, alpha = case
    wrong = {
        text: _meta(*case, frozenset(name.split(", "))) for name, text in META_MISTAKES.items()
    }
    loss, grads = _meta(*case)
    tasks, queries = len(support_x), query_x.shape[1]
    scaled = lambda value, factor: _of_both(lambda g: factor * g, value)
    one = lambda place: _meta(
        params, *(part[place][None] for part in (support_x, support_y, query_x, query_y)), alpha
    )
    pooled = [
        part.reshape(1, -1, part.shape[-1]) for part in (support_x, support_y, query_x, query_y)
    ]
    return wrong | {
        "loss and gradient are summed over the tasks: take the mean": (tasks * loss, scaled(grads, tasks)),
        "the gradient is summed over the tasks: take the mean, as for the loss": (loss, scaled(grads, tasks)),
        "the query loss is summed over the queries: take the mean": (queries * loss, scaled(grads, queries)),
        "this is the last task alone: take the mean over all": one(-1),
        "this is the first task alone: take the mean over all": one(0),
        "the examples of all tasks are thrown together, so that they share one φ: each task has its own": _meta(
            params, *pooled, alpha
        ),
        "this is the step −α · gradient, and not the gradient": (loss, scaled(grads, -alpha)),
    }  # fmt: skip
