"""Plain data: what passes between a check and an answer survives the journey, the rest is refused."""

import json
import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maml_edu.checks import plain
from maml_edu.checks.catalogue import FUNCTIONS, named

few = settings(max_examples=60, deadline=None, derandomize=True)

dtypes = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"), hnp.floating_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(), hnp.unicode_string_dtypes(min_len=1, max_len=4),
)  # fmt: skip
arrays = hnp.arrays(dtypes, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), arrays,
    st.sampled_from(sorted(FUNCTIONS)).map(named),
)  # fmt: skip
keys = st.text(max_size=3) | st.integers()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def identical(a, b):
    """The same in type, structure, dtype and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    return a == b or (a != a and b != b)


# ------------------------------------------------------------------ the journey


@few
@given(values)
def test_plain_data_survive_the_journey_as_one_line_of_text(value):
    text = plain.encode(value)
    assert "\n" not in text and isinstance(text, str)
    json.loads(text)
    assert identical(plain.decode(text), value)


@few
@given(values)
def test_what_is_plain_already_is_handed_on_as_it_is(value):
    assert identical(plain.to_plain(value), value)


@few
@given(arrays)
def test_arrays_come_back_writable_and_not_shared(array):
    again = plain.decode(plain.encode(array))
    assert again.flags.writeable and not np.shares_memory(again, array)


@pytest.mark.parametrize(
    "value", [0.1, -0.0, 5e-324, 1.7976931348623157e308, np.inf, -np.inf, np.nan]
)
def test_numbers_keep_every_bit(value):
    again = plain.decode(plain.encode(value))
    assert np.float64(again).tobytes() == np.float64(value).tobytes() or value != value


def test_arrays_in_odd_memory_order_arrive_in_the_right_one():
    array = np.arange(24.0).reshape(2, 3, 4)
    for view in (array.T, array[:, ::-1, ::2], np.asfortranarray(array)):
        np.testing.assert_array_equal(plain.decode(plain.encode(view)), view)


def test_a_dict_that_looks_like_an_encoding_is_still_a_dict():
    for value in ({"array": "AAAA", "dtype": "<f8", "shape": [1]}, {"function": "x"}, {"dict": []}):
        assert plain.decode(plain.encode(value)) == value


def test_a_function_of_the_catalogue_travels_as_its_name():
    again = plain.decode(plain.encode([named("quadratic")]))
    assert again == [named("quadratic")]
    assert "quadratic" in plain.encode(named("quadratic")) and "lambda" not in plain.encode(again)


# ------------------------------------------------------------------ results


def test_numpy_numbers_and_arrays_of_one_number_become_python_numbers():
    for value, kind in ((np.float32(0.5), float), (np.int8(3), int), (np.bool_(True), bool),
                        (np.array(2.5), float), (np.str_("a"), str), (np.longdouble(0.5), float)):  # fmt: skip
        assert type(plain.to_plain(value)) is kind


def test_tensors_become_arrays_whatever_graph_hangs_on_them():
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    result = plain.to_plain({"a": (x * 2, [x.sum()])})
    np.testing.assert_array_equal(result["a"][0], [2.0, 4.0])
    assert result["a"][1] == [3.0] and isinstance(result["a"][0], np.ndarray)


def test_named_tuples_arrive_as_tuples():
    result = plain.to_plain(namedtuple("Pair", "a b")(1, np.ones(2)))
    assert type(result) is tuple and len(result) == 2


class WithDetach:
    def detach(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(("value", "where"), [
    (object(), "the result is of type object"),
    (lambda x: x, "the result is of type function"),
    ({1, 2}, "the result is of type set"),
    (b"bytes", "the result is of type bytes"),
    (1j, "the result is of type complex: give real numbers"),
    ((x for x in [1]), "the result is of type generator"),
    ([1, {"a": object()}], r"the result\[1\]\['a'\] is of type object"),
    (np.array([object()]), "the result is an array of object: give an array of numbers"),
    (np.array([1j]), "the result is an array of complex128: give real numbers.*np.linalg.eigvalsh"),
    (np.array(["2020-01-01"], "datetime64[D]"), "the result is an array of datetime64"),
    (np.zeros(2, [("a", float)]), "the result is an array of"),
    ({(1, 2): 3}, r"the result has the key \(1, 2\): keys must be text or whole numbers"),
    ({1.5: 3}, "the result has the key 1.5"),
])  # fmt: skip
def test_anything_else_is_refused_with_its_place_and_type(value, where):
    with pytest.raises(plain.NotPlain, match=where):
        plain.to_plain(value)


def test_hostile_results_end_in_an_ordinary_exception():
    endless = []
    endless.append(endless)
    with pytest.raises(plain.TooDeep, match="contains itself"):
        plain.to_plain(endless)
    with pytest.raises(RuntimeError):
        plain.to_plain(WithDetach())

    class Liar(float):
        def __eq__(self, other):
            return True

    with pytest.raises(plain.NotPlain, match="of type Liar"):
        plain.to_plain(Liar(3.0))


@pytest.mark.parametrize("text", [
    "", "nonsense", '{"array": "!!", "dtype": "<f8", "shape": [1]}', '{"set": [1]}',
    '{"array": "AAAAAAAAAAA=", "dtype": "O", "shape": [1]}', '{"function": "os.system"}',
])  # fmt: skip
def test_text_that_encode_never_wrote_is_refused_and_nothing_in_it_is_run(text):
    with pytest.raises((ValueError, KeyError, TypeError)):
        plain.decode(text)


# ------------------------------------------------------------------ the answer's side of a call


def test_an_answer_gets_copies_so_that_it_cannot_change_the_question():
    x, nested = np.ones(2), {"a": [np.zeros(3)]}

    def greedy(x, nested):
        x += 5
        nested["a"][0][:] = 7
        nested["b"] = 1
        return 0.0

    plain.call(greedy, (x, nested))
    assert x.tolist() == [1, 1] and nested["a"][0].tolist() == [0, 0, 0] and list(nested) == ["a"]

    def greedy_on_tensors(x, nested):
        x.add_(5)
        nested["a"][0].fill_(7)

    plain.call(greedy_on_tensors, (x, nested), "torch")
    assert x.tolist() == [1, 1] and nested["a"][0].tolist() == [0, 0, 0]


def test_each_interface_hands_over_its_own_kind_of_array_and_function():
    def show(function, array, number, nested):
        kinds.append((type(array), type(number), type(nested["a"][0]), array.dtype))
        return function({"theta": array}, array, nested["a"][0])

    args, kinds = (named("quadratic"), np.array([1.0, 2.0]), 3, {"a": (np.array([0.5, 0.5]),)}), []
    results = [plain.call(show, args), plain.call(show, args, "torch")]
    assert results[0] == results[1] == 2.375 and all(type(r) is float for r in results)
    assert kinds[0] == (np.ndarray, int, np.ndarray, np.float64)
    assert kinds[1] == (torch.Tensor, int, torch.Tensor, torch.float64)


def test_what_an_answer_raises_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        plain.call(lambda x: x / 0, (1,))


# ------------------------------------------------------------------ the catalogue


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_of_the_catalogue_is_the_same_on_arrays_and_tensors(name):
    rng = np.random.default_rng(0)
    shapes = {
        "theta": (3,),
        "w": (3, 1),
        "b": (1,),
        "w1": (3, 4),
        "b1": (4,),
        "w2": (4, 1),
        "b2": (1,),
    }
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 1))
    params = {k: rng.normal(size=shape) for k, shape in shapes.items()}
    attempts = [(params, x, y), (params, x), (x, x), (x,)]
    as_tensor = lambda a: torch.tensor(a) if isinstance(a, np.ndarray) else {
        k: torch.tensor(v) for k, v in a.items()
    }  # fmt: skip
    for args in attempts:
        try:
            expected = named(name).numpy(*args)
        except TypeError:
            continue  # another number of arguments, or arrays where it takes params
        got = named(name).torch(*map(as_tensor, args))
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-12)
        return
    pytest.fail(f"{name} takes none of the arguments that are tried here: add them")


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no function 'qadratic' in the catalogue; it has \["):
        named("qadratic")


def draws_a_curve(x):
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot(title="a curve", xlabel="x")
    axes.plot(x, x**2, label="square")
    axes.scatter(x, -x)
    return figure


def test_a_figure_is_judged_by_what_was_plotted():
    x = np.array([1.0, 2.0, 3.0])
    (shown,) = plain.decode(plain.encode(plain.call(draws_a_curve, [x], "figure")))
    assert (shown["title"], shown["xlabel"], shown["ylabel"]) == ("a curve", "x", "")
    (line,) = shown["lines"]
    assert line["label"] == "square" and np.array_equal(line["y"], x**2)
    assert np.array_equal(shown["points"][0], np.stack([x, -x], 1))
    axes = plain.call(lambda x: draws_a_curve(x).axes[0], [x], "figure")
    assert axes[0]["title"] == "a curve"


def test_what_is_no_figure_is_told():
    with pytest.raises(plain.NotPlain, match="give the figure"):
        plain.call(lambda: 3.0, [], "figure")


@pytest.mark.parametrize(
    "text",
    [
        "[1]", "{}", '{"list": 1}', '{"dict": [[1]]}', '{"dict": [[[], 1]]}', '{"function": "os.system"}',
        '{"array": "AAAA", "dtype": "|O", "shape": [1]}', '{"array": "AA==", "dtype": "<f8", "shape": [1]}',
        '{"array": "", "dtype": "<f8", "shape": [-1]}', '{"array": "/////w==", "dtype": "<U1", "shape": [1]}',
        '{"array": "", "dtype": "<f8", "shape": [0.5]}', '{"array": 1, "dtype": "<f8", "shape": [0]}',
        '{"list": ' * 5000 + "1" + "}" * 5000, "nonsense", '{"list": [], "tuple": []}',
    ],
)  # fmt: skip
def test_text_that_encode_would_not_write_is_a_value_error(text):
    with pytest.raises(ValueError):
        plain.decode(text)


def test_a_true_that_is_no_one_is_made_one():
    (odd,) = plain.decode('{"array": "Ag==", "dtype": "|b1", "shape": [1]}')
    assert int(odd.view(np.uint8)) == 1


def test_an_array_with_nan_in_it_is_not_changed_by_being_looked_at():
    before = np.array([np.nan, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not plain.changed(before.copy(), before)
        assert not plain.changed(np.full(2, np.nan), np.full(2, np.nan))
        assert plain.changed(np.array([np.nan, 2.0]), before)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_a_change_beside_a_number_that_is_not_finite_is_seen(odd):
    before = np.array([odd, 1.0])
    assert plain.changed(np.array([odd, 1.5]), before) and not plain.changed(before.copy(), before)
