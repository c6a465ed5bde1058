"""What the figures of chapter 12 show agrees with the learners and with computations of their own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import maml_edu.pytorch as mt
import maml_edu.reference as ref
from maml_edu.figures.chapters import what_did_it_learn as shown
from maml_edu.tasks import FewShotImages

NET = ref.mlp_init(np.random.default_rng(0), (1, 8, 8, 1))


@pytest.fixture(scope="module")
def learner():
    torch.manual_seed(0)
    return mt.MAML(mt.Conv4(5, filters=4), F.cross_entropy, inner_lr=0.4)


@pytest.fixture(scope="module")
def batch():
    bank = np.random.default_rng(0).random((6, 8, 28, 28)) > 0.8
    return FewShotImages(bank, 5, 1, queries=2).sample(np.random.default_rng(0), 2)


def test_the_parts_of_a_network_are_all_of_it_and_none_twice(learner):
    names = [name for part in shown.parts_of(learner.model).values() for name in part]
    assert sorted(names) == sorted(name for name, _ in learner.model.named_parameters())
    assert list(shown.parts_of(learner.model)) == list(shown.LAYERS)


@pytest.mark.parametrize("moving", [("layer 4",), ("layer 2", "head"), shown.LAYERS])
def test_only_the_ticked_layers_move(learner, batch, moving):
    accuracy, moved = shown.operated(learner, batch, moving, 0.4, 2)
    assert len(accuracy) == 3
    assert {layer for layer, share in moved.items() if share > 0} == set(moving)


def test_with_every_layer_ticked_the_accuracy_is_the_learners_own(learner, batch):
    accuracy, _ = shown.operated(learner, batch, shown.LAYERS, 0.4, 1)
    right = []
    for support_x, support_y, query_x, query_y in batch:
        for steps in (0, 1):
            phi = learner.adapt(support_x, support_y, steps)
            answers = learner.predict(phi, query_x).argmax(1).numpy()
            right.append(np.mean(answers == query_y))
    np.testing.assert_allclose(accuracy, np.reshape(right, (2, 2)).mean(0), atol=1e-6)


def test_with_no_layer_ticked_nothing_changes(learner, batch):
    accuracy, moved = shown.operated(learner, batch, (), 0.4, 2)
    assert len(set(accuracy)) == 1 and len(accuracy) == 3
    assert not any(moved.values())


def test_the_title_counts_the_numbers_that_may_move(learner, batch):
    result = shown.operated(learner, batch, ("head",), 0.4, 1)
    accuracy, movement = shown.surgery_scenes("MAML", learner, ("head",), 0.4, result)
    assert "head may move (25 of " in accuracy.title
    assert f"{100 * result[0][-1]:.0f} % right" in accuracy.title
    assert [bar.value.tolist()[:4] for bar in movement.bars] == [[0, 0, 0, 0]]


def test_a_frozen_layer_of_the_wave_network_stays_and_the_others_take_the_plain_step():
    points = np.column_stack([shown.PLACES, shown.new_wave(shown.PLACES)])
    phi = shown.operated_wave(NET, points, ["layer 1"], 0.01, 1)
    loss = lambda p, x, y: np.mean((ref.mlp(p, x) - y) ** 2)
    full = ref.adapt(loss, NET, points[:, :1], points[:, 1:], 0.01, 1)
    for name in NET:
        np.testing.assert_array_equal(phi[name], full[name] if name[1] == "1" else NET[name])


def test_the_title_of_the_wave_names_what_moves_and_how_much():
    points = np.column_stack([shown.PLACES, shown.new_wave(shown.PLACES)])
    wave, _ = shown.wave_scenes("10 waves", NET, points, ["head"], 0.01, 1)
    assert wave.title.startswith("10 waves, head may move (9 of 97 numbers): error ")
    still, _ = shown.wave_scenes("10 waves", NET, points, [], 0.01, 5)
    np.testing.assert_array_equal(still.curves[1].y, still.curves[2].y)


def test_movement_and_likeness_want_the_same_layers():
    with pytest.raises(ValueError, match="name the same"):
        shown.movement_scenes({"1": 0.1}, {"2": 1.0}, "a title")
    with pytest.raises(ValueError, match="name the same"):
        shown.movement_scenes({"1": 0.1}, {"1": 1.0}, "a title", {"2": 0.3})


def test_an_unrelated_network_is_shown_in_grey_and_only_then_is_there_a_legend():
    _, alone = shown.movement_scenes({"1": 0.1}, {"1": 0.9}, "a title")
    _, both = shown.movement_scenes({"1": 0.1}, {"1": 0.9}, "a title", {"1": 0.3})
    assert [p.label for p in alone.points] == [""] and [p.role for p in both.points] == [
        "before",
        "after",
    ]
    assert list(both.points[0].x) == [0.3] and all(p.label for p in both.points)


def test_all_bars_of_movement_in_a_figure_have_one_scale(learner, batch):
    results = [shown.operated(learner, batch, ("head",), rate, 1) for rate in (0.1, 6.0)]
    scenes = [shown.surgery_scenes("MAML", learner, ("head",), 1.0, r)[1] for r in results]
    assert scenes[0].xlim == scenes[1].xlim
    assert scenes[0].title == "Head moves furthest"


def test_each_number_of_tasks_is_named_at_its_place_and_infinity_has_one_of_its_own():
    scene = shown.tasks_scene([1, 10, np.inf], {"maml": ("new", [3.0, 1.0, 0.5])}, "a title")
    assert scene.xticks == ((1, "1"), (10, "10"), (100, "∞"))
    assert list(scene.curves[0].x) == [1, 10, 100]


def test_the_names_of_who_may_move_stand_left_of_the_axis_and_the_numbers_right_of_it():
    rows = {"all layers": (0.92, 0.01), "a ridge head": (0.6, 0.02)}
    kinds = {"maml": ("inner loop", ["all layers"]), "baseline": ("closed", ["a ridge head"])}
    scene = shown.who_scene(rows, "a title", 0.2, kinds)
    names = {note.text: note.x for note in scene.notes}
    assert names["all layers"] < 0 and names["92.0 ± 1.0"] > 100
    assert [p.role for p in scene.points] == ["maml", "baseline"]
