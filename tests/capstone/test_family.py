"""`check_family`: families that are right pass, and each fault is caught by the check that is meant for it."""

import random

import numpy as np
import pytest
import torch

from maml_edu.capstone import check_family
from maml_edu.tasks import FewShotImages, Intents, Navigation, Pendulum, Sinusoids, TaskBatch

FEWER = 40  # tasks: enough for these


class Slopes:
    """y = a x + noise, with a new slope a per task: 3 examples, 6 queries."""

    shots, queries, noise, high = 3, 6, 0.1, 1.0

    def sample(self, rng, tasks=25):
        slope = rng.normal(size=(tasks, 1, 1)) * self.high
        x = rng.uniform(-2, 2, (tasks, self.shots + self.queries, 1))
        y = slope * x + self.noise * rng.normal(size=x.shape)
        return self.divided(x, y)

    def divided(self, x, y):
        k = self.shots
        return TaskBatch(x[:, :k], y[:, :k], x[:, k:], y[:, k:])

    def oracle(self, x, y, query):
        weight = (x * y).sum() / ((x**2).sum() + (self.noise / self.high) ** 2)
        return weight * query


class Clouds:
    """Three classes per task, each a cloud around a centre of its own; 2 examples and 4 queries per class."""

    ways, shots, queries = 3, 2, 4

    def sample(self, rng, tasks=25):
        number = self.shots + self.queries
        centres = rng.normal(size=(tasks, self.ways, 1, 4))
        x = centres + 0.3 * rng.normal(size=(tasks, self.ways, number, 4))
        y = np.broadcast_to(np.arange(self.ways)[:, None], (tasks, self.ways, number))
        join = lambda part: np.ascontiguousarray(part).reshape(tasks, -1, *part.shape[3:])
        k = self.shots
        return join(x[:, :, :k]), join(y[:, :, :k]), join(x[:, :, k:]), join(y[:, :, k:])


def changed(family, change):
    """A family whose batches go through change(support_x, support_y, query_x, query_y, rng)."""

    class Changed(family):
        oracle = None

        def sample(self, rng, tasks=25):
            arrays = TaskBatch.of(super().sample(rng, tasks=tasks)).arrays
            return change(*(np.array(part) for part in arrays), rng)

    return Changed()


# ------------------------------------------------------------------ right ones


def images():
    rng = np.random.default_rng(0)
    patterns = rng.random((12, 1, 6, 6)) < 0.4
    flips = rng.random((12, 20, 6, 6)) < 0.1
    return FewShotImages((patterns ^ flips).astype(np.float32), ways=3, shots=1, queries=4)


class Padded(Slopes):
    """Tasks of unequal size."""

    oracle = None

    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks=tasks)
        pairs = zip(rng.integers(2, 4, tasks), batch, strict=True)
        return TaskBatch.padded([(a[:n], b[:n], c, d) for n, (a, b, c, d) in pairs])


class Tensors(Slopes):
    """The same as tensors in float32."""

    def sample(self, rng, tasks=25):
        return super().sample(rng, tasks=tasks).map(lambda part: torch.tensor(part).float())


class WholeNumbers(Slopes):
    """x takes ten values, so that some come twice; y is noisy."""

    oracle = None

    def sample(self, rng, tasks=25):
        x = rng.integers(0, 10, (tasks, 9, 1)) / 5
        return self.divided(x, rng.normal(size=(tasks, 1, 1)) * x + 0.1 * rng.normal(size=x.shape))


class Offsets(Slopes):
    """One line for all, moved up or down: one example, one query, and no plain learner knows the line."""

    oracle = None

    def sample(self, rng, tasks=25):
        x = rng.uniform(-3, 3, (tasks, 2, 1))
        y = x + 2 * rng.normal(size=(tasks, 1, 1)) + 0.1 * rng.normal(size=x.shape)
        return x[:, :1], y[:, :1], x[:, 1:], y[:, 1:]


class Steps(Slopes):
    """y is the same over a stretch of x, so that queries share it with support examples, near and far."""

    shots, oracle = 5, None

    def sample(self, rng, tasks=25):
        x = rng.uniform(0, 4, (tasks, 15, 1))
        levels = rng.normal(size=(tasks, 4))
        return self.divided(x, np.take_along_axis(levels, x[..., 0].astype(int), 1)[..., None])


class Forecast(Slopes):
    """The support set lies left, the queries right of it: no sign of another task."""

    shots, oracle = 10, None

    def sample(self, rng, tasks=25):
        x = np.broadcast_to(np.linspace(-3, 3, 20)[:, None], (tasks, 20, 1))
        phase = rng.uniform(0, 3, (tasks, 1, 1))
        return self.divided(x, np.sin(1.5 * x + phase) + 0.05 * rng.normal(size=x.shape))


RIGHT = {
    "whole numbers": WholeNumbers,
    "offsets": Offsets,
    "steps": Steps,
    "forecast": Forecast,
    "sines": lambda: Sinusoids(shots=5),
    "pendulum": lambda: Pendulum(shots=10),
    "intents": lambda: Intents(ways=4, shots=5, queries=5, mixed=True),
    "images": images,
    "slopes, oracle": Slopes,
    "clouds, a plain tuple": Clouds,
    "unequal sizes": Padded,
    "float32 tensors": Tensors,
    "int32 labels": lambda: changed(
        Clouds, lambda a, b, c, d, _: (a, b.astype("i4"), c, d.astype("i4"))
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_family_passes(name):
    report = check_family(RIGHT[name](), tasks=FEWER)
    assert report.failed == [], report
    assert report.ok and report["tasks differ"].status == "pass"


def test_few_values_of_x_are_told():
    check = check_family(WholeNumbers(), tasks=FEWER)["no query is in the support set"]
    assert check.status == "note" and "x takes few values" in check.words


NOTED = {
    "an entry for the task": (
        lambda: changed(Slopes, with_the_task), "x does not hold the answer", "which task it is",
    ),
    "places": (lambda: Places(), "tasks differ", "x itself lies elsewhere"),
    "x of whole numbers": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (np.int64(10 * a), b, np.int64(10 * c), d)),
        "x and y are questions and answers", "np.float32",
    ),
    "one-hot classes": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, np.eye(3)[b], c, np.eye(3)[d])),
        "x and y are questions and answers", "argmax",
    ),
    "a faint entry": (
        lambda: changed(
            Slopes, lambda a, b, c, d, rng: (faint(a, rng), b, faint(c, rng), d)
        ),
        "numbers of a usual size", "hardly sees it",
    ),
}  # fmt: skip


def faint(x, rng):
    return np.concatenate([x, 1e-6 * rng.normal(size=x.shape)], 2)


def with_the_task(a, b, c, d, rng):
    mark = rng.normal(size=(len(a), 1, 1))
    wider = lambda x: np.concatenate([x, np.broadcast_to(mark, x.shape)], 2)
    return wider(a), b, wider(c), d


class Places(Slopes):
    """Slopes, each of them seen at another place."""

    oracle = None

    def sample(self, rng, tasks=25):
        x = rng.uniform(-2, 2, (tasks, 1, 1)) + rng.uniform(-0.3, 0.3, (tasks, 9, 1))
        return self.divided(x, 3 * rng.normal(size=(tasks, 1, 1)) * x)


@pytest.mark.parametrize("what", NOTED)
def test_what_should_be_known_is_a_note(what):
    family, name, words = NOTED[what]
    check = check_family(family(), tasks=FEWER)[name]
    assert check.status == "note" and words in check.words, check


def test_a_family_without_a_repr_of_use_has_the_name_of_its_class():
    class Nameless(Slopes):
        def __repr__(self):
            raise KeyError("name")

    assert check_family(Nameless(), tasks=20).name == "Nameless"


def test_the_numbers_are_those_of_a_closed_form():
    """The average predictor of y = a x + noise says 0; the oracle's error comes near that of Bayes' rule."""
    report = check_family(Slopes(), tasks=400)
    means = {name: scores.mean[0] for name, scores in report.scores.items()}
    assert means["average"] == pytest.approx(4 / 3 + 0.01, rel=0.2)
    assert means["oracle"] == pytest.approx(0.01 + 0.01 * (4 / 3) / (3 * 4 / 3), rel=0.5)
    assert report["oracle"].number == report.scores["oracle"].median[0]


def test_the_same_seed_gives_the_same_report():
    one, other = (check_family(Clouds(), tasks=FEWER, seed=3) for _ in range(2))
    assert repr(one) == repr(other)


def test_global_generators_are_left_alone():
    np.random.seed(5), random.seed(5), torch.manual_seed(5)
    expected = np.random.rand(), random.random(), torch.rand(()).item()
    np.random.seed(5), random.seed(5), torch.manual_seed(5)
    check_family(Clouds(), tasks=20)
    assert (np.random.rand(), random.random(), torch.rand(()).item()) == expected


# ------------------------------------------------------------------ faulty ones


class FromGlobal(Slopes):
    def sample(self, rng, tasks=25):
        return super().sample(np.random.default_rng(np.random.randint(2**31)), tasks=tasks)


class SeedsGlobal(Slopes):
    def sample(self, rng, tasks=25):
        np.random.seed(0)
        return super().sample(rng, tasks=tasks)


class UsesTorch(Slopes):
    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks=tasks)
        return batch.map(lambda part: part + 0.01 * torch.randn(part.shape).numpy())


class Unseeded(Slopes):
    def sample(self, rng, tasks=25):
        return super().sample(np.random.default_rng(), tasks=tasks)


class Remembers(Slopes):
    count = 0

    def sample(self, rng, tasks=25):
        self.count += 1
        batch = super().sample(rng, tasks=tasks)
        return batch.map(lambda part: part * (1 + 0.1 * self.count))


class SameArrays(Slopes):
    store: dict = {}

    def sample(self, rng, tasks=25):
        arrays = super().sample(rng, tasks=tasks).arrays
        for name, part in enumerate(arrays):
            self.store.setdefault((name, part.shape), np.empty(part.shape))[:] = part
        return tuple(self.store[name, part.shape] for name, part in enumerate(arrays))


class Fixed(Slopes):
    def sample(self, rng, tasks=25):
        return super().sample(np.random.default_rng(0), tasks=tasks)


class Stuck(Slopes):
    """A generator made from the state of rng, which then does not move on."""

    def sample(self, rng, tasks=25):
        state = rng.bit_generator.state
        batch = super().sample(rng, tasks=tasks)
        rng.bit_generator.state = state
        return batch


class TooFew(Slopes):
    def sample(self, rng, tasks=25):
        return super().sample(rng, tasks=max(1, tasks - 1))


class NoKeyword(Slopes):
    def sample(self, rng, number=25):
        return super().sample(rng, tasks=number)


class OneTask(Slopes):
    """Every task has the same slope."""

    oracle = None

    def sample(self, rng, tasks=25):
        x = rng.uniform(-2, 2, (tasks, 9, 1))
        return self.divided(x, 1.5 * x + rng.normal(size=x.shape) * np.abs(x))


class PureNoise(Slopes):
    """y has nothing to do with x, nor with the task; the oracle knows it."""

    def sample(self, rng, tasks=25):
        x = rng.uniform(-2, 2, (tasks, 9, 1))
        return self.divided(x, rng.normal(size=x.shape))

    def oracle(self, x, y, query):
        return np.zeros_like(query)


class NearlyOne(Slopes):
    """Too easy: a wave that is the same in all tasks, and slopes of a hundredth."""

    high, noise = 0.01, 0.0

    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks=tasks)
        wave = lambda x, y: y + np.sin(3 * x)
        return (
            batch.support_x,
            wave(batch.support_x, batch.support_y),
            batch.query_x,
            wave(batch.query_x, batch.query_y),
        )

    oracle = None


class Peeks(Slopes):
    """The family keeps its last answers, and the oracle looks them up."""

    def sample(self, rng, tasks=25):
        batch = super().sample(rng, tasks=tasks)
        self.__dict__.setdefault("answers", {}).update(
            zip(batch.query_x.ravel().tolist(), batch.query_y.ravel().tolist(), strict=True)
        )
        return batch

    def oracle(self, x, y, query):
        return np.array([[self.answers[float(v)]] for v in query.ravel()])


class Worse(Slopes):
    """An oracle with a wrong sign."""

    def oracle(self, x, y, query):
        return -super().oracle(x, y, query)


class WrongShape(Slopes):
    def oracle(self, x, y, query):
        return np.zeros(3)


class Raises(Slopes):
    def oracle(self, x, y, query):
        raise KeyError("amplitude")


class Guesses(Slopes):
    """An oracle that draws."""

    def oracle(self, x, y, query):
        return super().oracle(x, y, query) + 0.01 * np.random.default_rng().normal(size=query.shape)


class NotFinite(Slopes):
    def sample(self, rng, tasks=25):
        arrays = [np.array(part) for part in super().sample(rng, tasks=tasks).arrays]
        arrays[1][0, 0] = np.nan
        return tuple(arrays)


class Late(Slopes):
    """Changes after twenty draws."""

    count = 0

    def sample(self, rng, tasks=25):
        self.count += 1
        return (
            super().sample(rng, tasks=tasks).map(lambda part: part * (2 if self.count > 20 else 1))
        )


class RareNaN(Slopes):
    """NaN in one task of 500."""

    def sample(self, rng, tasks=25):
        arrays = [np.array(part) for part in super().sample(rng, tasks=tasks).arrays]
        arrays[1][rng.random(tasks) < 0.002] = np.nan
        return tuple(arrays)


class AnotherShape(Slopes):
    """Two inputs now and then."""

    def sample(self, rng, tasks=25):
        a, b, c, d = super().sample(rng, tasks=tasks).arrays
        wide = 2 if rng.random() < 0.05 else 1
        return np.tile(a, (1, 1, wide)), b, np.tile(c, (1, 1, wide)), d


class PeeksSlope(Slopes):
    """The family keeps the slope of each task, and the oracle looks it up by the support set."""

    kept: dict = {}

    def sample(self, rng, tasks=25):
        slope = rng.normal(size=(tasks, 1, 1))
        x = rng.uniform(-2, 2, (tasks, 9, 1))
        self.kept.update(zip(x[:, 0, 0].tolist(), slope[:, 0, 0].tolist(), strict=True))
        return self.divided(x, slope * x + 0.1 * rng.normal(size=x.shape))

    def oracle(self, x, y, query):
        return self.kept[float(x[0, 0])] * query


class RaisesLater(Slopes):
    asked = 0

    def oracle(self, x, y, query):
        self.asked += 1
        if self.asked > FEWER + 5:
            raise RuntimeError("no more")
        return super().oracle(x, y, query)


def of_the_next_task(a, b, c, d, rng):
    """The queries of another task."""
    return a, b, np.roll(c, 1, 0), np.roll(d, 1, 0)


def counted(a, b, c, d, rng):
    count = lambda x: np.broadcast_to(np.arange(len(x))[:, None, None], (*x.shape[:2], 1))
    return np.concatenate([a, count(a) / 10], 2), b, np.concatenate([c, count(c) / 10], 2), d


def other_numbers(a, b, c, d, rng):
    """Classes of the queries are numbered anew."""
    order = np.stack([rng.permutation(3) for _ in d])
    return a, b, c, np.take_along_axis(order, d, 1)


def mostly_one_class(a, b, c, d, rng):
    taken = np.r_[:4, :4, :4, :4, 4, 8]
    c = c[:, taken] + 0.2 * rng.normal(size=(len(c), len(taken), c.shape[2]))
    return a, b, c, d[:, taken]


def far_out(part, rng):
    return part + (rng.random(part.shape) < 0.01) * 5000.0


def shared_labels():
    """Class k is the same cloud in every task."""

    class Shared(Clouds):
        def sample(self, rng, tasks=25):
            x, y, query_x, query_y = super().sample(rng, tasks=tasks)
            return x * 0.3 + y[..., None], y, query_x * 0.3 + query_y[..., None], query_y

    return Shared()


def leak(a, b, c, d, rng):
    a[..., 0], c[..., 0] = b, d
    return a, b, c, d


def in_the_query_alone(a, b, c, d, rng):
    wider = lambda x, y: np.concatenate([x, y], axis=2)
    return wider(a, 0 * b), b, wider(c, d), d


def without_a_class(a, b, c, d, rng):
    keep = b[0] != 2
    return a[:, keep], b[:, keep], c, d


def never_asked(a, b, c, d, rng):
    keep = d[0] != 2
    return a, b, c[:, keep], d[:, keep]


def sometimes(part):
    """Labels of the task, with a number left out."""
    return np.where(part == 2, 4, part)


FAULTS = {  # the family; the check that must fail; what it must say
    "no sample": (lambda: object(), "sample gives a TaskBatch", "no method sample"),
    "policy": (Navigation, "sample gives a TaskBatch", "no examples"),
    "NaN": (NotFinite, "sample gives a TaskBatch", "NaN"),
    "another keyword": (NoKeyword, "sample gives a TaskBatch", "unexpected keyword"),
    "too few tasks": (TooFew, "sample gives a TaskBatch", "gave 7 tasks"),
    "three arrays": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b, c)),
        "sample gives a TaskBatch",
        "tuple of 3",
    ),
    "shapes": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b[:, :2], c, d)),
        "sample gives a TaskBatch",
        "differ in examples",
    ),
    "np.random": (FromGlobal, "same seed, same tasks", "draws from np.random"),
    "np.random, state": (FromGlobal, "no global random numbers", "of np.random"),
    "seeds np.random": (SeedsGlobal, "no global random numbers", "uses or seeds"),
    "torch": (UsesTorch, "same seed, same tasks", "draws from np.random, random or torch"),
    "no seed": (Unseeded, "same seed, same tasks", "a generator of its own"),
    "memory": (Remembers, "same seed, same tasks", "remembers"),
    "memory, in between": (Remembers, "drawing does not change the family", "Keep nothing"),
    "the same arrays": (SameArrays, "drawing does not change the family", "fills the same arrays"),
    "one seed": (Fixed, "another seed, other tasks", "repeat the training"),
    "a generator that stays": (Stuck, "the generator moves on", "one batch for ever"),
    "float labels": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, b * 1.0, c, d * 1.0)),
        "x and y are questions and answers",
        "astype(np.int64)",
    ),
    "y without an axis": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b[..., 0], c, d[..., 0])),
        "x and y are questions and answers",
        "y[..., None]",
    ),
    "whole numbers as targets": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b.astype(int), c, d.astype(int))),
        "x and y are questions and answers",
        "floats",
    ),
    "bytes": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (np.uint8(abs(a)), b, np.uint8(abs(c)), d)),
        "x and y are questions and answers",
        "/ 255",
    ),
    "complex": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a + 1j, b, c + 1j, d)),
        "x and y are questions and answers",
        "complex",
    ),
    "huge x": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (1000 * a, b, 1000 * c, d)),
        "numbers of a usual size",
        "divide x",
    ),
    "huge y": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, 1e4 * b, c, 1e4 * d)),
        "numbers of a usual size",
        "divide y",
    ),
    "tiny y": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, 1e-4 * b, c, 1e-4 * d)),
        "numbers of a usual size",
        "stand still",
    ),
    "one y": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, 0 * b + 1, c, 0 * d + 1)),
        "numbers of a usual size",
        "nothing to predict",
    ),
    "one x": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (0 * a + 1, b, 0 * c + 1, d)),
        "numbers of a usual size",
        "x is the same",
    ),
    "query from the support": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b, a, b)),
        "no query is in the support set",
        "memory answers",
    ),
    "one query from it": (
        lambda: changed(
            Slopes,
            lambda a, b, c, d, _: (
                a,
                b,
                np.concatenate([c[:, 1:], a[:, :1]], 1),
                np.concatenate([d[:, 1:], b[:, :1]], 1),
            ),
        ),
        "no query is in the support set",
        "17 %",
    ),
    "to rounding": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, b, np.float32(a), b)),
        "no query is in the support set",
        "memory",
    ),
    "a shot twice": (
        lambda: changed(
            Slopes, lambda a, b, c, d, _: (np.repeat(a, 2, 1), np.repeat(b, 2, 1), c, d)
        ),
        "no support example twice",
        "fewer than",
    ),
    "one task, again and again": (
        lambda: changed(
            Slopes, lambda *parts: tuple(np.repeat(p[:1], len(p), 0) for p in parts[:4])
        ),
        "no task twice",
        "by heart",
    ),
    "equal tasks": (OneTask, "tasks differ", "are one task"),
    "impossible": (PureNoise, "the support set helps", "impossible"),
    "too easy": (NearlyOne, "the support set helps", "too easy"),
    "shared labels": (shared_labels, "a label means another class in each task", "random order"),
    "label in x": (lambda: changed(Clouds, leak), "x does not hold the answer", "entry 0"),
    "y in the query's x": (
        lambda: changed(Slopes, in_the_query_alone),
        "x does not hold the answer",
        "entry 1",
    ),
    "unknown class": (
        lambda: changed(Clouds, without_a_class),
        "query classes are those of the support set",
        "nobody can know",
    ),
    "class never asked": (
        lambda: changed(Clouds, never_asked),
        "query classes are those of the support set",
        "never asked",
    ),
    "a number left out": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, sometimes(b), c, sometimes(d))),
        "labels are 0, 1, …, alike in all tasks",
        "leaves out",
    ),
    "negative labels": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, b - 1, c, d - 1)),
        "labels are 0, 1, …, alike in all tasks",
        "label -1",
    ),
    "changes late": (Late, "drawing does not change the family", "after many draws"),
    "NaN in one task of 500": (RareNaN, "tasks of one kind", "NaN"),
    "another shape now and then": (AnotherShape, "tasks of one kind", "all tasks of a family need"),
    "labels from 1": (
        lambda: changed(Clouds, lambda a, b, c, d, _: (a, b + 1, c, d + 1)),
        "labels are 0, 1, …, alike in all tasks",
        "subtract 1",
    ),
    "one x for all queries": (
        lambda: changed(Slopes, lambda a, b, c, d, _: (a, b, 0 * c + c[:, :1], d)),
        "numbers of a usual size",
        "same in all query examples",
    ),
    "far out": (
        lambda: changed(Slopes, lambda a, b, c, d, rng: (a, far_out(b, rng), c, far_out(d, rng))),
        "numbers of a usual size",
        "lie far out",
    ),
    "shaken copies": (
        lambda: changed(
            Slopes, lambda a, b, c, d, rng: (a, b, a + 0.01 * rng.normal(size=a.shape), b)
        ),
        "no query is in the support set",
        "changed a little",
    ),
    "shaken copies of classes": (
        lambda: changed(
            Clouds, lambda a, b, c, d, rng: (a, b, a + 0.001 * rng.normal(size=a.shape), b)
        ),
        "no query is in the support set",
        "changed a little",
    ),
    "queries of another task": (
        lambda: changed(Slopes, of_the_next_task),
        "the support set helps",
        "of different tasks",
    ),
    "classes of another task": (
        lambda: changed(Clouds, of_the_next_task),
        "the support set helps",
        "of different tasks",
    ),
    "other numbers for classes": (
        lambda: changed(Clouds, other_numbers),
        "the support set helps",
        "number their classes",
    ),
    "x counts the tasks": (
        lambda: changed(Slopes, counted),
        "x does not hold the answer",
        "counts the tasks",
    ),
    "y in x on another scale": (
        lambda: changed(
            Slopes,
            lambda a, b, c, d, _: (
                np.concatenate([a, np.tanh(b)], 2),
                b,
                np.concatenate([c, np.tanh(d)], 2),
                d,
            ),
        ),
        "x does not hold the answer",
        "entry 1",
    ),
    "mostly one class": (
        lambda: changed(Clouds, mostly_one_class),
        "a label means another class in each task",
        "of all queries are of class 0",
    ),
    "oracle knows the slope": (PeeksSlope, "oracle", "looks this task up"),
    "oracle raises later": (RaisesLater, "oracle", "no more"),
    "oracle peeks": (Peeks, "oracle", "looks this task up"),
    "oracle is worse": (Worse, "oracle", "worse"),
    "oracle's shape": (WrongShape, "oracle", "shape (3,)"),
    "oracle raises": (Raises, "oracle", "KeyError"),
    "oracle draws": (Guesses, "oracle", "two answers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_caught_and_told(fault):
    family, name, words = FAULTS[fault]
    report = check_family(family(), tasks=FEWER)
    assert name in report.failed, report
    assert words in report[name].words, report[name].words
    assert not report.ok


def test_meant_labels_are_no_fault_where_support_sets_are_of_use():
    name = "a label means another class in each task"
    assert check_family(shared_labels(), tasks=FEWER, shared_labels=True)[name].status == "note"


def test_who_needs_no_other_task_is_told():
    class Easy(Slopes):
        shots = 8

    check = check_family(Easy(), tasks=FEWER)["a plain learner leaves room"]
    assert check.status == "note" and "MAML is hardly needed" in check.words


def test_a_loss_of_ones_own():
    report = check_family(Slopes(), tasks=FEWER, loss=lambda p, y: np.abs(p - y).mean())
    assert report.ok and report.metric == "<lambda>"


@pytest.mark.parametrize("wrong", [{"tasks": 3}, {"seed": -1}, {"oracle": 1}, {"loss": "mse"}])
def test_arguments_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        check_family(Slopes(), **wrong)


def test_the_report_shows_markup_as_it_is():
    class Marked(Slopes):
        def __repr__(self):
            return "<b>|x|</b>"

    report = check_family(Marked(), tasks=20)
    assert "<b>" not in report._repr_html_() and "&lt;b&gt;" in report._repr_html_()
    assert "\\|x\\|" in report.as_markdown()
    with pytest.raises(KeyError, match="tasks differ"):
        report["nothing"]
