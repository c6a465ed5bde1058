"""What the exercises of chapter 15 say of TensorFlow, Keras, JAX and PyTorch, held to the frameworks themselves."""

import ast
import re
import sys

import numpy as np
import pytest
from frameworks import needs

from maml_edu import places
from maml_edu.checks.catalogue import FUNCTIONS
from maml_edu.checks.exercise import find

pytestmark = needs("tensorflow", "jax")

CHAPTER = places.course_root() / "course" / "15_other_frameworks"
checks = sys.modules[find("15.what_it_computes").check.__module__]
CASE = {"theta": 2.0, "a": 0.8, "c": -1.5, "b": 2.1, "d": 5.0, "alpha": 0.3}


@pytest.fixture(autouse=True)
def double_precision():
    import jax

    with jax.enable_x64(True):
        yield


def listings():
    """Letter → (framework, program) of 15.1, as they stand in the text."""
    text = (CHAPTER / "exercises.py").read_text(encoding="utf-8")
    text = "\n".join(line[2:] for line in text.split("## 15.2")[0].splitlines())
    parts = re.split(r"^# ([A-I]) · (\w+).*$", text.replace("\n```", "\n\n"), flags=re.M)[1:]
    programs = [part.strip().split("\n\n")[0] for part in parts[2::3]]
    return dict(zip(parts[::3], zip(parts[1::3], programs, strict=True), strict=True))


def surroundings(framework):
    """What a listing finds: the losses, and θ as its framework has it."""
    import jax
    import keras
    import tensorflow as tf
    import torch

    theta, a, c, b, d, _ = CASE.values()
    scope = {"jax": jax, "tf": tf, "torch": torch, "alpha": CASE["alpha"]}
    scope |= {"support": lambda t: a * (t - c) ** 2 / 2, "query": lambda t: b * (t - d) ** 2 / 2}
    if framework == "Keras":
        dense = keras.layers.Dense(1, use_bias=False, dtype="float64")
        model = keras.Sequential([keras.Input((1,)), dense])
        dense.kernel.assign([[theta]])
        return scope | {"model": model, "inputs": tf.ones((1, 1), tf.float64)}
    thetas = {"JAX": lambda: theta, "TensorFlow": lambda: tf.Variable(theta, dtype=tf.float64)}
    thetas["PyTorch"] = lambda: torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    return scope | {"theta": thetas[framework]()}


def test_there_is_a_listing_for_each_letter():
    assert list(listings()) == list(checks.RIGHT)


@pytest.mark.parametrize("letter", checks.RIGHT)
def test_a_listing_returns_what_the_check_expects(letter):
    framework, program = listings()[letter]
    scope = surroundings(framework)
    if "adapted(" in program and "def adapted" not in program:
        program = listings()["A"][1].splitlines()[0] + "\n" + program
    tree = ast.parse(program)
    last = ast.Expression(tree.body.pop().value)
    exec(compile(tree, letter, "exec"), scope)
    value = eval(compile(last, letter, "eval"), scope)
    expected = checks._gradients(**CASE)[checks.RIGHT[letter]]
    if expected is None:
        assert value is None
    else:
        assert float(np.ravel(value)[0]) == pytest.approx(expected, rel=1e-12, abs=0)


def on_tapes(variables, events):
    """What TensorFlow says of each gradient of a program of 15.2."""
    import tensorflow as tf

    names = {"compute": lambda inputs: inputs, "watch": lambda value: [value]}
    names |= {"gradient": lambda tape, target, source: [target, source]}
    used = {name for kind, _, *rest in events if kind in names for name in names[kind](*rest)}
    made = {event[1] for event in events if event[0] in ("compute", "gradient")}
    values = {}
    for place, name in enumerate(sorted((used - made) | set(variables))):
        kind = tf.Variable if name in variables else tf.constant
        values[name] = kind(0.1 + 0.01 * place)  # TensorFlow may keep one tensor for equal numbers
    tapes, said = {}, []
    for kind, first, *rest in events:
        if kind == "open":
            tapes[first] = tf.GradientTape(persistent=rest[0])
            tapes[first].__enter__()
        elif kind == "close":
            tapes[first].__exit__(None, None, None)
        elif kind == "watch":
            tapes[first].watch(values[rest[0]])
        elif kind == "compute":
            values[first] = tf.exp(sum(values[name] for name in rest[0]))
        else:
            tape, target, source = rest
            try:
                values[first] = tapes[tape].gradient(values[target], values[source])
                said.append("none" if values[first] is None else "number")
            except RuntimeError:
                said.append("error")
    return said


@pytest.mark.parametrize("block", checks.BLOCKS)
def test_a_tape_of_tensorflow_says_what_the_check_says(block):
    program = checks._program(np.random.default_rng(1), block)
    assert on_tapes(*program) == checks._asked(*program)


def any_program(rng):
    """(variables, events) by the rules of 15.2, of events drawn at random."""
    values, constants, events, tapes, opened = ["v", "w", "k", "c"], ["k", "c"], [], {}, []
    some = lambda items: items[rng.integers(len(items))]

    def gradient(tape):
        target, source = map(str, rng.choice(values, 2, replace=False))
        events.append(("gradient", f"r{len(events)}", tape, target, source))
        if checks._asked(["v", "w"], events)[-1] == "number":
            values.append(events[-1][1])

    for kind in rng.choice("open compute compute compute watch close gradient".split(), 16):
        askable = [tape for tape, many in tapes.items() if many or tape not in opened]
        if kind == "open" and len(tapes) < 3:
            opened.append(f"tape{len(tapes)}")
            tapes[opened[-1]] = bool(rng.integers(2))
            events.append(("open", opened[-1], tapes[opened[-1]]))
        elif kind == "close" and opened:
            events.append(("close", opened.pop()))
        elif kind == "watch" and opened:
            constant, beside = some(constants), [e[2] for e in events if e[0] == "compute"]
            if not any(constant in inputs and len(inputs) > 1 for inputs in beside):
                events.append(("watch", some(opened), constant))
        elif kind == "compute":
            inputs = list(map(str, rng.choice(values, rng.integers(1, 3), replace=False)))
            events.append(("compute", f"r{len(events)}", inputs))
            values.append(events[-1][1])
        elif kind == "gradient" and askable:
            gradient(some(askable))
    events += [("close", tape) for tape in reversed(opened)]
    for tape in [*tapes, *tapes]:
        gradient(tape)
    return ["v", "w"], events


def test_tapes_of_tensorflow_say_what_the_check_says_of_any_program():
    rng, words = np.random.default_rng(6), []
    for _ in range(300):
        program = any_program(rng)
        said = on_tapes(*program)
        assert said == checks._asked(*program), checks._as_code(*program)
        words += said
    assert min(map(words.count, (checks.NUMBER, checks.NONE, checks.ERROR))) > 20


def class_of(text):
    """The lines of the article's class in a text, without line numbers and empty lines."""
    lines = [line.rstrip() for line in text.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.endswith("class MAML(tf.keras.Model):"))
    last = next(n for n, line in enumerate(lines) if n > first and "for variable, slope in" in line)
    lines = [re.sub(r"^# +\d+ ? ?", "", line) for line in lines[first : last + 1]]
    return [line for line in lines if line]


def test_the_class_to_review_is_the_lesson_s_but_for_one_line():
    lesson, review = (
        class_of((CHAPTER / name).read_text(encoding="utf-8"))
        for name in ("lesson.py", "exercises.py")
    )
    lines = zip(lesson, review, strict=True)
    other = [(line, theirs) for line, theirs in lines if line != theirs]
    assert [theirs.replace(".numpy()", "") for _, theirs in other] == [line for line, _ in other]
    assert len(other) == 1


@pytest.mark.parametrize("first_order", [True, False])
def test_numpy_in_the_update_of_the_class_to_review_makes_it_first_order(first_order):
    import tensorflow as tf

    text = "\n".join(class_of((CHAPTER / "exercises.py").read_text(encoding="utf-8")))
    text = text.replace("(self, inputs, states)", "(self, inputs)")
    text = text.replace("(self(inputs), targets)", "(targets, self(inputs))")
    exec(text if first_order else text.replace(".numpy()", ""), scope := {"tf": tf})

    rng, labels = np.random.default_rng(5), np.eye(3)
    params, (sx, qx) = (
        {"w": rng.normal(0, 0.1, (4, 3)), "b": np.zeros(3)},
        rng.normal(size=(2, 6, 4)),
    )
    sy, qy = labels[rng.integers(3, size=(2, 6))]
    model = scope["MAML"](3)
    model(sx)
    model.set_weights([params["w"], params["b"]])
    with tf.GradientTape() as outer:
        values = model.update(model.compute_gradients(tf.constant(sx), tf.constant(sy)))
        guess, _ = model.stateless_call(values, [], tf.constant(qx))
        value = tf.reduce_mean(tf.keras.losses.categorical_crossentropy(tf.constant(qy), guess))
    slopes = outer.gradient(value, model.trainable_variables)

    how = frozenset({"summed shots"} | ({"first order"} if first_order else set()))
    tasks = (sx[None], sy[None], qx[None], qy[None])
    right = checks._meta(params, *tasks, 0.01, how)[1]  # the class sums over the examples
    assert np.allclose(slopes[0], right["w"], atol=1e-6) and np.allclose(
        slopes[1], right["b"], atol=1e-6
    )


def test_keras_takes_exchanged_arguments_as_the_check_does():
    import keras
    import tensorflow as tf

    rng = np.random.default_rng(2)
    logits, targets = tf.constant(rng.normal(size=(6, 4))), checks._targets(rng, 6, 4)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = keras.losses.categorical_crossentropy(keras.ops.softmax(logits), targets)
    slope = tape.gradient(losses, logits)
    right = checks._exchanged(logits.numpy(), targets)
    assert np.allclose(losses, right[0], rtol=1e-12) and np.allclose(slope, right[1], rtol=1e-9)


def test_jax_maps_the_axes_that_the_check_maps():
    import jax

    for f, args, axes in checks._calls(np.random.default_rng(3), 3):
        mapped = jax.vmap(FUNCTIONS[f.name](jax.numpy), in_axes=tuple(axes))(*args)
        assert np.allclose(mapped, checks._vmap(f.numpy, args, axes), rtol=1e-12)


def test_jax_finds_the_meta_gradient_of_the_check():
    import jax
    import jax.numpy as jnp

    def loss(params, x, y):
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x @ params["w"] + params["b"]), axis=1))

    def meta_loss(params, sx, sy, qx, qy, alpha):
        slope = jax.grad(loss)(params, sx, sy)
        return loss(jax.tree.map(lambda p, g: p - alpha * g, params, slope), qx, qy)

    params, *data, alpha = checks._classification(np.random.default_rng(4))
    over_tasks = jax.vmap(meta_loss, in_axes=(None, 0, 0, 0, 0, None))
    both = jax.value_and_grad(lambda params: jnp.mean(over_tasks(params, *data, alpha)))
    value, slope = both({name: jnp.asarray(array) for name, array in params.items()})
    right = checks._meta(params, *data, alpha)
    assert np.isclose(value, right[0], rtol=1e-12)
    assert all(np.allclose(slope[name], right[1][name], rtol=1e-9, atol=1e-14) for name in params)
