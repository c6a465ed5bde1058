"""Differentiation as a whole: any order, any structure, and words for what cannot be done."""

import copy
import math
from collections import namedtuple

import numpy as np
import pytest

import maml_edu.reference as ref

rng = np.random.default_rng(0)
Pair = namedtuple("Pair", "weights bias")


# ------------------------------------------------------------------ any order


def test_value_and_grad_gives_both():
    value, slope = ref.value_and_grad(lambda x: x**3)(2.0)
    assert (value, slope) == (8.0, 12.0)


@pytest.mark.parametrize(
    ("f", "derivatives"),
    [
        (np.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]),
        (np.exp, [np.exp] * 4),
        (lambda x: x**4, [lambda x: 4 * x**3, lambda x: 12 * x**2, lambda x: 24 * x, lambda x: 24]),
        (np.tanh, [lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)]),
    ],
)  # fmt: skip
def test_derivatives_of_derivatives_to_the_fourth(f, derivatives):
    for derivative in derivatives:
        f = ref.grad(f)
        np.testing.assert_allclose(f(0.7), derivative(0.7), rtol=1e-13)


def test_a_gradient_inside_a_gradient_does_not_mix_up_the_two_variables():
    """d/dx [x · d/dy (x + y)] = 1: the classic case of perturbation confusion."""
    assert ref.grad(lambda x: x * ref.grad(lambda y: x + y)(5.0))(3.0) == 1.0
    # d/dx [x · d/dy (x y)] = d/dx x² at two levels of the same name
    assert ref.grad(lambda x: x * ref.grad(lambda y: x * y)(5.0))(3.0) == 6.0
    # y replaced by x itself: d/dx [(∂/∂y x² y)(y = x)] = 2x
    assert ref.grad(lambda x: ref.grad(lambda y: x * x * y)(x))(3.0) == 6.0


def test_three_levels_of_closures_each_differentiate_their_own_variable():
    def outer(x):
        def middle(y):
            return y * ref.grad(lambda z: x * y * z * z)(2.0)  # 4 x y²

        return ref.grad(middle)(3.0)  # 24 x

    assert ref.grad(outer)(7.0) == 24.0


def test_a_closure_over_an_outer_value_is_a_constant_to_the_inner_gradient():
    def outer(x):
        inner = ref.grad(lambda y: np.sum(x * y**2))(np.array([1.0, 2.0]))  # 2 x y
        return np.sum(inner * x)  # 2 x² y

    np.testing.assert_allclose(ref.grad(outer)(np.array([3.0, 4.0])), [12.0, 32.0])


def test_stop_gradient_makes_a_constant_of_what_it_is_given():
    assert ref.grad(lambda x: x * ref.stop_gradient(x))(3.0) == 3.0
    nested = ref.grad(lambda p: p["a"] * ref.stop_gradient(p)["a"])({"a": 5.0})
    assert nested == {"a": 5.0}
    second = ref.grad(lambda x: ref.grad(lambda y: ref.stop_gradient(y * x) * y)(x))(3.0)
    assert second == 0.0  # the product is a constant at every level


# ------------------------------------------------------------------ jacobian and hvp


def g_of(x):
    return np.stack([x[0] * x[1], np.sin(x[1]), x[0] ** 2 + x[2]])


def test_jacobian_has_a_row_for_each_output():
    x = np.array([1.0, 2.0, 3.0])
    rows = [[2.0, 1.0, 0.0], [0.0, np.cos(2.0), 0.0], [2.0, 0.0, 1.0]]
    np.testing.assert_allclose(ref.jacobian(g_of)(x), rows)


def test_jacobian_of_arrays_of_more_axes_and_of_a_dict():
    w, x = rng.normal(size=(2, 3)), rng.normal(size=3)
    parts = ref.jacobian(lambda p: p["w"] @ p["x"])({"w": w, "x": x})
    assert parts["w"].shape == (2, 2, 3) and parts["x"].shape == (2, 3)
    np.testing.assert_allclose(parts["x"], w)
    np.testing.assert_allclose(parts["w"], np.einsum("ij,k->ijk", np.eye(2), x))


def test_jacobian_of_one_number_is_its_gradient():
    x = rng.normal(size=(2, 3))
    np.testing.assert_array_equal(
        ref.jacobian(lambda x: np.sum(x**3))(x), ref.grad(lambda x: np.sum(x**3))(x)
    )


def test_jacobian_of_the_gradient_is_the_hessian_by_finite_differences():
    f = lambda x: np.sum(np.tanh(x) ** 2) * x[0] + x[1] * x[2]
    x, step = rng.normal(size=3), 1e-5
    hessian = ref.jacobian(ref.grad(f))(x)
    columns = [
        (ref.grad(f)(x + step * e) - ref.grad(f)(x - step * e)) / (2 * step) for e in np.eye(3)
    ]
    np.testing.assert_allclose(hessian, columns, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_hvp_is_the_explicit_hessian_times_the_direction(seed):
    rng = np.random.default_rng(seed)
    params = {"w1": rng.normal(size=(2, 3)), "b1": rng.normal(size=3),
              "w2": rng.normal(size=(3, 1)), "b2": rng.normal(size=1)}  # fmt: skip
    x, y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    loss = lambda p: np.mean((np.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"] - y) ** 2)
    v = {k: rng.normal(size=p.shape) for k, p in params.items()}
    product = ref.hvp(loss, params, v)
    blocks = {k: ref.jacobian(lambda p, k=k: ref.grad(loss)(p)[k])(params) for k in params}
    for k, p in params.items():
        rows = [blocks[k][j].reshape(p.size, -1) @ v[j].ravel() for j in params]
        np.testing.assert_allclose(product[k].ravel(), sum(rows), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("v", [np.ones(2), {"a": np.ones(3)}, [np.ones(3)], np.ones((3, 1)), 1.0])
def test_hvp_refuses_a_direction_unlike_the_params(v):
    with pytest.raises(ValueError, match="structure and the shapes of params"):
        ref.hvp(lambda x: np.sum(x**2), np.ones(3), v)


# ------------------------------------------------------------------ structures


def test_gradients_have_the_structure_of_nested_params():
    params = {
        "layers": [Pair(np.ones((2, 2)), np.zeros(2)), Pair(np.ones((2, 1)), np.zeros(1))],
        "scales": (1.0, np.array([2.0, 3.0])),
        7: {},
    }

    def f(p):
        h = np.ones((1, 2))
        for weights, bias in p["layers"]:
            h = h @ weights + bias
        return np.sum(h) * p["scales"][0]

    slopes = ref.grad(f)(params)
    assert list(slopes) == ["layers", "scales", 7] and slopes[7] == {}
    assert isinstance(slopes["layers"][0], Pair) and isinstance(slopes["scales"], tuple)
    np.testing.assert_array_equal(slopes["layers"][0].weights, np.ones((2, 2)))
    np.testing.assert_array_equal(slopes["layers"][1].weights, [[2.0], [2.0]])
    assert slopes["scales"][0] == 4.0
    np.testing.assert_array_equal(slopes["scales"][1], [0.0, 0.0])  # not used: zero, not missing


def test_further_arguments_are_passed_on_and_not_differentiated():
    assert ref.grad(lambda p, x, y: p * x + y)(2.0, 3.0, 4.0) == 3.0


def test_whole_numbers_as_params_are_taken_as_real_ones():
    assert ref.grad(lambda x: x**2)(3) == 6.0
    slope = ref.grad(lambda x: np.sum(x**2) / 4)(np.array([1, 2]))
    assert slope.dtype == np.float64
    np.testing.assert_array_equal(slope, [0.5, 1.0])


@pytest.mark.parametrize("f", [
    lambda x: np.sum(x**2), lambda x: np.mean(np.tanh(x) * 3.0), lambda x: ref.logsumexp(x),
    lambda x: np.sum(np.maximum(x, 0) @ x), lambda x: np.std(x) + np.sum(x[:1] ** 0.5),
])  # fmt: skip
def test_single_precision_stays_single(f):
    x = np.array([1.0, 2.0, 3.0], np.float32)
    inner_dtypes = []

    def outer(x):
        slope = ref.grad(f)(x)
        inner_dtypes.append(slope.dtype)
        return np.sum(slope * slope)

    assert ref.grad(f)(x).dtype == np.float32
    assert ref.grad(outer)(x).dtype == np.float32
    assert inner_dtypes == [np.float32]


def test_nothing_is_changed_and_results_share_no_memory_with_params():
    x = np.array([1.0, 2.0])
    slope = ref.grad(lambda x: np.sum(x * x) / 2)(x)
    slope += 1
    np.testing.assert_array_equal(x, [1.0, 2.0])
    a, b = ref.grad(lambda p: np.sum(p["a"] + p["b"]))({"a": x, "b": x}).values()
    a += 1
    np.testing.assert_array_equal(b, [1.0, 1.0])


# ------------------------------------------------------------------ traced values are like arrays


def test_the_usual_attributes_methods_and_loops_work():
    x = rng.normal(size=(2, 3))

    def f(x):
        assert (x.shape, x.ndim, x.size, x.dtype, len(x)) == ((2, 3), 2, 6, np.float64, 2)
        assert repr(x).startswith("Traced(array(")
        total = sum(row.sum() for row in x) + x.reshape(3, 2).T.mean() + x.astype(np.float64).max()
        return total + x.ravel()[0] + x.copy().min() if x[0, 0] < 10 else 0.0

    expected = np.full((2, 3), 1 + 1 / 6)
    expected.flat[0] += 1
    expected.flat[np.argmax(x)] += 1
    expected.flat[np.argmin(x)] += 1
    np.testing.assert_allclose(ref.grad(f)(x), expected)


def test_a_plain_array_on_the_left_leaves_the_work_to_the_traced_value():
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(ref.grad(lambda p: np.sum(np.array([3.0, 4.0]) * p))(x), [3, 4])
    np.testing.assert_array_equal(ref.grad(lambda p: np.eye(2)[0] @ p)(x), [1, 0])


def test_boolean_masks_and_argmax_come_from_values_without_a_derivative():
    x = np.array([-1.0, 2.0, 3.0])
    slope = ref.grad(lambda x: np.sum(x[x > 0] ** 2) + x[np.argmax(x)])(x)
    np.testing.assert_array_equal(slope, [0.0, 4.0, 7.0])


# ------------------------------------------------------------------ clear words


def assign(x):
    x[0] = 1.0
    return np.sum(x)


def add_in_place(x):
    x += 1.0
    return np.sum(x)


def add_to_a_plain_array(x):
    total = np.zeros(2)
    total += x
    return np.sum(total)


@pytest.mark.parametrize("f", [
    assign, add_in_place, add_to_a_plain_array,
    lambda x: np.exp(x, out=np.zeros(2)), lambda x: np.sum(x, out=np.zeros(())),
    lambda x: np.sum(np.stack([x, x], out=np.zeros((2, 2)))),
])  # fmt: skip
def test_writing_in_place_is_refused_with_what_to_do_instead(f):
    with pytest.raises(TypeError, match=r"in place .*np\.where, np\.stack or np\.concatenate"):
        ref.grad(f)(np.ones(2))


@pytest.mark.parametrize("f", [
    lambda x: float(x[0]), lambda x: int(x[0]), lambda x: math.exp(x[0]), lambda x: complex(x[0]),
    lambda x: np.sum(np.array([x[0], x[1]])), lambda x: np.sum(np.asarray(x)),
    lambda x: [1, 2, 3][x[0]],
])  # fmt: skip
def test_turning_a_value_into_a_plain_number_is_refused_with_what_to_do_instead(f):
    with pytest.raises(TypeError, match=r"lose its derivative .*np\.stack .*stop_gradient"):
        ref.grad(f)(np.ones(2))


def test_writing_a_value_into_a_plain_array_is_refused_too():
    def fill(x):
        out = np.zeros(2)
        out[0] = x[0]  # NumPy's own error; ours is its cause
        return np.sum(out)

    with pytest.raises(ValueError, match="array element") as caught:
        ref.grad(fill)(np.ones(2))
    assert "np.stack" in str(caught.value.__cause__)


def test_a_function_without_return_is_found_out():
    with pytest.raises(TypeError, match="returned None: is its `return` missing"):
        ref.grad(lambda x: None)(1.0)


@pytest.mark.parametrize("result", [{"a": 1.0}, [1.0], (1.0, 2.0), "1.0"])
def test_a_function_that_returns_a_structure_is_found_out(result):
    with pytest.raises(
        TypeError, match=f"returned a {type(result).__name__}: return the one number"
    ):
        ref.grad(lambda x: result)(1.0)


@pytest.mark.parametrize("f", [lambda x: x, lambda x: x[:1], lambda x: np.ones(3)])
def test_a_function_that_returns_an_array_is_found_out(f):
    with pytest.raises(ValueError, match=r"array of shape \(\d,\): take np\.mean or np\.sum"):
        ref.grad(f)(np.ones(2))


@pytest.mark.parametrize("leaf", [None, "text", 1j, np.array([1j]), object()])
def test_params_that_hold_no_real_numbers_are_found_out(leaf):
    with pytest.raises(TypeError, match="params may hold real numbers and arrays"):
        ref.grad(lambda p: 0.0)({"a": 1.0, "b": [leaf]})


def test_a_function_that_does_not_depend_on_params_has_slope_zero():
    value, slope = ref.value_and_grad(lambda x: 3.0)(np.ones(2))
    assert value == 3.0
    np.testing.assert_array_equal(slope, [0.0, 0.0])


def test_a_deep_copy_stays_on_the_tape():
    value, slope = ref.value_and_grad(lambda p: np.sum(copy.deepcopy(p)["a"] ** 2))(
        {"a": np.arange(3.0)}
    )
    assert value == 5.0 and slope["a"].tolist() == [0.0, 2.0, 4.0]


def test_a_value_kept_from_an_earlier_call_is_refused():
    kept = []
    ref.grad(lambda x: kept.append(x * 1.0) or x * x)(2.0)
    with pytest.raises(ValueError, match="kept"):
        ref.grad(lambda x: kept[0] * kept[0])(3.0)


def test_keyword_arguments_reach_the_function():
    assert ref.grad(lambda p, x=0.0: p * x)(2.0, x=3.0) == 3.0


def test_a_value_can_be_formatted_to_be_looked_at():
    seen = []
    ref.grad(lambda x: seen.append(f"{x:.2f}") or x * x)(1.5)
    assert seen == ["1.50"]


@pytest.mark.parametrize("method", ["prod", "item", "cumsum", "trace"])
def test_a_method_without_a_rule_is_named_and_hasattr_says_no(method):
    with pytest.raises(NotImplementedError, match=f"np.{method} has no derivative rule"):
        ref.grad(lambda x: getattr(x, method)())(np.ones(2))
    assert ref.grad(lambda x: np.sum(x) * (not hasattr(x, method)))(np.ones(2)).tolist() == [1, 1]


def test_the_slope_of_a_slope_of_a_power_at_exponent_zero():
    mixed = ref.grad(lambda p: ref.grad(lambda x: x**p)(2.0))(0.0)  # d/dp [p xᵖ⁻¹] = 1/x
    assert mixed == pytest.approx(0.5)


def test_numbers_may_be_added_up_in_place_and_arrays_may_not():
    def total(x):
        sum_ = 0
        for value in x:
            sum_ += value**2
        sum_ /= 2
        return sum_

    def written(x):
        x += 1
        return np.sum(x)

    assert ref.grad(total)(np.array([1.0, 2.0])).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="in place"):
        ref.grad(written)(np.ones(2))
