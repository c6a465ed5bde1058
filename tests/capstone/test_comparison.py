"""`compare` and `write_report`: on small families whose answers are known, with trainings of a second or so."""

import html.parser
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import maml_edu.pytorch as mt
from maml_edu.capstone import check_family, compare, curves_scene, failure_scene, write_report
from maml_edu.capstone.methods import Fixed, Joined, Row, body_of
from maml_edu.capstone.plain import Scoring
from maml_edu.pytorch.intervals import Evaluation
from maml_edu.tasks import Navigation, Sinusoids, TaskBatch

SMALL = {
    "iterations": 200,
    "steps": 4,
    "seeds": (0, 1),
    "inner_lrs": (0.05,),
    "meta_lrs": (3e-3,),
    "episodes": 60,
    "validation_episodes": 30,
    "progress": False,
}


class Slopes:
    """y = a x without noise; <b>one</b> | slope per task."""

    def sample(self, rng, tasks=25):
        x = rng.uniform(-2, 2, (tasks, 7, 1))
        y = rng.normal(size=(tasks, 1, 1)) * x
        return TaskBatch(x[:, :3], y[:, :3], x[:, 3:], y[:, 3:])

    def oracle(self, x, y, query):
        return query * (x * y).sum() / (x**2).sum()


class Clouds:
    """Three clouds per task."""

    def sample(self, rng, tasks=25):
        x = rng.normal(size=(tasks, 3, 1, 4)) + 0.2 * rng.normal(size=(tasks, 3, 5, 4))
        y = np.broadcast_to(np.arange(3)[:, None], (tasks, 3, 5))
        parts = x[:, :, :2], y[:, :, :2], x[:, :, 2:], y[:, :, 2:]
        return tuple(part.reshape(tasks, -1, *part.shape[3:]) for part in parts)


@pytest.fixture(scope="module")
def slopes():
    return compare(Slopes(), **SMALL)


@pytest.fixture(scope="module")
def clouds():
    return compare(Clouds(), lambda: mt.MLP(4, 16, 3), **SMALL)


# ------------------------------------------------------------------ compare


def test_all_methods_are_there_on_the_same_tasks(slopes):
    assert [*slopes.rows] == [
        "MAML", "pretrained, fine-tuned", "ridge head on its features", "from scratch", "plain learner",
        "average predictor", "oracle",
    ]  # fmt: skip
    assert {row.scores.source for row in slopes.rows.values()} == {slopes.rows["MAML"].source}
    assert slopes.rows["MAML"].values.shape == (2, 60, 5)


def test_scores_are_those_of_evaluate_on_the_tasks_of_the_test(slopes):
    row = slopes.rows["MAML"]
    tasks = Fixed(Slopes(), [3], 60)
    for learner, values in zip(row.learners, row.values, strict=True):
        np.testing.assert_allclose(tasks.evaluated(learner, 4).values, values, rtol=1e-6)
    task = tasks.rows[5]
    said = row.learners[0].predictions(*task[:3], 4)[-1].detach().numpy()
    assert row.values[0, 5, 4] == pytest.approx(np.mean((said - task[3]) ** 2), rel=1e-4)


def test_who_knows_the_law_wins_and_the_words_say_so(slopes):
    assert slopes.rows["oracle"].scores.values.max() < 1e-20
    assert slopes.difference("oracle")[2] < 0
    value, low, high = slopes.difference("average predictor")
    assert 0 < low <= value <= high  # MAML learns something in 200 iterations
    plain = slopes.difference("plain learner")
    assert plain[2] < 0 and "Better than MAML on these tasks: " in slopes.verdict
    assert "plain learner" in slopes.verdict and "oracle" not in slopes.verdict


def test_differences_are_task_by_task(slopes):
    mine, other = (slopes.rows[n].scores.values[:, 0] for n in ("MAML", "average predictor"))
    assert slopes.difference("average predictor")[0] == pytest.approx(np.median(other - mine))


def test_the_failure_is_the_worst_task(slopes):
    scores = slopes.rows["MAML"].scores.values[:, 0]
    assert slopes.failure["task"] == scores.argmax()
    assert slopes.failure["scores"]["MAML"] == scores.max()
    assert slopes.failure["predictions"]["MAML"].shape == slopes.failure["query_y"].shape


def test_classes_are_scored_by_accuracy(clouds):
    assert clouds.metric == "accuracy" and clouds.rises
    assert clouds.rows["plain learner"].scores.mean[0] > 0.9
    assert clouds.rows["ridge head on its features"].scores.mean[0] > 0.8
    assert clouds.rows["average predictor"].scores.mean[0] == pytest.approx(1 / 3, abs=0.1)
    value, low, high = clouds.difference("average predictor")
    mine, other = (clouds.rows[n].scores.mean[0] for n in ("MAML", "average predictor"))
    assert value == pytest.approx(mine - other) and low < value < high


def test_the_same_seeds_give_the_same_table():
    few = SMALL | {"iterations": 20, "seeds": (0,), "episodes": 20, "validation_episodes": 20}
    state = torch.get_rng_state()
    assert repr(compare(Slopes(), **few)) == repr(compare(Slopes(), **few))
    assert torch.equal(state, torch.get_rng_state())


def test_a_trial_says_that_it_is_one():
    few = SMALL | {"iterations": 20, "episodes": 20, "validation_episodes": 20}
    trial = compare(Slopes(), quick=True, **few)
    assert trial.settings["seeds"] == [0] and trial.settings["iterations"] == 4
    assert "a trial, not a result" in repr(trial) and "A trial. " in trial.title
    assert trial.settings["scored on"] == "20 validation tasks"
    tasks = Fixed(Slopes(), [2], 20)  # those of validation
    learner = trial.rows["MAML"].learners[0]
    np.testing.assert_allclose(
        tasks.evaluated(learner, 4).values, trial.rows["MAML"].values[0], rtol=1e-6
    )


def test_the_best_two_of_many_pairs_are_trained_in_full():
    few = SMALL | {"iterations": 40, "seeds": (0,), "episodes": 20, "validation_episodes": 20}
    row = compare(Slopes(), **few | {"inner_lrs": (0.01, 0.03, 0.1)}).rows["MAML"]
    short = {words: value for words, value in row.tried.items() if "full" not in words}
    full = {
        words.removesuffix(" (trained in full)"): v
        for words, v in row.tried.items()
        if "full" in words
    }
    assert len(short) == 3 and set(full) == set(sorted(short, key=short.get)[:2])
    assert row.chosen.startswith(min(full, key=full.get))


def test_nothing_is_chosen_on_the_test_tasks():
    """With other test tasks every candidate of every method scores as before, and the same are chosen."""
    few = {**SMALL, "seeds": (0,), "iterations": 60, "inner_lrs": (0.02, 0.1), "episodes": 20}
    one, other = (compare(Slopes(), test_seed=seed, **few) for seed in (3, 4))
    for name, row in one.rows.items():
        assert row.tried == other.rows[name].tried, name
        assert row.chosen == other.rows[name].chosen, name
    assert len(one.rows["MAML"].tried) == 2 and len(one.rows["from scratch"].tried) > 2
    assert not np.array_equal(one.rows["MAML"].values, other.rows["MAML"].values)


def test_another_test_seed_gives_other_test_tasks(slopes):
    few = SMALL | {"iterations": 20, "seeds": (0,), "episodes": 20, "validation_episodes": 20}
    other = compare(Slopes(), test_seed=4, **few)
    assert other.settings["scored on"] == "20 test tasks (seed 4)"
    learner = other.rows["MAML"].learners[0]
    expected = Fixed(Slopes(), [4], 20).evaluated(learner, 4).values
    np.testing.assert_allclose(expected, other.rows["MAML"].values[0], rtol=1e-6)


def test_joint_training_is_what_fine_tuning_does():
    """At K = 0, with the support set among the queries, the meta-gradient is that of `FineTuning`."""
    model = mt.MLP(1, 8, 1).double()
    batch = Sinusoids(shots=3, queries=3).sample(np.random.default_rng(0), tasks=4)
    joined = Joined(Sinusoids(shots=3, queries=3)).sample(np.random.default_rng(0), tasks=4)
    one = mt.FineTuning(model, F.mse_loss, 0.01, 1).meta_gradient(batch)
    other = mt.MAML(model, F.mse_loss, 0.01, 0, engine="textbook").meta_gradient(joined)
    assert float(one[0]) == pytest.approx(float(other[0]), rel=1e-12)
    for name, slope in one[1].items():
        torch.testing.assert_close(slope, other[1][name], rtol=1e-10, atol=1e-12)


def test_runaways_and_numbers_that_are_none_count_as_the_worst():
    values = np.array(
        [[[1.0, np.nan], [2.0, 0.5]], [[1.0, 50.0], [2.0, 0.25]], [[1.0, 2.0], [2.0, 0.125]]]
    )
    row = Row("MAML", "mse", values, 1, "")
    np.testing.assert_allclose(row.scores.values[:, 0], [np.inf, (0.5 + 0.25 + 0.125) / 3])
    right = Row("MAML", "accuracy", np.array([[[np.nan]], [[1.0]]]), 0, "")
    assert right.scores.values[0, 0] == 0.5
    assert row.runaways == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


def test_a_task_on_which_both_or_one_run_away_is_never_a_gain():
    """NaN is the worst score, not the largest gain."""
    evaluation = lambda *values: Evaluation("mse", np.array(values)[:, None])
    runs = evaluation(np.nan, np.nan, np.nan, 1.0, 1.0)
    fine = evaluation(1.0, 1.0, 1.0, 1.0, 1.0)
    assert Scoring().gain(runs, fine)[0] == -np.inf
    assert Scoring().gain(fine, runs)[0] == np.inf
    assert Scoring().gain(runs, runs) == (0.0, 0.0, 0.0)


def test_the_body_of_a_network_is_what_comes_before_its_last_layer():
    network = nn.Sequential(nn.Flatten(), mt.MLP(6, 5, 4, 2))
    body, head = body_of(network)
    x = torch.randn(3, 2, 3)
    torch.testing.assert_close(head(body(x)), network(x))
    assert body_of(mt.Conv4(5, filters=4))[1].out_features == 5
    with pytest.raises(ValueError, match="last layer"):
        body_of(nn.Linear(2, 1))


def test_fixed_tasks_run_out():
    tasks = Fixed(Slopes(), [0], 30)
    tasks.sample(None, tasks=20)
    with pytest.raises(ValueError, match="10 tasks are left"):
        tasks.sample(None, tasks=20)


def test_ctrl_c_ends_the_comparison_not_one_training(monkeypatch):
    """meta_train gives back a learner that is half trained; no table is made of that."""
    train = mt.meta_train

    def interrupted(*arguments, **options):
        history = train(*arguments, **options)
        history.interrupted = True
        return history

    monkeypatch.setattr(mt, "meta_train", interrupted)
    with pytest.raises(KeyboardInterrupt, match="no result"):
        compare(Slopes(), **SMALL | {"iterations": 2})


def test_a_training_that_diverged_is_no_result_of_maml():
    few = SMALL | {"iterations": 8, "seeds": (0,), "episodes": 20, "validation_episodes": 20}
    result = compare(Slopes(), **few | {"inner_lrs": (50.0,), "meta_lrs": (100.0,)})
    assert result.rows["MAML"].diverged == (0,)
    assert "MAML's training diverged (seed 0)" in result.verdict
    assert "inf (" not in repr(result.table()) and "1 seed:" in result.notes[-1]
    assert len(set(result.notes)) == len(result.notes)


def shared_network():
    network = mt.MLP(1, 4, 1)
    return lambda: network


class From1(Clouds):
    def sample(self, rng, tasks=25):
        x, y, more_x, more_y = super().sample(rng, tasks)
        return x, y + 1, more_x, more_y + 1


class OneSeed(Slopes):
    def sample(self, rng, tasks=25):
        return super().sample(np.random.default_rng(0), tasks)


class Whole(Slopes):
    def sample(self, rng, tasks=25):
        x, y, more_x, more_y = super().sample(rng, tasks).arrays
        return np.int64(9 * x), y, np.int64(9 * more_x), more_y


class Grows(Slopes):
    def sample(self, rng, tasks=25):
        x, y, more_x, more_y = super().sample(rng, tasks).arrays
        wide = int(rng.integers(1, 3))
        return np.tile(x, (1, 1, wide)), y, np.tile(more_x, (1, 1, wide)), more_y


class Fails(Slopes):
    def oracle(self, x, y, query):
        raise RuntimeError("no law")


WRONG = {
    "one network": (
        lambda: compare(Slopes(), shared_network(), **SMALL),
        "same parameters each time",
    ),
    "a model that raises": (
        lambda: compare(Slopes(), mt.MLP, **SMALL),
        "model() raised ValueError",
    ),
    "labels from 1": (lambda: compare(From1(), **SMALL), "subtract 1"),
    "the same tasks": (lambda: compare(OneSeed(), **SMALL), "of the test tasks are tasks of"),
    "whole numbers": (lambda: compare(Whole(), **SMALL), "x.astype(np.float32)"),
    "shapes": (lambda: compare(Grows(), **SMALL), "all tasks of a family need the same"),
    "oracle": (lambda: compare(Fails(), **SMALL), "no law"),
    "policy": (lambda: compare(Navigation()), "no examples"),
    "no sample": (lambda: compare(object()), "no method sample"),
    "a module": (lambda: compare(Slopes(), mt.MLP(1, 1)), "a function that makes a new network"),
    "no module": (lambda: compare(Slopes(), lambda: 3, **SMALL), "must give an nn.Module"),
    "inputs": (lambda: compare(Slopes(), lambda: mt.MLP(2, 1), **SMALL), "does not take x"),
    "outputs": (lambda: compare(Slopes(), lambda: mt.MLP(1, 2), **SMALL), "the model gives"),
    "another kind": (lambda: compare(Slopes(), test=Clouds()), "tasks of one kind"),
    "seeds": (lambda: compare(Slopes(), seeds=(0, 0)), "different whole numbers"),
    "no seed": (lambda: compare(Slopes(), seeds=3), "seeds must be"),
    "rates": (lambda: compare(Slopes(), inner_lrs=()), "inner_lrs must hold"),
    "β": (lambda: compare(Slopes(), meta_lrs=(-1,)), "meta_lrs must hold"),
    "iterations": (lambda: compare(Slopes(), iterations=0), "iterations must be"),
    "episodes": (lambda: compare(Slopes(), episodes=5), "≥ 20"),
    "test seed": (lambda: compare(Slopes(), test_seed=2), "test_seed must be"),
    "seed of training": (lambda: compare(Slopes(), test_seed=1002), "test_seed must be"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(ValueError, match=re.escape(WRONG[wrong][1])):
        WRONG[wrong][0]()


def test_scoring_counts_labels_and_scores_alike():
    scores, labels = np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 0])
    assert Scoring(2)(scores, labels) == Scoring(2)(labels, labels) == 1.0


# ------------------------------------------------------------------ the page


class Tags(html.parser.HTMLParser):
    """Which tags are opened and closed, in order; all but void ones must match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_says_it_all_in_both_forms(slopes, tmp_path):
    report = check_family(Slopes(), tasks=20)
    words = {
        "question": "Does <script>alert(1)</script> | MAML help?",
        "found": "1. Yes.\n\nAnd no.",
    }
    page, text = write_report(slopes, tmp_path / "mine", author="A & B", family_report=report, **words)  # fmt: skip
    assert (page.name, text.name) == ("mine.html", "mine.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.html", "mine.md"]
    as_html, as_markdown = page.read_text("utf-8"), text.read_text("utf-8")
    tags = Tags(as_html)
    assert not tags.open and tags.seen.count("img") == 1 and "script" not in tags.seen
    assert 'src="http' not in as_html and "A &amp; B" in as_html
    for name in (*slopes.rows, *(check.name for check in report.checks), "PyTorch", "seeds"):
        assert name in as_html.replace("&#x27;", "'")
    assert as_html.count("to be written by the author") == 3  # expected, doubt, failure
    assert as_html.index("One failure, explained") < as_html.index("The family")
    assert "return query * (x * y).sum()" in as_html and "(trained in full)" in as_html  # folded
    assert (
        "3 or more" not in as_html
        and "200 test tasks" not in as_html
        and "60 test tasks (seed 3)" in as_html
    )
    assert (
        "<script" not in as_markdown and "&lt;script" in as_markdown and "\\| MAML" in as_markdown
    )
    assert "1\\. Yes" in as_markdown and as_markdown.count("data:image/png") == 1


def test_an_earlier_report_is_replaced_only_if_asked_and_other_files_never(slopes, tmp_path):
    write_report(slopes, tmp_path / "mine.html", author="A")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_report(slopes, tmp_path / "mine", author="B")
    page, _ = write_report(slopes, tmp_path / "mine.md", author="B", overwrite=True)
    assert "<p>B</p>" in page.read_text("utf-8")
    (tmp_path / "notes.md").write_text("mine")
    with pytest.raises(FileExistsError, match="no report of ours"):
        write_report(slopes, tmp_path / "notes", author="A", overwrite=True)
    assert not (tmp_path / "notes.html").exists()


def test_the_page_says_what_a_trial_is_and_which_tasks_were_used(tmp_path):
    few = SMALL | {"iterations": 20, "episodes": 20, "validation_episodes": 20}
    page, _ = write_report(compare(Slopes(), quick=True, **few), tmp_path / "mine", author="A")
    text = page.read_text("utf-8")
    assert "<title>A trial, on validation tasks" in text and "20 validation tasks, 1 seed" in text


def test_a_page_without_checks_says_so(clouds, tmp_path):
    page, _ = write_report(clouds, tmp_path / "mine", author="A")
    assert "no check was given" in page.read_text("utf-8")


def test_a_path_that_is_no_file_is_refused_with_words(slopes, tmp_path):
    (tmp_path / "page.html").mkdir()
    (tmp_path / "file").write_text("mine")
    for path, error, words in (
        (tmp_path, ValueError, "is a folder"),
        ("", ValueError, "must name a file"),
        (None, ValueError, "must name a file"),
        ("a\0b", ValueError, "must name a file"),
        (tmp_path / "page", FileExistsError, "no report of ours"),
        (tmp_path / "file" / "page", OSError, "cannot be"),
        (tmp_path / ("n" * 300), OSError, "cannot be"),
    ):
        with pytest.raises(error, match=words):
            write_report(slopes, path, author="A")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "page.html"]


def test_words_of_any_kind_are_shown_as_they_are(slopes, tmp_path):
    page, text = write_report(
        slopes, tmp_path / "Mine.HTML", author="A\ud800", found="1) one\n\n2. two 中文"
    )
    assert page.name == "Mine.html"
    assert "1\\) one" in text.read_text("utf-8") and "2\\. two 中文" in text.read_text("utf-8")


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"author": " "}, "author"),
        ({"author": "A", "found": 3}, "found must be text"),
        ({"author": "A", "family_report": "fine"}, "what check_family returns"),
    ],
)
def test_what_makes_no_page_is_refused(slopes, tmp_path, wrong, words):
    with pytest.raises(ValueError, match=words):
        write_report(slopes, tmp_path / "mine", **wrong)
    assert not list(tmp_path.iterdir())


def test_a_report_of_another_family_is_refused(clouds, tmp_path):
    report = check_family(Sinusoids(3), tasks=20)
    with pytest.raises(ValueError, match="give both of one family"):
        write_report(clouds, tmp_path / "mine", author="A", family_report=report)


def test_pictures_show_what_was_measured(slopes, clouds):
    scene = curves_scene(slopes)
    mine = next(curve for curve in scene.curves if curve.label == "MAML")
    np.testing.assert_allclose(mine.y, slopes.curves()["MAML"])
    assert {curve.label for curve in curves_scene(clouds).curves} == {*clouds.rows}
    scene, failure = failure_scene(slopes), slopes.failure
    support = scene.points[-1]  # on top
    assert support.role == "support"
    np.testing.assert_array_equal(support.y, failure["support_y"][:, 0])
    assert [curve.label for curve in scene.curves] == [
        "MAML",
        "pretrained, fine-tuned",
        "plain learner",
        "oracle",
    ]
    assert all(len(curve.x) == 4 + 3 for curve in scene.curves)  # at queries and at support points
    drawn = np.mean((failure["predictions"]["MAML"] - failure["query_y"]) ** 2)
    assert failure["drawn"]["MAML"] == pytest.approx(drawn, rel=1e-4)
    np.testing.assert_allclose(failure["at support"]["oracle"], failure["support_y"])
    assert failure_scene(clouds).points[0].label == "MAML"
