"""Every public figure has its words and a modest size; every public name is where it is said to be."""

import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import maml_edu.figures as figures
import maml_edu.reference as ref

CHAPTERS = [module for module in figures._WHERE if module.startswith("chapters.")]
PUBLIC = [name for module in CHAPTERS for name in figures._WHERE[module].split()]


def small_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 1))


def wave_net(seed=0):
    return ref.mlp_init(np.random.default_rng(seed), (1, 8, 8, 1))


def robot_net():
    return ref.mlp_init(np.random.default_rng(0), (4, 8, 2))


def evaluation(last):
    """A stand-in for mt.evaluate's result: 50 tasks, 10 steps."""
    values = np.linspace(3, last, 11) * np.random.default_rng(0).gamma(4, 0.25, (50, 11))
    ci95 = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(50)
    median = np.median(values, axis=0)
    return SimpleNamespace(
        median=median,
        median_ci95=np.array([0.8 * median, 1.2 * median]),
        mean=values.mean(axis=0),
        ci95=ci95,
        runaways=np.zeros(11),
        trust=("mean",) * 11,
    )


def images(tasks=1):
    """Episodes of characters that are one bar each, in another place in each class."""
    from maml_edu.tasks import FewShotImages

    bank = np.zeros((6, 8, 28, 28), np.uint8)
    for character in range(6):
        bank[character, :, 2:20, 4 * character + 2] = 1
    return FewShotImages(bank, ways=5, shots=1, queries=3)


def classifier():
    import torch.nn.functional as F

    import maml_edu.pytorch as mt

    return mt.MAML(mt.Conv4(5, filters=4), F.cross_entropy, inner_lr=0.4)


def walker(seed=0):
    import torch

    from maml_edu.pytorch.policy import Policy, PolicyGradient

    torch.manual_seed(seed)
    return PolicyGradient(Policy(hidden=(4,)))


def sine_learners():
    """MAML and a transformer, both small and as they were born."""
    import torch

    import maml_edu.pytorch as mt

    torch.manual_seed(0)
    transformer = mt.InContext(layers=1, width=8, heads=2, hidden=8)
    return mt.MAML(mt.MLP(1, 8, 1), inner_lr=0.01), transformer


RUNGS = {"loop": (2e3, 5e8), "vmap": (4e4, 3e9), "back-walk": (2e4, 2.9e9), "native": (4e7, 3e10)}
ACCURACIES = {"MAML": (0.9, 0.02), "pixels": (0.4, 0.03)}

SPECTRA = {
    "untrained": np.r_[np.linspace(-20, -0.1, 30), np.zeros(60), np.geomspace(0.01, 40, 30)],
    "trained": np.r_[np.linspace(-12, -0.1, 20), np.zeros(80), np.geomspace(0.01, 190, 20)],
}

RUN = {"iterations": [0, 500, 1000], "product": [1.0, 1.4, 1.9], "cosine": [0.8, 0.5, -0.4]}

# Each public figure with small arguments.
FIGURES = {
    # Chapter 00
    "fit_a_new_sine": lambda f: f(small_net(0), small_net(1)),
    "sine_tasks": lambda f: f(),
    # Chapter 01
    "descent_on_contours": lambda f: f(),
    "convergence_by_direction": lambda f: f(),
    "stability_limit": lambda f: f(),
    "noisy_descent": lambda f: f(),
    "momentum_map": lambda f: f(),
    # Chapter 02
    "break_the_tape": lambda f: f(),
    "price_of_a_gradient": lambda f: f(),
    # Chapter 03
    "learned_average": lambda f: f(small_net(0), small_net(1)),
    "fit_by_hand": lambda f: f(small_net()),
    "intervals_and_truth": lambda f: f(
        {"after one step": ([1.0, 2.0, 3.0], [0.5, 0.5, 0.5], 2.1)}
        | {"after ten": ([1, 9], [1, 8], 5)}
    ),
    "leak_prices": lambda f: f({"queries that it has seen": (0.4, 0.2), "steps": (0.3, 0.25)}),
    # Chapter 04
    "two_arrows": lambda f: f(),
    "meta_loss_of_theta": lambda f: f(),
    "two_curvatures": lambda f: f(),
    "two_tasks": lambda f: f(),
    # Chapter 05
    "factor_on_a_vector": lambda f: f(SPECTRA),
    "second_derivatives_by_layer": lambda f: f(np.eye(7), np.eye(7)[::-1], {"1": 4, "2": 3}),
    "spectrum_by_rank": lambda f: f(SPECTRA),
    # Chapter 06
    "wandering_star": lambda f: f(),
    "signal_walking_back": lambda f: f(
        {"α = 0.01": np.geomspace(2, 1, 13) * np.ones((5, 1)), "α = 0.03": np.full((5, 13), 3.0)},
        {"α = 0.01": np.linspace(0.5, 1, 13), "α = 0.03": np.linspace(0, 1, 13) ** 9},
    ),
    "rate_finds_itself": lambda f: f(
        {"from 0.001": [[500, 0.02, 1.2], [1000, 0.01, 1.3]], "from 0.03": [[500, 0.03, 1.1]] * 2}
    ),
    "short_and_long_horizons": lambda f: f(
        {"α = 0.1": np.geomspace(9, 1, 101), "α = 0.01": np.geomspace(9, 0.1, 101)}, "α = 0.01"
    ),
    "sets_in_memory": lambda f: f([1, 4, 16], [30.0, 21.0, 31.0], [29.0, 20.0, 29.0]),
    # Chapter 07
    "scrub_adaptation": lambda f: f(small_net(0), small_net(1)),
    "training_curve": lambda f: f(np.linspace(4, 0.5, 500), np.full(500, 3.0)),
    "error_against_steps": lambda f: f(
        {n: [("maml", "MAML", evaluation(0.5)), ("low", "five", evaluation(2))] for n in (5, 10)}
    ),
    "what_the_start_has": lambda f: f(small_net(0), small_net(1)),
    # Chapter 08
    "nine_suspects": lambda f: f(),
    "six_curves": lambda f: f(iterations=20, every=10, programs="AC"),
    "where_bugs_cut": lambda f: f(),
    # Chapter 09
    "launch_or_compute": lambda f: f(),
    "speed_ladder": lambda f: f({"loop": 1.0, "vmap": 5.5, "native": 55.0}),
    "roofline": lambda f: f(2e-6, 8e10, RUNGS),
    "memory_against_steps": lambda f: f([1, 5, 20], [2e4, 9e4, 4e5], [1e4, 4e4, 1e5]),
    # Chapter 10
    "an_episode": lambda f: f(images().sample(np.random.default_rng(0), tasks=1)),
    "accuracies": lambda f: f(ACCURACIES, "MAML is above the pixels", 0.2, ours=("MAML",)),
    "by_company": lambda f: f(ACCURACIES, "Company decides about the answer", 0.2, alone=0.88),
    "be_the_classifier": lambda f: f(classifier(), images(), questions=3),
    # Chapter 11
    "where_each_pulls": lambda f: f(),
    "curvature_along_training": lambda f: f({"MAML": RUN, "FOMAML": [RUN | {"diverged": 1200}]}),
    "frontier": lambda f: f({"MAML": (4, 0.1), "FOMAML": [(2, 0.2), (6, 0.12)]}),
    "who_is_as_good": lambda f: f(
        {"5-way": {"MAML": (98, 0.4), "FOMAML": (97, None)}, "20-way": {"MAML": (95, 0.3)}}
    ),
    "taylor_check": lambda f: f([1e-3, 1e-2, 1e-1], {"MAML": [1e-6, 1e-4, 1e-2]}, 50.0),
    # Chapter 12
    "who_may_move": lambda f: f(
        {"all layers": (0.92, 0.01), "a ridge head": (0.6, 0.02)},
        "Layer 4 alone does it",
        0.2,
        {"maml": ("inner loop", ["all layers"]), "baseline": ("closed", ["a ridge head"])},
    ),
    "moved_and_alike": lambda f: f(
        {"layer 1": 0.17, "head": 0.02}, {"layer 1": 1.0, "head": 0.3}, "Layer 1 moves the furthest"
    ),
    "by_number_of_tasks": lambda f: f(
        [1, 10, np.inf],
        {"maml": ("new waves", [3, 0.4, 0.3])},
        "Ten waves are enough",
        ("floor", 0.1),
    ),
    "surgery": lambda f: f({"MAML": classifier()}, images(), episodes=2),
    "surgery_on_waves": lambda f: f({"1 wave": wave_net(0), "∞ waves": wave_net(1)}),
    # Chapter 13
    "return_against_rate": lambda f: f(
        [0.2, 0.4], {"maml": ("MAML", [-20, -11]), "baseline": ("pretrained", [-12, -0.0])}
    ),
    "reach_against_distance": lambda f: f([0.2, 0.4], {"maml": ("MAML", [0.4, 0.41])}),
    "walk_to_a_goal": lambda f: f(walker(0), walker(1), trajectories=3),
    "break_the_robot": lambda f: f({"MAML": (robot_net(), 0.1)}, seconds=0.6, plans=3),
    # Chapter 14
    "five_boxes": lambda f: f(ref.mlp_init(np.random.default_rng(0), (64, 8, 5)), 1.0),
    "gained_or_lost": lambda f: f(
        {"MAML": (0.03, 0.01), "ProtoNet": (-0.02, 0.01)}, "One gains, the other loses"
    ),
    # Chapter 15
    "find_the_factor": lambda f: f(),
    # Chapter 16
    "three_learners": lambda f: f(*sine_learners()),
}


def test_the_table_covers_every_public_figure():
    assert list(FIGURES) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_figure_has_a_title_alt_text_a_modest_size_and_no_minus_nought(name):
    figure = FIGURES[name](getattr(figures, name))
    picture = getattr(figure, "twin", figure)
    assert len(picture.title) > 15 and len(picture.alt) > len(picture.title) + 40
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) < 150_000
    scenes = [*picture.scenes, *getattr(figure, "scenes", []), *at_the_ends(figure)]
    said = [text for scene in scenes for text in scene.words()]
    assert not [text for text in said if re.search(r"[-−]0(\.0+)?(?![\d.])", text)]


def at_the_ends(figure):
    """The scenes of a live figure with each slider at either end and at 0, the others at their start.

    A menu has all its options, a box to type in nothing and much.
    """
    scenes, start = [], getattr(figure, "values", {})
    for name, control in getattr(figure, "controls", {}).items():
        for value in ends_of(control):
            figure.set(**{name: value})
            scenes += figure.scenes
        figure.set(**{name: start[name]})
    return scenes


def ends_of(control):
    """What a slider, a menu, a tick box or a box to type in may be set to."""
    if hasattr(control, "max"):
        return {control.min, control.max, 0}
    both = (True, False) if isinstance(control.value, bool) else ("", "many words " * 30)
    return getattr(control, "options", both)


# ---- names


@pytest.mark.parametrize("name", figures.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(figures, name) is not None


def test_every_chapters_module_exports_what_the_package_says():
    folder = Path(figures.__file__).parent / "chapters"
    modules = {f"chapters.{path.stem}" for path in folder.glob("*.py")} - {"chapters.__init__"}
    assert set(CHAPTERS) == modules
    exported = {m: import_module(f"maml_edu.figures.{m}").__all__ for m in CHAPTERS}
    assert exported == {m: figures._WHERE[m].split() for m in CHAPTERS}


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(AttributeError, match="two_arrows"):
        figures.two_arows  # noqa: B018
