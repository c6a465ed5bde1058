"""Wrong answers that a learner of chapter 15 might give, and what each is told; then unusual right ones."""

from functools import partial
from types import SimpleNamespace

import numpy as np

import maml_edu.reference as ref
from maml_edu.checks.exercise import right_answer, wrong_answer

# ------------------------------------------------------------------ 15.1


def _read(theta, a, c, b, d, alpha, **other):
    """The right answer, but for some letters."""
    phi = theta - alpha * a * (theta - c)
    first = b * (phi - d)
    full, at_theta = (1 - alpha * a) * first, b * (theta - d)
    support = (1 - alpha * a) * a * (phi - c)
    gradients = full, first, full, first, first, 0.0, None, at_theta, support
    right = dict(zip("ABCDEFGHI", gradients, strict=True))
    values = {"full": full, "first": first, "θ": at_theta, "zero": 0.0, "none": None, "phi": phi}
    values |= {"a": a * (phi - c), "s": a * (theta - c), "plus": (1 + alpha * a) * first}
    values |= {"b": (1 - alpha * b) * first, "bent": -alpha * a * first}
    return right | {letter: values[name] for letter, name in other.items()}


@wrong_answer("15.what_it_computes", says="without create_graph=True the slope is a constant")
def pytorch_records_by_itself(*case):
    return _read(*case, B="full")


@wrong_answer("15.what_it_computes", says="listing A does not give the first-order gradient")
def jax_is_first_order(*case):
    return _read(*case, A="first")


@wrong_answer("15.what_it_computes", says="the outer one is open, which records this, too")
def a_tape_must_be_asked_inside(*case):
    return _read(*case, C="first")


@wrong_answer("15.what_it_computes", says="the outer tape opens when the slope is there already")
def the_order_of_tapes_is_all_the_same(*case):
    return _read(*case, D="full")


@wrong_answer("15.what_it_computes", says="assign writes a new value into the variable")
def assign_is_differentiable(*case):
    return _read(*case, E="full")


@wrong_answer(
    "15.what_it_computes", says="listing E does not give the slope of the query loss at θ"
)
def the_tape_keeps_the_old_value(*case):
    return _read(*case, E="θ")


@wrong_answer("15.what_it_computes", says="and JAX says 0 where nothing leads back")
def jax_says_none(*case):
    return _read(*case, F="none")


@wrong_answer("15.what_it_computes", says="and TensorFlow says None where nothing leads back")
def tensorflow_says_zero(*case):
    return _read(*case, G="zero")


@wrong_answer("15.what_it_computes", says="listing F does not give the first-order gradient")
def stop_gradient_is_first_order(*case):
    return _read(*case, F="first", G="first")


@wrong_answer("15.what_it_computes", says="listing G does not give the first-order gradient")
def stop_gradient_is_first_order_in_tensorflow(*case):
    return _read(*case, G="first")


@wrong_answer("15.what_it_computes", says="nobody uses what update returns")
def keras_updates_the_model(*case):
    return _read(*case, H="full")


@wrong_answer("15.what_it_computes", says="listing H does not give the first-order gradient")
def keras_updates_the_model_at_first_order(*case):
    return _read(*case, H="first")


@wrong_answer("15.what_it_computes", says="the meta-loss is the support loss again")
def support_read_as_query(*case):
    return _read(*case, I="full")


@wrong_answer("15.what_it_computes", says="with 1 + αa in place of 1 − αa")
def sign_of_the_factor(*case):
    return _read(*case, A="plus", C="plus")


@wrong_answer("15.what_it_computes", says="with the query's curvature in the factor")
def factor_of_the_query(*case):
    return _read(*case, A="b", C="b")


@wrong_answer("15.what_it_computes", says="without the direct path from θ to φ")
def bend_alone(*case):
    return _read(*case, A="bent", C="bent")


@right_answer("15.what_it_computes", why="by a tape of its own: maml_edu.reference.grad of each")
def by_reference(theta, a, c, b, d, alpha):
    support = lambda t: a * (t - c) ** 2 / 2
    query = lambda t: b * (t - d) ** 2 / 2
    adapted = lambda t: t - alpha * ref.grad(support)(t)
    phi = theta - alpha * ref.grad(support)(theta)
    full, first = ref.grad(lambda t: query(adapted(t)))(theta), ref.grad(query)(phi)
    inside = ref.grad(lambda t: support(adapted(t)))(theta)
    at_theta = ref.grad(query)(theta)
    values = [full, first, full, first, first, 0, None, at_theta, inside]
    return dict(zip("ABCDEFGHI", values, strict=True))


@right_answer("15.what_it_computes", why="by finite differences")
def by_differences(theta, a, c, b, d, alpha):
    h = 1e-4
    slope = lambda f, t: (f(t + h) - f(t - h)) / (2 * h)
    support, query = lambda t: a * (t - c) ** 2 / 2, lambda t: b * (t - d) ** 2 / 2
    adapted = lambda t: t - alpha * a * (t - c)
    full, first = slope(lambda t: query(adapted(t)), theta), slope(query, adapted(theta))
    return {
        "I": slope(lambda t: support(adapted(t)), theta), "H": slope(query, theta), "G": None,
        "F": -0.0, "E": first, "D": first, "C": full, "B": first, "A": full,
    }  # fmt: skip


@right_answer("15.what_it_computes", why="in float32, numbers as arrays without an axis")
def in_single_precision(*case):
    values = _read(*case)
    return {k: None if v is None else np.array(v, np.float32) for k, v in values.items()}


# ------------------------------------------------------------------ 15.2


def _tapes(variables, events, **how):
    """An answer to 15.2, apart from that of the check: `how` overrides a decision."""
    rule = {
        "follows_at_open": lambda tape: set(variables),
        "records": lambda tape, tapes: tape["open"],
        "is_followed": lambda tape, inputs: bool(tape["follows"] & set(inputs)),
        "gradient_inputs": lambda target, source: [target],
        "gradient_recorded": lambda tape, asked: True,
        "refuses": lambda tape: tape["asked"] and not tape["persistent"],
        "refusal": "error",
        "found": lambda tape, target, source: _leads(tape, target, source),
        "used_up": lambda word: True,
        "none": "none",
        "closes": lambda tape: True,
    } | how
    tapes, answers = {}, []

    def record(result, inputs, asked=None):
        for tape in tapes.values():
            if asked is not None and not rule["gradient_recorded"](tape, asked):
                continue
            if rule["records"](tape, tapes) and rule["is_followed"](tape, inputs):
                tape["follows"].add(result)
                tape["operations"].append((result, inputs))

    for kind, first, *rest in events:
        if kind == "open":
            tapes[first] = tape = {
                "name": first,
                "open": True,
                "persistent": rest[0],
                "asked": 0,
                "operations": [],
            }
            tape["follows"] = rule["follows_at_open"](tape)
        elif kind == "close":
            tapes[first]["open"] = not rule["closes"](tapes[first])
        elif kind == "watch":
            tapes[first]["follows"].add(rest[0])
        elif kind == "compute":
            record(first, rest[0])
        else:
            tape = tapes[rest[0]]
            word = "number" if rule["found"](tape, rest[1], rest[2]) else rule["none"]
            word = rule["refusal"] if rule["refuses"](tape) else word
            answers.append(word)
            tape["asked"] += rule["used_up"](word)
            if word == "number":
                record(first, rule["gradient_inputs"](rest[1], rest[2]), tape)
    return answers


def _leads(tape, target, source):
    return source in tape["follows"] and _found(tape["operations"], target, source)


def _found(operations, target, source):
    reached = {source}
    for result, inputs in operations:
        if reached & set(inputs):
            reached.add(result)
    return target in reached


@wrong_answer("15.persistent_or_nested", says="a tape is taken to record after its block has ended")
def records_for_ever(variables, events):
    return _tapes(variables, events, records=lambda tape, tapes: True)


@wrong_answer("15.persistent_or_nested", says="a gradient is computed, too")
def gradients_are_no_operations(variables, events):
    return _tapes(variables, events, gradient_recorded=lambda tape, asked: False)


@wrong_answer("15.persistent_or_nested", says="there is a number for every gradient")
def never_none(variables, events):
    return _tapes(variables, events, none="number")


@wrong_answer(
    "15.persistent_or_nested", says="watching is taken to count for what was computed before"
)
def watched_from_the_start(variables, events):
    watched = lambda name: {event[2] for event in events if event[:2] == ("watch", name)}
    follows = lambda tape: {*variables, *watched(tape["name"])}
    return _tapes(variables, events, follows_at_open=follows)


@wrong_answer("15.persistent_or_nested", says="what one tape watches is taken to be followed by")
def watched_by_every_tape(variables, events):
    more, opened = [], []
    for event in events:
        opened += [event[1]] * (event[0] == "open")
        watch = event[0] == "watch"
        more += [("watch", tape, event[2]) for tape in opened] if watch else [event]
    return _tapes(variables, more)


@wrong_answer("15.persistent_or_nested", says="constants are followed without being watched")
def constants_too(variables, events):
    found = lambda tape, target, source: _found(tape["operations"], target, source)
    return _tapes(variables, events, is_followed=lambda tape, inputs: True, found=found)


@wrong_answer("15.persistent_or_nested", says="variables are not followed unless they are watched")
def variables_must_be_watched(variables, events):
    return _tapes(variables, events, follows_at_open=lambda tape: set())


@wrong_answer("15.persistent_or_nested", says="a tape that is not persistent answers twice")
def asked_without_end(variables, events):
    return _tapes(variables, events, refuses=lambda tape: False)


@wrong_answer(
    "15.persistent_or_nested",
    says="the second question to a tape that is not persistent gives None",
)
def none_the_second_time(variables, events):
    return _tapes(variables, events, refusal="none")


@wrong_answer("15.persistent_or_nested", says="a persistent tape answers only once")
def persistent_is_asked_once(variables, events):
    return _tapes(variables, events, refuses=lambda tape: tape["asked"])


@wrong_answer(
    "15.persistent_or_nested", says="a persistent tape is taken to record after its block"
)
def persistent_records_on(variables, events):
    return _tapes(variables, events, closes=lambda tape: not tape["persistent"])


@wrong_answer("15.persistent_or_nested", says="a gradient is taken to be computed from its source")
def computed_from_the_source(variables, events):
    return _tapes(variables, events, gradient_inputs=lambda target, source: [source])


@wrong_answer("15.persistent_or_nested", says="only the tape that was opened last records")
def innermost_only(variables, events):
    last = lambda tape, tapes: tape is [t for t in tapes.values() if t["open"]][-1]
    return _tapes(variables, events, records=lambda tape, tapes: tape["open"] and last(tape, tapes))


@wrong_answer(
    "15.persistent_or_nested", says="an open tape does not record the gradient that it is asked for"
)
def not_its_own(variables, events):
    return _tapes(variables, events, gradient_recorded=lambda tape, asked: tape is not asked)


@wrong_answer("15.persistent_or_nested", says="the path is sought from the target to the source")
def backwards(variables, events):
    found = lambda tape, target, source: _leads(tape, source, target)
    return _tapes(variables, events, found=found)


@wrong_answer("15.persistent_or_nested", says="only if the tape follows all of its inputs")
def all_inputs(variables, events):
    return _tapes(
        variables, events, is_followed=lambda tape, inputs: tape["follows"] >= set(inputs)
    )


@wrong_answer("15.persistent_or_nested", says="a tape that is closed gives None")
def closed_is_none(variables, events):
    found = lambda tape, target, source: tape["open"] and _leads(tape, target, source)
    return _tapes(variables, events, found=found)


@wrong_answer("15.persistent_or_nested", says="only paths of a single operation are found")
def one_operation(variables, events):
    direct = lambda tape, target, source: any(
        result == target and source in inputs for result, inputs in tape["operations"]
    )
    return _tapes(variables, events, found=direct)


@wrong_answer("15.persistent_or_nested", says="should be the string")
def none_itself(variables, events):
    return _tapes(variables, events, none=None)


@wrong_answer(
    "15.persistent_or_nested", says="a tape is taken to know what was computed before it opened"
)
def knows_the_past(variables, events):
    past = [event for event in events if event[0] == "open"]  # moved to the start
    others = [event for event in events if event[0] != "open"]
    return _tapes(variables, [*past, *others])


@wrong_answer("15.persistent_or_nested", says="a tape that has given None may be asked again")
def none_does_not_count(variables, events):
    return _tapes(variables, events, used_up=lambda word: word != "none")


@wrong_answer("15.persistent_or_nested", says="whenever the tape follows source and target")
def both_are_followed(variables, events):
    found = lambda tape, target, source: {source, target} <= tape["follows"]
    return _tapes(variables, events, found=found)


@wrong_answer("15.persistent_or_nested", says="whenever the tape follows the target")
def target_is_followed(variables, events):
    found = lambda tape, target, source: target in tape["follows"]
    return _tapes(variables, events, found=found)


@wrong_answer("15.persistent_or_nested", says="an operation on results alone is not recorded")
def results_are_not_followed(variables, events):
    watched = {event[2] for event in events if event[0] == "watch"}
    known = lambda tape, inputs: bool(tape["follows"] & {*variables, *watched} & set(inputs))
    return _tapes(variables, events, is_followed=known)


@wrong_answer("15.persistent_or_nested", says="computed from its source, too")
def computed_from_both(variables, events):
    return _tapes(variables, events, gradient_inputs=lambda target, source: [source, target])


@wrong_answer("15.persistent_or_nested", says="is taken for a source because it was added")
def unwatched_sources(variables, events):
    found = lambda tape, target, source: _found(tape["operations"], target, source)
    return _tapes(variables, events, found=found)


@right_answer(
    "15.persistent_or_nested", why="the path is sought from the target back to the source"
)
def from_the_target_back(variables, events):
    def found(tape, target, source):
        needed = {target}
        for result, inputs in reversed(tape["operations"]):
            if result in needed:
                needed |= set(inputs)
        return source in needed & tape["follows"]

    return _tapes(variables, events, found=found)


@right_answer(
    "15.persistent_or_nested",
    why="for each tape and value the set of all that it depends on; a tuple",
)
def with_sets_of_origins(variables, events):
    origins, live, persistent, asked, answers = {}, [], {}, set(), []

    def record(result, inputs):
        for tape in live:
            known = origins[tape]
            if any(value in known for value in inputs):
                known[result] = {result}.union(*(known.get(value, set()) for value in inputs))

    for event in events:
        match event[0], *event[1:]:
            case "open", tape, many:
                live.append(tape)
                persistent[tape], origins[tape] = many, {name: {name} for name in variables}
            case "close", tape:
                live.remove(tape)
            case "watch", tape, value:
                origins[tape][value] = {value}
            case "compute", result, inputs:
                record(result, inputs)
            case "gradient", result, tape, target, source:
                if tape in asked and not persistent[tape]:
                    answers.append("error")
                elif source in origins[tape].get(target, ()):
                    answers.append("number")
                    record(result, [target])
                else:
                    answers.append("none")
                asked.add(tape)
    return tuple(answers)


@right_answer(
    "15.persistent_or_nested",
    why="a gradient is computed from all results on the path, as it is in truth",
)
def from_all_results(variables, events):
    tapes = {}

    def remembered(tape, target, source):
        tapes["last"] = tape
        return _leads(tape, target, source)

    def inputs(target, source):
        operations, needed, on = tapes["last"]["operations"], {target}, []
        reached = [r for r, _ in operations if _found(operations, r, source)]
        for result, used in reversed(operations):
            if result in needed and result in reached:
                on.append(result)
                needed |= set(used)
        return on

    return _tapes(variables, events, found=remembered, gradient_inputs=inputs)


# ------------------------------------------------------------------ 15.3


def _softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _normalised(targets):
    return targets / targets.sum(axis=1, keepdims=True)


def _costs(targets, edge=1e-7):
    return -np.log(np.clip(targets, edge, 1 - edge))


def _linear(p, costs):
    losses = (p * costs).sum(axis=1)
    return losses, p * (costs - losses[:, None])


def _right_losses(logits, targets):
    return _linear(_softmax(logits), _costs(_normalised(targets)))


@wrong_answer("15.swapped", says="this is the loss with its arguments in the right order")
def in_the_right_order(logits, targets):
    p = _softmax(logits)
    return -(targets * np.log(p)).sum(axis=1), p - targets


@wrong_answer("15.swapped", says="there are infinite numbers in it, or NaN")
def without_a_clip(logits, targets):
    with np.errstate(all="ignore"):
        return _linear(_softmax(logits), -np.log(_normalised(targets)))


@wrong_answer("15.swapped", says="clipped at another number than Keras's")
def another_clip(logits, targets):
    return _linear(_softmax(logits), _costs(_normalised(targets), 1e-12))


@wrong_answer("15.swapped", says="the targets are not divided by their sum")
def not_divided(logits, targets):
    return _linear(_softmax(logits), _costs(targets))


@wrong_answer("15.swapped", says="the targets are clipped before they are divided")
def clipped_first(logits, targets):
    clipped = np.clip(targets, 1e-7, 1 - 1e-7)
    return _linear(_softmax(logits), -np.log(_normalised(clipped)))


@wrong_answer("15.swapped", says="the targets are divided by the sum of all of them")
def divided_by_the_total(logits, targets):
    return _linear(_softmax(logits), _costs(targets / targets.sum()))


@wrong_answer("15.swapped", says="are not divided by their sum before they are clipped")
def clipped_first_in_the_slope(logits, targets):
    right, wrong = _right_losses(logits, targets), clipped_first(logits, targets)
    return right[0], wrong[1]


@wrong_answer("15.swapped", says="as if 0 · log 0 were meant")
def zeros_left_out(logits, targets):
    y = _normalised(targets)
    return _linear(_softmax(logits), np.where(y > 0, _costs(y), 0.0))


@wrong_answer("15.swapped", says="this is the mean over the examples")
def mean_loss(logits, targets):
    losses, slope = _right_losses(logits, targets)
    return losses.mean(), slope / len(losses)


@wrong_answer("15.swapped", says="this is the sum over the examples")
def summed_loss(logits, targets):
    losses, slope = _right_losses(logits, targets)
    return losses.sum(), slope


@wrong_answer("15.swapped", says="this is the mean over the classes")
def mean_of_classes(logits, targets):
    losses, slope = _right_losses(logits, targets)
    return losses / logits.shape[1], slope / logits.shape[1]


@wrong_answer("15.swapped", says="the softmax is missing")
def no_softmax(logits, targets):
    costs = _costs(_normalised(targets))
    return (logits * costs).sum(axis=1), costs


@wrong_answer("15.swapped", says="the softmax is taken over the examples")
def softmax_of_axis_0(logits, targets):
    return _linear(_softmax(logits, 0), _costs(_normalised(targets)))


@wrong_answer("15.swapped", says="the targets pass a softmax first")
def softmax_of_targets(logits, targets):
    return _linear(_softmax(logits), -np.log(_softmax(targets)))


@wrong_answer("15.swapped", says="which belongs to the arguments in the right order")
def slope_of_the_right_order(logits, targets):
    return _right_losses(logits, targets)[0], _softmax(logits) - targets


@wrong_answer("15.swapped", says="the path through the softmax is missing")
def slope_by_probabilities(logits, targets):
    return _right_losses(logits, targets)[0], _costs(_normalised(targets))


@wrong_answer("15.swapped", says="raising one logit lowers the other probabilities")
def softmax_half_differentiated(logits, targets):
    p, costs = _softmax(logits), _costs(_normalised(targets))
    return (p * costs).sum(axis=1), p * costs


@wrong_answer("15.swapped", says="only the diagonal p (1 − p) is there")
def diagonal_of_the_softmax(logits, targets):
    p, costs = _softmax(logits), _costs(_normalised(targets))
    return (p * costs).sum(axis=1), p * (1 - p) * costs


@wrong_answer("15.swapped", says="this is the gradient of the mean")
def slope_of_the_mean(logits, targets):
    losses, slope = _right_losses(logits, targets)
    return losses, slope / len(losses)


@wrong_answer("15.swapped", says="each example has a row of its own")
def slopes_added(logits, targets):
    losses, slope = _right_losses(logits, targets)
    return losses, slope.sum(axis=0)


@wrong_answer("15.swapped", says="the probabilities are the first argument, and carry the gradient")
def no_gradient_at_all(logits, targets):
    return _right_losses(logits, targets)[0], np.zeros_like(logits)


@right_answer("15.swapped", why="the gradient by maml_edu.reference.grad")
def by_autodiff(logits, targets):
    costs = _costs(_normalised(targets))

    def total(z):
        e = np.exp(z)
        return np.sum(e / np.sum(e, axis=1, keepdims=True) * costs)

    return _linear(_softmax(logits), costs)[0], ref.grad(total)(logits)


@right_answer(
    "15.swapped", why="1e-7 added in place of a clip, which is as near as float32 sees; a list"
)
def added_in_place_of_clipped(logits, targets):
    return list(_linear(_softmax(logits), -np.log(_normalised(targets) + 1e-7)))


@right_answer("15.swapped", why="the softmax's Jacobian of each example, written out")
def by_jacobians(logits, targets):
    losses, rows = [], []
    for z, y in zip(logits, targets, strict=True):
        p = np.exp(z) / np.exp(z).sum()
        costs = -np.log(np.maximum(y / y.sum(), 1e-7))
        losses.append(float(p @ costs))
        rows.append(((np.diag(p) - np.outer(p, p)) @ costs).tolist())
    return losses, rows


# ------------------------------------------------------------------ 15.4


def _tree(params, grads, rates, leaf=lambda p, g, r: p - r * g, none=lambda p: p):
    """A step of a tree; `leaf` and `none` say what becomes of a leaf, and of a part without a gradient."""
    go = partial(_tree, leaf=leaf, none=none)
    if grads is None:
        return none(params)
    if isinstance(params, dict):
        of = lambda key: rates[key] if isinstance(rates, dict) else rates
        return {key: go(value, grads[key], of(key)) for key, value in params.items()}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        return type(params)(map(go, params, grads, rates))
    return leaf(params, grads, rates)


def _all_leaves(tree):
    parts = tree.values() if isinstance(tree, dict) else tree
    if not isinstance(tree, (dict, list, tuple)):
        return [tree]
    return [leaf for part in parts for leaf in _all_leaves(part)]


def _changed(function, tree):
    if isinstance(tree, dict):
        return {key: _changed(function, part) for key, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_changed(function, part) for part in tree)
    return function(tree)


@wrong_answer("15.pytree_step", says="a tuple has become a list")
def tuples_become_lists(params, grads, rates):
    tree = _tree(params, grads, rates)
    lists = lambda t: (
        {k: lists(v) for k, v in t.items()}
        if isinstance(t, dict)
        else [lists(v) for v in t]
        if isinstance(t, (list, tuple))
        else t
    )
    return lists(tree)


@wrong_answer("15.pytree_step", says="the structure is gone")
def flattened(params, grads, rates):
    return _all_leaves(_tree(params, grads, rates))


@wrong_answer("15.pytree_step", says="in place, which belongs to whoever calls it")
def arrays_in_place(params, grads, rates):
    def leaf(p, g, r):
        if isinstance(p, np.ndarray):
            p -= r * g
            return p
        return p - r * g

    return _tree(params, grads, rates, leaf)


@wrong_answer("15.pytree_step", says="a leaf without a gradient becomes None")
def none_stays_none(params, grads, rates):
    return _tree(params, grads, rates, none=lambda p: None)


@wrong_answer("15.pytree_step", says="a leaf without a gradient becomes zeros")
def none_becomes_zero(params, grads, rates):
    return _tree(params, grads, rates, none=partial(_changed, lambda p: p * 0))


@wrong_answer("15.pytree_step", says="a leaf without a gradient is left out")
def none_is_left_out(params, grads, rates):
    def pruned(tree):
        if isinstance(tree, dict):
            return {key: pruned(part) for key, part in tree.items()}
        if isinstance(tree, (list, tuple)):
            return type(tree)(pruned(part) for part in tree if part is not None)
        return tree

    return pruned(none_stays_none(params, grads, rates))


@wrong_answer("15.pytree_step", says="the step goes uphill")
def uphill(params, grads, rates):
    return _tree(params, grads, rates, lambda p, g, r: p + r * g)


@wrong_answer("15.pytree_step", says="the rates are not used")
def rates_unused(params, grads, rates):
    return _tree(params, grads, rates, lambda p, g, r: p - g)


@wrong_answer("15.pytree_step", says="these are the changes, rate times gradient: subtract")
def changes_alone(params, grads, rates):
    zeros = partial(_changed, lambda p: p * 0)
    return _tree(params, grads, rates, lambda p, g, r: r * g, zeros)


@wrong_answer("15.pytree_step", says="add them to the parameters")
def negative_changes_alone(params, grads, rates):
    zeros = partial(_changed, lambda p: p * 0)
    return _tree(params, grads, rates, lambda p, g, r: -r * g, zeros)


@wrong_answer("15.pytree_step", says="the first rate is used for all leaves")
def one_rate(params, grads, rates):
    return _tree(params, grads, _all_leaves(rates)[0])


@wrong_answer("15.pytree_step", says="the mean of the rates is used")
def mean_rate(params, grads, rates):
    return _tree(params, grads, float(np.mean(_all_leaves(rates))))


@wrong_answer("15.pytree_step", says="the gradients in a dict are taken in their order")
def by_place(params, grads, rates):
    if grads is None:
        return params
    if isinstance(params, dict):
        flat = not any(isinstance(v, (dict, list, tuple)) for v in params.values())
        named = dict(zip(params, grads.values(), strict=True)) if flat else grads
        of = lambda key: rates[key] if isinstance(rates, dict) else rates
        return {key: by_place(params[key], named[key], of(key)) for key in params}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        return type(params)(map(by_place, params, grads, rates))
    return params - rates * grads


def _in_order(tree, like):
    """A tree with the values of its dicts under the names that are in the same places in `like`."""
    if isinstance(tree, dict):
        pairs = zip(like, tree.values(), strict=True)
        return {key: _in_order(value, like[key]) for key, value in pairs}
    return tree


@wrong_answer("15.pytree_step", says="the rates in a dict are taken in their order")
def rates_by_place(params, grads, rates):
    return _tree(params, grads, _in_order(rates, params))


@wrong_answer("15.pytree_step", says="gradients and rates in a dict are taken in their order")
def all_by_place(params, grads, rates):
    return _tree(params, _in_order(grads, params), _in_order(rates, params))


def _without_prefix(params, grads, rates, none=True, part=True):
    """The rates must be a tree like params; None is known for a leaf, and for a part, if at all."""
    go = partial(_without_prefix, none=none, part=part)
    if part and grads is None:
        return params
    if isinstance(params, dict):
        return {key: go(params[key], grads[key], rates[key]) for key in params}
    if isinstance(params, (list, tuple)):
        return type(params)(map(go, params, grads, rates))
    return params if none and grads is None else params - rates * grads


@wrong_answer("15.pytree_step", says="stops with an error where a number in `rates` stands for a")
def no_prefix(params, grads, rates):
    return _without_prefix(params, grads, rates)


@wrong_answer("15.pytree_step", says="it is the rate of all leaves in that part; and where None")
def no_prefix_and_no_none(params, grads, rates):
    return _without_prefix(params, grads, rates, none=False, part=False)


@wrong_answer("15.pytree_step", says="stops with an error where None in `grads` stands for a leaf")
def no_none(params, grads, rates):
    if isinstance(params, dict):
        of = lambda key: rates[key] if isinstance(rates, dict) else rates
        return {key: no_none(params[key], grads[key], of(key)) for key in params}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        return type(params)(map(no_none, params, grads, rates))
    return params - rates * grads


@wrong_answer("15.pytree_step", says="stops with an error where None in `grads` stands for a whole")
def none_of_leaves_only(params, grads, rates):
    if isinstance(params, dict):
        of = lambda key: rates[key] if isinstance(rates, dict) else rates
        return {key: none_of_leaves_only(params[key], grads[key], of(key)) for key in params}
    if isinstance(params, (list, tuple)):
        rates = rates if isinstance(rates, (list, tuple)) else [rates] * len(params)
        return type(params)(map(none_of_leaves_only, params, grads, rates))
    return params if grads is None else params - rates * grads


@wrong_answer("15.pytree_step", says="only the leaves of the first level are moved")
def first_level_only(params, grads, rates):
    leaf = lambda value: not isinstance(value, (dict, list, tuple))
    return {k: v - rates[k] * grads[k] if leaf(v) else v for k, v in params.items()}


@wrong_answer("15.pytree_step", says="nothing was changed")
def result_not_used(params, grads, rates):
    _tree(params, grads, rates)
    return params


@right_answer("15.pytree_step", why="flattened, stepped, and put together again, as jax.tree does")
def flat_and_back(params, grads, rates):
    def spread(tree, like):
        """A prefix tree, as long as `like`: a list of leaves."""
        if isinstance(like, dict):
            return [
                x
                for k in like
                for x in spread(tree[k] if isinstance(tree, dict) else tree, like[k])
            ]
        if isinstance(like, (list, tuple)):
            tree = tree if isinstance(tree, (list, tuple)) else [tree] * len(like)
            return [x for part, one in zip(tree, like, strict=True) for x in spread(part, one)]
        return [tree]

    flat = zip(_all_leaves(params), spread(grads, params), spread(rates, params), strict=True)
    stepped = iter([p if g is None else p - r * g for p, g, r in flat])
    return _changed(lambda leaf: next(stepped), params)


@right_answer(
    "15.pytree_step", why="copied deeply first, then changed in place; keys in alphabetical order"
)
def copied_then_changed(params, grads, rates):
    if isinstance(params, dict):
        keys = sorted(params)
        part = lambda tree, key: tree[key] if isinstance(tree, dict) else tree
        return {k: copied_then_changed(params[k], part(grads, k), part(rates, k)) for k in keys}
    if isinstance(params, (list, tuple)):
        part = lambda tree, n: tree[n] if isinstance(tree, (list, tuple)) else tree
        made = [
            copied_then_changed(p, part(grads, n), part(rates, n)) for n, p in enumerate(params)
        ]
        return tuple(made) if isinstance(params, tuple) else made
    new = np.array(params, float)
    if grads is not None:
        new -= rates * np.asarray(grads)
    return new


@right_answer("15.pytree_step", why="in float32, by an explicit stack and without recursion")
def with_a_stack(params, grads, rates):
    whole = {}
    todo = [(whole, "root", params, grads, rates)]
    frozen = []
    while todo:
        parent, key, p, g, r = todo.pop()
        if isinstance(p, (dict, list, tuple)):
            keys = list(p) if isinstance(p, dict) else range(len(p))
            parent[key] = new = dict.fromkeys(keys)
            frozen.append((parent, key, type(p)))
            at = lambda tree, k: tree[k] if isinstance(tree, (dict, list, tuple)) else tree
            todo += [(new, k, p[k], at(g, k), at(r, k)) for k in keys]
        else:
            parent[key] = np.float32(p) if g is None else np.float32(p) - np.float32(r * g)
    for parent, key, kind in reversed(frozen):
        if kind is not dict:
            parent[key] = kind(parent[key].values())
    return whole["root"]


# ------------------------------------------------------------------ 15.5


def _slice(arg, axis, i):
    if isinstance(arg, dict):
        of = axis if isinstance(axis, dict) else dict.fromkeys(arg, axis)
        return {key: _slice(value, of[key], i) for key, value in arg.items()}
    return arg if axis is None else np.take(arg, i, axis)


def _first_array(args):
    first = args[0]
    return next(iter(first.values())) if isinstance(first, dict) else first


def _results(f, args, axes, count=None):
    count = count or len(_first_array(args))  # all axes are of one length here
    return [f(*map(_slice, args, axes, [i] * len(args))) for i in range(count)]


def _axes(change, axes):
    """The axes, with every number and every None changed."""
    return [
        {key: change(one) for key, one in axis.items()} if isinstance(axis, dict) else change(axis)
        for axis in axes
    ]


@wrong_answer("15.in_axes", says="an argument whose axis is None is mapped along axis 0")
def maps_over_theta(f, args, axes):
    return np.stack(_results(f, args, _axes(lambda axis: axis or 0, axes)))


@wrong_answer("15.in_axes", says="every argument is mapped along axis 0, whatever its axis")
def no_axes(f, args, axes):
    return np.stack(_results(f, args, [0] * len(args)))


@wrong_answer("15.in_axes", says="the number of an axis is not used")
def always_the_first_axis(f, args, axes):
    return np.stack(_results(f, args, _axes(lambda axis: axis if axis is None else 0, axes)))


@wrong_answer("15.in_axes", says="every argument is mapped along axis 0 but dicts")
def dicts_are_parameters(f, args, axes):
    return np.stack(_results(f, args, [None if isinstance(arg, dict) else 0 for arg in args]))


@wrong_answer("15.in_axes", says="every dict is shared, whatever its axes")
def dicts_are_shared(f, args, axes):
    pairs = zip(args, axes, strict=True)
    axes = [None if isinstance(arg, dict) else axis for arg, axis in pairs]
    return np.stack(_results(f, args, axes))


@wrong_answer("15.in_axes", says="a negative axis is counted from the front")
def without_signs(f, args, axes):
    axes = _axes(lambda axis: axis if axis is None else abs(axis), axes)
    return np.stack(_results(f, args, axes))


@wrong_answer("15.in_axes", says="a dict of axes is taken for None")
def a_dict_is_none(f, args, axes):
    axes = [None if isinstance(axis, dict) else axis for axis in axes]
    return np.stack(_results(f, args, axes))


@wrong_answer("15.in_axes", says="None in a dict of axes is taken for 0")
def none_in_a_dict_is_zero(f, args, axes):
    change = lambda axis: {k: v or 0 for k, v in axis.items()} if isinstance(axis, dict) else axis
    return np.stack(_results(f, args, [change(axis) for axis in axes]))


@wrong_answer("15.in_axes", says="axis 0 is taken for None")
def not_axis(f, args, axes):
    return np.stack(_results(f, args, _axes(lambda axis: axis or None, axes)))


@wrong_answer("15.in_axes", says="the results are averaged")
def averaged(f, args, axes):
    return np.mean(_results(f, args, axes), axis=0)


@wrong_answer("15.in_axes", says="the results are added")
def added(f, args, axes):
    return sum(_results(f, args, axes))


@wrong_answer("15.in_axes", says="the results are stacked along the last axis")
def stacked_last(f, args, axes):
    return np.stack(_results(f, args, axes), axis=-1)


@wrong_answer("15.in_axes", says="the results are joined end to end")
def joined(f, args, axes):
    return np.hstack(_results(f, args, axes))


@wrong_answer("15.in_axes", says="the function is called once, on everything")
def called_once(f, args, axes):
    return f(*args)


@wrong_answer("15.in_axes", says="only the first result is there")
def first_result(f, args, axes):
    return _results(f, args, axes)[0]


@wrong_answer("15.in_axes", says="the axes are counted from 1")
def counted_from_one(f, args, axes):
    axes = _axes(lambda axis: axis - 1 if axis is not None and axis > 0 else axis, axes)
    return np.stack(_results(f, args, axes))


@right_answer("15.in_axes", why="every mapped axis is moved to the front, and then zip")
def moved_to_the_front(f, args, axes):
    count = len(_first_array(args))

    def in_front(arg, axis):
        if isinstance(arg, dict):
            of = axis if isinstance(axis, dict) else dict.fromkeys(arg, axis)
            fronted = {key: in_front(value, of[key]) for key, value in arg.items()}
            return [{key: fronted[key][i] for key in arg} for i in range(count)]
        return [arg] * count if axis is None else list(np.moveaxis(arg, axis, 0))

    columns = map(in_front, args, axes)
    return np.array([f(*call) for call in zip(*columns, strict=True)])


@right_answer("15.in_axes", why="slices by an index for each axis")
def by_indices(f, args, axes):
    def slices(arg, axis, i):
        if isinstance(arg, dict):
            of = axis if isinstance(axis, dict) else dict.fromkeys(arg, axis)
            return {key: slices(value, of[key], i) for key, value in arg.items()}
        if axis is None:
            return arg
        place = [slice(None)] * arg.ndim
        place[axis] = i
        return arg[tuple(place)]

    count = len(_first_array(args))
    return np.stack([f(*map(slices, args, axes, [i] * len(args))) for i in range(count)])


@right_answer("15.in_axes", why="a list of results, in float32")
def a_list_of_results(f, args, axes):
    return [np.float32(result).tolist() for result in _results(f, args, axes)]


# ------------------------------------------------------------------ 15.6


def _probabilities(theta, x):
    return _softmax(x @ theta["w"] + theta["b"])


def _back(x, error, mean=True):
    n = len(x) if mean else 1
    return {"w": x.T @ error / n, "b": error.sum(axis=0) / n}


def _bent(p, x, u, mean=True, coupled=True):
    dz = x @ u["w"] + u["b"]
    return _back(x, p * (dz - (p * dz).sum(axis=1, keepdims=True) * coupled), mean)


def _by(function, *dicts):
    return {name: function(*(one[name] for one in dicts)) for name in dicts[0]}


def _adapted(params, x, y, alpha, mean=True):
    slope = _back(x, _probabilities(params, x) - y, mean)
    return _by(lambda p, g: p - alpha * g, params, slope)


def _query(phi, x, y):
    q = _probabilities(phi, x)
    return -np.log((q * y).sum(axis=1)).mean(), _back(x, q - y)


def _over_tasks(of_task, params, support_x, support_y, query_x, query_y, alpha):
    tasks = zip(support_x, support_y, query_x, query_y, strict=True)
    losses, grads = zip(*(of_task(params, *task, alpha) for task in tasks), strict=True)
    return np.mean(losses), _by(lambda *parts: np.mean(parts, axis=0), *grads)


def _task(params, sx, sy, qx, qy, alpha, mean=True, coupled=True):
    phi = _adapted(params, sx, sy, alpha, mean)
    loss, u = _query(phi, qx, qy)
    bent = _bent(_probabilities(params, sx), sx, u, mean, coupled)
    return loss, _by(lambda u, h: u - alpha * h, u, bent)


def _with_curvature(at):
    """A task whose curvature term is `at(params, phi, sx, qx, u, alpha)`, to be subtracted from u."""

    def of_task(params, sx, sy, qx, qy, alpha):
        phi = _adapted(params, sx, sy, alpha)
        loss, u = _query(phi, qx, qy)
        return loss, _by(lambda u, h: u - h, u, at(params, phi, sx, qx, u, alpha))

    return partial(_over_tasks, of_task)


def _times(factor, grads):
    return _by(lambda g: factor * g, grads)


def _here(params, x, u):
    return _bent(_probabilities(params, x), x, u)


@wrong_answer("15.stateless_maml", says="this is the first-order gradient")
def first_order(*case):
    return _with_curvature(lambda params, phi, sx, qx, u, alpha: _times(0.0, u))(*case)


@wrong_answer("15.stateless_maml", says="the curvature is added")
def curvature_added(*case):
    return _with_curvature(lambda p, phi, sx, qx, u, alpha: _times(-alpha, _here(p, sx, u)))(*case)


@wrong_answer("15.stateless_maml", says="the Hessian is that at φ")
def hessian_at_phi(*case):
    return _with_curvature(lambda p, phi, sx, qx, u, alpha: _times(alpha, _here(phi, sx, u)))(*case)


@wrong_answer("15.stateless_maml", says="the Hessian is that of the query loss")
def hessian_of_the_queries(*case):
    return _with_curvature(lambda p, phi, sx, qx, u, alpha: _times(alpha, _here(p, qx, u)))(*case)


@wrong_answer("15.stateless_maml", says="α is missing before the Hessian")
def no_rate(*case):
    return _with_curvature(lambda p, phi, sx, qx, u, alpha: _here(p, sx, u))(*case)


@wrong_answer("15.stateless_maml", says="this is −αHu alone")
def bend_without_the_direct_path(*case):
    return _with_curvature(
        lambda p, phi, sx, qx, u, alpha: _by(lambda u, h: u + alpha * h, u, _here(p, sx, u))
    )(*case)


@wrong_answer("15.stateless_maml", says="as if its outputs did not share a sum")
def uncoupled_softmax(*case):
    return _over_tasks(partial(_task, coupled=False), *case)


def _otherwise(bent):
    """A task whose Hu is `bent(p, x, u)`."""
    return _with_curvature(
        lambda params, phi, sx, qx, u, alpha: _times(alpha, bent(_probabilities(params, sx), sx, u))
    )


@wrong_answer("15.stateless_maml", says="changes with all, by p")
def own_logit_only(*case):
    return _otherwise(lambda p, x, u: _back(x, p * (1 - p) * (x @ u["w"] + u["b"])))(*case)


@wrong_answer("15.stateless_maml", says="b is missing where the scores change along u")
def no_bias_in_the_scores(*case):
    return _otherwise(lambda p, x, u: _bent(p, x, u | {"b": 0.0}))(*case)


@wrong_answer("15.stateless_maml", says="b has no curvature here")
def no_curvature_of_the_bias(*case):
    return _otherwise(lambda p, x, u: _bent(p, x, u) | {"b": np.zeros_like(u["b"])})(*case)


@wrong_answer("15.stateless_maml", says="1/n is missing in Hu")
def summed_curvature(*case):
    return _otherwise(lambda p, x, u: _bent(p, x, u, mean=False))(*case)


@wrong_answer("15.stateless_maml", says="that of the summed query losses")
def summed_query_slope(*case):
    loss, grads = _over_tasks(_task, *case)
    return loss, _times(case[3].shape[1], grads)


@wrong_answer("15.stateless_maml", says="the inner step uses the sum over the support examples")
def summed_support(*case):
    return _over_tasks(partial(_task, mean=False), *case)


@wrong_answer("15.stateless_maml", says="the support set is used for the query loss, too")
def support_for_query(params, support_x, support_y, query_x, query_y, alpha):
    return _over_tasks(_task, params, support_x, support_y, support_x, support_y, alpha)


@wrong_answer(
    "15.stateless_maml", says="the query loss is taken at θ, as if nobody used the new values"
)
def new_values_unused(*case):
    return _over_tasks(lambda params, sx, sy, qx, qy, alpha: _query(params, qx, qy), *case)


@wrong_answer("15.stateless_maml", says="loss and gradient are summed over the tasks")
def summed_tasks(*case):
    loss, grads = _over_tasks(_task, *case)
    tasks = len(case[1])
    return tasks * loss, _times(tasks, grads)


@wrong_answer(
    "15.stateless_maml", says="the gradient is summed over the tasks: take the mean, as for"
)
def summed_gradients(*case):
    loss, grads = _over_tasks(_task, *case)
    return loss, _times(len(case[1]), grads)


@wrong_answer("15.stateless_maml", says="this is the last task alone")
def last_task(params, support_x, support_y, query_x, query_y, alpha):
    for task in zip(support_x, support_y, query_x, query_y, strict=True):
        result = _task(params, *task, alpha)
    return result


@wrong_answer("15.stateless_maml", says="the examples of all tasks are thrown together")
def one_task_of_all(params, *data):
    *data, alpha = data
    return _task(params, *(part.reshape(-1, part.shape[-1]) for part in data), alpha)


@wrong_answer(
    "15.stateless_maml", says="the query loss is differentiated as the cross-entropy with exchanged"
)
def exchanged_outside(*case):
    def of_task(params, sx, sy, qx, qy, alpha):
        phi = _adapted(params, sx, sy, alpha)
        loss, _ = _query(phi, qx, qy)
        u = _back(qx, _linear(_probabilities(phi, qx), _costs(qy))[1])
        return loss, _by(lambda u, h: u - alpha * h, u, _here(params, sx, u))

    return _over_tasks(of_task, *case)


@wrong_answer("15.stateless_maml", says="I − αH is applied twice")
def applied_twice(*case):
    def of_task(params, sx, sy, qx, qy, alpha):
        phi = _adapted(params, sx, sy, alpha)
        loss, u = _query(phi, qx, qy)
        for _ in range(2):
            u = _by(lambda u, h: u - alpha * h, u, _here(params, sx, u))
        return loss, u

    return _over_tasks(of_task, *case)


@wrong_answer("15.stateless_maml", says="the loss is the one before the step")
def loss_before(*case):
    before, _ = _over_tasks(lambda params, sx, sy, qx, qy, alpha: _query(params, qx, qy), *case)
    return before, _over_tasks(_task, *case)[1]


@wrong_answer("15.stateless_maml", says="b does not adapt in the inner step")
def bias_left_behind(*case):
    def of_task(params, sx, sy, qx, qy, alpha):
        phi = {"w": _adapted(params, sx, sy, alpha)["w"], "b": params["b"]}
        loss, u = _query(phi, qx, qy)
        bent = _here(params, sx, u | {"b": u["b"]})
        return loss, _by(lambda u, h: u - alpha * h, u, bent)

    return _over_tasks(of_task, *case)


def _entropy(theta, x, y):
    z = x @ theta["w"] + theta["b"]
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - np.sum(z * y, axis=1))


@right_answer("15.stateless_maml", why="by maml_edu.reference.meta_gradient")
def by_reference_maml(params, support_x, support_y, query_x, query_y, alpha):
    data = SimpleNamespace(
        support_x=support_x, support_y=support_y, query_x=query_x, query_y=query_y
    )
    return ref.meta_gradient(_entropy, params, data, alpha, 1)


@right_answer(
    "15.stateless_maml",
    why="the Hessian formed by differences of the gradient, all parameters in a row",
)
def with_a_measured_hessian(*case):
    def of_task(params, sx, sy, qx, qy, alpha):
        slope = lambda theta: _back(sx, _probabilities(theta, sx) - sy)
        loss, u = _query(_adapted(params, sx, sy, alpha), qx, qy)
        ahead, behind = (_by(lambda p, d, h=h: p + h * d, params, u) for h in (1e-5, -1e-5))
        hu = _by(lambda one, two: (one - two) / 2e-5, slope(ahead), slope(behind))
        return loss, _by(lambda u, h: u - alpha * h, u, hu)

    return _over_tasks(of_task, *case)


@right_answer("15.stateless_maml", why="all tasks at once, with einsum and no loop; a list of two")
def all_tasks_at_once(params, support_x, support_y, query_x, query_y, alpha):
    soft = lambda z: _softmax(z, axis=2)
    shots, queries = support_x.shape[1], query_x.shape[1]
    p = soft(support_x @ params["w"] + params["b"])
    error = (p - support_y) / shots
    w = params["w"] - alpha * np.einsum("tnf,tnc->tfc", support_x, error)
    b = params["b"] - alpha * error.sum(axis=1)
    q = soft(query_x @ w + b[:, None])
    outer = (q - query_y) / queries
    u_w, u_b = np.einsum("tnf,tnc->tfc", query_x, outer), outer.sum(axis=1)
    dz = support_x @ u_w + u_b[:, None]
    dp = p * (dz - (p * dz).sum(axis=2, keepdims=True)) / shots
    grads = {
        "b": (u_b - alpha * dp.sum(axis=1)).mean(axis=0),
        "w": (u_w - alpha * np.einsum("tnf,tnc->tfc", support_x, dp)).mean(axis=0),
    }
    return [-(query_y * np.log(q)).sum(axis=2).mean(), grads]
