"""Every rule of differentiation against finite differences, to the third derivative."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import maml_edu.reference as ref
from maml_edu.reference.autodiff import COMPOSED, CONSTANT, HINTS, RULES, Traced, cast, take
from maml_edu.reference.rules import _joined, _put

few = settings(max_examples=20, deadline=None, derandomize=True)


def slope_along(f, v):
    """x ↦ ⟨df/dx, v⟩ for a list of arrays x: the next derivative, in one direction."""
    return lambda x: sum(np.sum(g * w) for g, w in zip(ref.grad(f)(x), v, strict=True))


def check_derivatives(f, args, orders=3, seed=0, rtol=1e-6):
    """Compare each derivative of Σ w · f(*args) with central differences of the one before it."""
    rng = np.random.default_rng(seed)
    args = [np.asarray(a, float) for a in args]
    weights = rng.normal(size=np.shape(f(*args)))
    lower = lambda x: np.sum(weights * f(*x))
    for order in range(1, orders + 1):
        v = [rng.normal(size=a.shape) for a in args]
        step = 3e-6
        ends = [[a + s * w for a, w in zip(args, v, strict=True)] for s in (step, -step)]
        numeric = (lower(ends[0]) - lower(ends[1])) / (2 * step)
        lower = slope_along(lower, v)
        analytic = lower(args)
        scale = max(abs(analytic), 1.0)
        assert abs(analytic - numeric) < rtol * scale, f"derivative {order}: {analytic} {numeric}"


# ------------------------------------------------------------------ one case or more for each rule

normal = np.random.default_rng(1).normal
M, V, T = normal(size=(3, 4)), normal(size=4), normal(size=(2, 3, 4))
POSITIVE = 0.5 + np.abs(M)
APART = np.arange(12.0).reshape(3, 4)[:, ::-1] / 7 - 0.8  # no ties, nothing near 0
MASK = M > 0
ROWS = np.array([0, 2, 0, 1])  # a repeated row


def on(f, *args):
    return [(f, args)]


CASES = {
    np.add: on(np.add, M, V) + on(lambda x: x + 2, M) + on(lambda x: 2 + x, M),
    np.subtract: on(np.subtract, V, M) + on(lambda x: 1 - x, M),
    np.multiply: on(np.multiply, M, V) + on(lambda x: x * x * x, M),
    np.divide: on(np.divide, V, POSITIVE) + on(lambda x: 1 / x, POSITIVE),
    np.negative: on(lambda x: -(x**3), M),
    np.positive: on(lambda x: +x * x, M),
    np.power: on(np.power, POSITIVE, V) + on(lambda x: x**3, M) + on(lambda x: x**-2, M)
    + on(lambda x: x**0.5, POSITIVE) + on(lambda p: 2.0**p, M)
    + on(lambda x: x ** np.array([0, 1, 2, 3]), M),
    np.square: on(lambda x: np.square(x) * x, M),
    np.sqrt: on(np.sqrt, POSITIVE),
    np.exp: on(np.exp, M),
    np.expm1: on(np.expm1, M),
    np.log: on(np.log, POSITIVE),
    np.log1p: on(np.log1p, POSITIVE),
    np.sin: on(np.sin, M),
    np.cos: on(np.cos, M),
    np.tanh: on(np.tanh, M),
    np.absolute: on(lambda x: abs(x) * x * x, APART),
    np.maximum: on(lambda x, y: np.maximum(x, y) ** 3, APART, V + 0.05)
    + on(lambda x: np.maximum(x, V + 0.05) ** 3, APART) + on(lambda x: np.maximum(0, x) ** 3, APART),
    np.minimum: on(lambda x, y: np.minimum(x, y) ** 3, APART, V + 0.05)
    + on(lambda x: np.minimum(x, V + 0.05) ** 3, APART) + on(lambda x: np.minimum(0, x) ** 3, APART),
    np.logaddexp: on(np.logaddexp, M, V),
    np.matmul: on(lambda a, b: (a @ b) ** 2, T, M.T) + on(lambda a, b: (a @ b) ** 2, M, V)
    + on(lambda a, b: (a @ b) ** 2, M[0, :3], T) + on(lambda a, b: (a @ b) ** 3, V, V + 1),
    np.sum: on(lambda x: np.sum(x**3, axis=0), M) + on(lambda x: np.sum(x, keepdims=True) ** 3, M)
    + on(lambda x: x.sum() ** 3, M),
    np.max: on(lambda x: np.max(x**3, axis=1), APART) + on(lambda x: np.max(x) ** 3, APART),
    np.min: on(lambda x: np.min(x**3, axis=1, keepdims=True), APART),
    np.amax: on(lambda x: np.amax(x**3, axis=(0, 1)), APART),
    np.amin: on(lambda x: np.amin(x**3, 0), APART),
    np.reshape: on(lambda x: np.reshape(x, (4, 3)) ** 3, M) + on(lambda x: x.reshape(2, -1) ** 3, M),
    np.transpose: on(lambda x: np.transpose(x, (2, 0, 1)) ** 3, T) + on(lambda x: x.T**3, T)
    + on(lambda x: x.transpose(1, -1, 0) ** 3, T),
    np.broadcast_to: on(lambda x: np.broadcast_to(x, (2, 3, 4)) ** 3, V),
    np.where: on(lambda x, y: np.where(MASK, x, y) ** 3, M, V)
    + on(lambda x: np.where(x > 0, x**3, 0), APART),
    take: on(lambda x: x[1] ** 3, M) + on(lambda x: x[..., None, 1:3] ** 3, M)
    + on(lambda x: x[ROWS] ** 3, M) + on(lambda x: x[ROWS, [0, 1, 2, 3]] ** 3, M)
    + on(lambda x: x[MASK] ** 3, M) + on(lambda x: x[-1, ::-2] ** 3, M) + on(lambda x: x[()] ** 3, M),
    _put: on(lambda x: put(x**3, ROWS, (3, 4)), M[ROWS]) + on(lambda x: put(x, MASK, (3, 4)) ** 3, M[MASK]),
    cast: on(lambda x: (x**3).astype(np.longdouble), M),
    _joined: on(lambda x, y: np.concatenate([x**3, y, x]), M, T[0]),
    np.dot: on(lambda a, b: np.dot(a, b) ** 2, T, M.T) + on(lambda a, b: np.dot(a, b) ** 3, V, V)
    + on(lambda a, b: np.dot(a, b) ** 2, V[0], M) + on(lambda a, b: a.dot(b) ** 2, M, V),
    np.outer: on(lambda a, b: np.outer(a, b) ** 2, V, M),
    np.concatenate: on(lambda x, y: np.concatenate((x, y**3), axis=-1), M, M[:, :1])
    + on(lambda x, y: np.concatenate([x, y], axis=None) ** 3, M, V),
    np.stack: on(lambda x, y: np.stack([x, y**3, x]), M, M + 1)
    + on(lambda x, y: np.stack([x, y], axis=-1) ** 3, M, M + 1)
    + on(lambda x: np.stack([x[0, 0], 1.0, x[1, 1]]) ** 3, M),
    np.mean: on(lambda x: np.mean(x**3, axis=(0, 2)), T) + on(lambda x: x.mean() ** 3, M),
    np.var: on(lambda x: np.var(x, axis=0, ddof=1), M) + on(lambda x: x.var(keepdims=True), M),
    np.std: on(lambda x: np.std(x, 1), M) + on(lambda x: x.std(axis=0, ddof=1), M),
    np.linalg.norm: on(np.linalg.norm, M) + on(lambda x: np.linalg.norm(x, axis=1, keepdims=True), M),
    np.clip: on(lambda x: np.clip(x, -0.6, 0.5) ** 3, APART) + on(lambda x: x.clip(min=-0.6) ** 3, APART)
    + on(lambda x: np.clip(x, None, 0.5) ** 3, APART) + on(lambda x: np.clip(x, a_min=-0.6, a_max=1) ** 3, APART),
    np.reciprocal: on(np.reciprocal, POSITIVE),
    np.tan: on(lambda x: np.tan(x / 3), M),
    np.sinh: on(np.sinh, M),
    np.cosh: on(np.cosh, M),
    np.log2: on(np.log2, POSITIVE),
    np.log10: on(np.log10, POSITIVE),
    np.ravel: on(lambda x: np.ravel(x) ** 3, M),
    np.expand_dims: on(lambda x: np.expand_dims(x, 1) ** 3, M) + on(lambda x: np.expand_dims(x, -1) ** 3, M),
    np.squeeze: on(lambda x: np.squeeze(x) ** 3, M[None, :, None])
    + on(lambda x: np.squeeze(x, axis=-1) ** 3, M[None, ..., None]),
    np.swapaxes: on(lambda x: np.swapaxes(x, 0, -1) ** 3, T) + on(lambda x: x.swapaxes(1, 2) ** 3, T),
    np.moveaxis: on(lambda x: np.moveaxis(x, 0, -1) ** 3, T)
    + on(lambda x: np.moveaxis(x, (0, 1), (-1, 0)) ** 3, T),
    np.copy: on(lambda x: np.copy(x) ** 3, M),
}  # fmt: skip


def put(slope, index, shape):
    return _put(slope, index, shape)


def name_of(key):
    return key.__name__


def test_every_rule_has_a_case_here():
    assert set(CASES) == set(RULES) | set(COMPOSED), "give the new rule a case in CASES"


@pytest.mark.parametrize("key", CASES, ids=name_of)
def test_a_rule_gives_the_first_three_derivatives(key):
    for f, args in CASES[key]:
        check_derivatives(f, args)


@pytest.mark.parametrize("key", CASES, ids=name_of)
def test_under_differentiation_a_function_has_the_value_it_has_in_numpy(key):
    for f, args in CASES[key]:
        seen = []
        ref.grad(lambda x, f=f, seen=seen: seen.append(f(*x)) or 0.0)(list(args))
        np.testing.assert_allclose(ref.stop_gradient(seen[0]), f(*args), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("key", CASES, ids=name_of)
def test_each_case_fails_without_the_rule_it_stands_for(key, monkeypatch):
    for table in (RULES, COMPOSED):
        monkeypatch.delitem(table, key, raising=False)
    for f, args in CASES[key]:
        with pytest.raises((NotImplementedError, KeyError)):
            check_derivatives(f, args, orders=2)


# ------------------------------------------------------------------ laws, for all shapes

ELEMENTWISE = [np.add, np.subtract, np.multiply, np.divide, np.power, np.logaddexp, np.maximum]
ELEMENTWISE += [np.minimum, lambda x, y: np.where(MASK[0, 0], x, y) * y]


def filled(shape, seed):
    """Positive numbers, no two alike."""
    count = int(np.prod(shape))
    return 0.4 + (np.random.default_rng(seed).permutation(count) + 0.1 * seed).reshape(shape) / 9


@few
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    st.sampled_from(ELEMENTWISE),
)
def test_operands_broadcast_and_their_slopes_are_summed_back(shapes, op):
    args = [filled(shape, seed) for seed, shape in enumerate(shapes.input_shapes, start=1)]
    check_derivatives(op, args, orders=2)
    slopes = ref.grad(lambda x: np.sum(op(*x)))(args)
    assert [np.shape(slope) for slope in slopes] == list(shapes.input_shapes)


@few
@given(hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=3))
def test_matmul_broadcasts_over_stacks_of_matrices_and_takes_vectors(shapes):
    args = [filled(shape, seed) for seed, shape in enumerate(shapes.input_shapes, start=1)]
    check_derivatives(lambda x, y: (x @ y) ** 2, args, orders=2)


def axes_of(shape):
    """None, one axis, or several, counted from either end."""
    n = len(shape)
    each = st.integers(-n, n - 1)
    several = st.lists(each, unique_by=lambda axis: axis % n, min_size=1, max_size=n).map(tuple)
    return st.none() | each | several if n else st.none()


REDUCTIONS = [np.sum, np.mean, np.max, np.min, np.var, np.std]
shapes_and_axes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3).flatmap(
    lambda shape: st.tuples(st.just(shape), axes_of(shape))
)


@few
@given(shapes_and_axes, st.booleans(), st.sampled_from(REDUCTIONS))
def test_reductions_take_any_axes_and_may_keep_them(shape_and_axis, keepdims, reduce):
    shape, axis = shape_and_axis
    x = filled(shape, 1)
    count = x.size if axis is None else np.prod([shape[a] for a in np.atleast_1d(axis)])
    if reduce is np.std and count == 1:
        return  # √0 has no slope
    check_derivatives(lambda x: reduce(x, axis=axis, keepdims=keepdims) ** 2, [x], orders=2)


@few
@given(hnp.array_shapes(max_dims=3, max_side=4).flatmap(
    lambda shape: st.tuples(st.just(shape), hnp.basic_indices(shape, allow_newaxis=True))
))  # fmt: skip
def test_basic_indexing(shape_and_index):
    shape, index = shape_and_index
    check_derivatives(lambda x: x[index] ** 2, [filled(shape, 1)], orders=2)


@few
@given(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4).flatmap(
    lambda shape: st.tuples(st.just(shape), hnp.integer_array_indices(shape))
))  # fmt: skip
def test_integer_indexing_adds_up_where_an_element_is_taken_repeatedly(shape_and_index):
    shape, index = shape_and_index
    slope = ref.grad(lambda x: np.sum(x[index]))(filled(shape, 1))
    counts = np.zeros(shape)
    np.add.at(counts, index, 1.0)
    np.testing.assert_array_equal(slope, counts)


# ------------------------------------------------------------------ corners


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("extreme", [np.max, np.min])
def test_tied_extremes_share_the_slope_equally(extreme, axis):
    x = np.array([[2.0, 2.0], [2.0, 2.0]])
    slope = ref.grad(lambda x: np.sum(extreme(x, axis=axis)))(x)
    np.testing.assert_array_equal(slope, np.full((2, 2), 0.25 if axis is None else 0.5))


@pytest.mark.parametrize("op", [np.maximum, np.minimum])
def test_at_a_tie_each_operand_gets_half(op):
    slopes = ref.grad(lambda p: op(p[0], p[1]))([3.0, 3.0])
    np.testing.assert_array_equal(slopes, [0.5, 0.5])


@pytest.mark.parametrize("op", [np.maximum, np.minimum])
def test_at_a_tie_with_a_constant_the_slope_is_zero_as_in_relu(op):
    for f in (lambda x: np.sum(op(x, 0)), lambda x: np.sum(op(np.zeros(2), x))):
        np.testing.assert_array_equal(ref.grad(f)(np.zeros(2)), [0.0, 0.0])


def test_nan_is_not_lost_in_maximum_and_minimum():
    for op in (np.maximum, np.minimum):
        value, _ = ref.value_and_grad(lambda x, op=op: np.sum(op(x, 0)))(np.array([np.nan, 1.0]))
        assert np.isnan(value)


def test_power_of_a_negative_base_to_whole_numbers():
    for p in (1, 2, 3, -1):
        slope = ref.grad(lambda x, p=p: x**p)(-2.0)
        np.testing.assert_allclose(slope, p * (-2.0) ** (p - 1))


def test_power_at_zero_has_the_right_slopes_and_no_nan():
    with np.errstate(all="raise"):
        slopes = ref.grad(lambda x: np.sum(x ** np.array([0, 1, 2, 3])))(np.zeros(4))
        np.testing.assert_array_equal(slopes, [0, 1, 0, 0])
        second = ref.hvp(lambda x: np.sum(x ** np.array([0, 1, 2, 3])), np.zeros(4), np.ones(4))
        np.testing.assert_array_equal(second, [0, 0, 2, 0])
        third = ref.grad(ref.grad(ref.grad(lambda x: x**3)))(0.0)
        assert third == 6.0


def test_the_exponent_of_zero_gets_slope_zero():
    assert ref.grad(lambda p: 0.0**p)(2.0) == 0.0


def test_absolute_has_slope_zero_at_zero():
    np.testing.assert_array_equal(
        ref.grad(lambda x: np.sum(np.abs(x)))(np.array([-2.0, 0.0, 3.0])), [-1.0, 0.0, 1.0]
    )


def test_logaddexp_neither_overflows_nor_loses_its_slope():
    with np.errstate(over="raise"):
        slopes = ref.grad(lambda p: np.logaddexp(p[0], p[1]))([1000.0, 1000.0])
    np.testing.assert_allclose(slopes, [0.5, 0.5], rtol=1e-12)


def test_whole_numbers_made_of_values_have_slope_zero():
    x = np.array([1.5, 2.5])
    slope = ref.grad(lambda x: np.sum(x * x.astype(int) + np.floor(x)))(x)
    np.testing.assert_array_equal(slope, [1.0, 2.0])


# ------------------------------------------------------------------ constants and refusals

BINARY = [np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal]
BINARY += [np.logical_and, np.logical_or, np.allclose, np.isclose, np.array_equal, np.result_type]
FILLED = {np.full_like: (7,)}


@pytest.mark.parametrize("key", sorted(CONSTANT, key=name_of), ids=name_of)
def test_a_constant_function_gives_plain_results_without_a_derivative(key):
    x = np.array([1.5, -2.5])
    more = (x + 1,) if key in BINARY else FILLED.get(key, ())
    seen = []
    slope = ref.grad(lambda x: seen.append(key(x, *more)) or 0.0 * x[0])(x)
    assert not isinstance(seen[0], Traced)
    if key is not np.empty_like:
        np.testing.assert_array_equal(seen[0], key(x, *more))
    np.testing.assert_array_equal(slope, [0.0, 0.0])


REFUSED = {
    "einsum": lambda x: np.einsum("ij->", x),
    "tensordot": lambda x: np.tensordot(x, x),
    "cumsum": lambda x: np.cumsum(x),
    "prod": lambda x: np.prod(x),
    "vstack": lambda x: np.vstack([x, x]),
    "hstack": lambda x: np.hstack([x, x]),
    "append": lambda x: np.append(x, 1.0),
    "sort": lambda x: np.sort(x),
    "median": lambda x: np.median(x),
    "diag": lambda x: np.diag(x),
    "trace": lambda x: np.trace(x),
    "tile": lambda x: np.tile(x, 2),
    "repeat": lambda x: np.repeat(x, 2),
    "floor_divide": lambda x: x // 2,
    "remainder": lambda x: x % 2,
    "add.reduce": lambda x: np.add.reduce(x),
    "maximum.reduce": lambda x: np.maximum.reduce(x),
}


def test_every_hint_has_a_case_here():
    assert set(REFUSED) == set(HINTS)


@pytest.mark.parametrize("name", REFUSED)
def test_an_operation_without_a_rule_is_named_with_what_to_use_instead(name):
    with pytest.raises(NotImplementedError) as caught:
        ref.grad(lambda x: np.sum(REFUSED[name](x)))(np.eye(2))
    assert f"np.{name} has no derivative rule" in str(caught.value)
    assert HINTS[name] in str(caught.value)


def test_an_operation_nobody_thought_of_is_refused_by_name_too():
    with pytest.raises(
        NotImplementedError, match=r"np\.arctan2 .*listed in maml_edu/reference/rules"
    ):
        ref.grad(lambda x: np.arctan2(x, 2.0))(1.0)


OPTIONS = {
    "np.sum where": lambda x: np.sum(x, where=x > 0),
    "np.mean dtype": lambda x: np.mean(x, dtype=np.float32),
    "np.var dtype by place": lambda x: np.var(x, 0, None),
    "np.reshape order": lambda x: np.reshape(x, (4,), order="F"),
    "np.max initial": lambda x: np.max(x, initial=3.0),
    "np.where alone": lambda x: np.where(x),
    "np.linalg.norm ord": lambda x: np.linalg.norm(x, 1),
    "np.linalg.norm ord by name": lambda x: np.linalg.norm(x, ord=np.inf),
    "np.dot of three axes": lambda x: np.dot(x, np.ones((2, 2, 2))),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_an_option_that_a_rule_does_not_know_is_refused_not_ignored(case):
    with pytest.raises(NotImplementedError, match=case.split()[0]):
        ref.grad(lambda x: np.sum(OPTIONS[case](x)))(np.eye(2) + 1)


def test_vectors_that_do_not_fit_are_refused_as_in_numpy():
    with pytest.raises(ValueError, match="mismatch"):
        ref.grad(lambda x: x @ np.ones(1))(np.ones(3))


# ------------------------------------------------------------------ in one evening


@pytest.mark.parametrize(
    "path", sorted(Path(ref.__file__).parent.glob("*.py")), ids=lambda p: p.name
)
def test_a_module_of_the_reference_stays_readable(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
