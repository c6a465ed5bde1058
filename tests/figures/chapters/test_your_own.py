"""What `three_learners` shows agrees with the learners themselves, and with closed forms."""

import numpy as np
import pytest
import torch

import maml_edu.pytorch as mt
from maml_edu.figures.chapters import your_own as shown
from maml_edu.figures.sines import X


@pytest.fixture(scope="module")
def learner():
    torch.manual_seed(0)
    return mt.MAML(mt.MLP(1, 8, 1), inner_lr=0.05)


class Reader:
    """Answers the mean of the points' y, and looks at all of them alike or at one."""

    looks_at = None

    def __call__(self, support_x, support_y, query_x):
        return support_y.mean(dim=1, keepdim=True).expand(-1, query_x.shape[1], -1)

    def attention(self, support_x, support_y, query_x):
        shots = support_x.shape[1]
        weights = torch.full((1, query_x.shape[1], shots), 1 / shots)
        if self.looks_at is not None:
            weights = torch.eye(shots)[self.looks_at].expand(1, query_x.shape[1], -1)
        return weights


def test_mamls_panel_shows_its_own_adaptation(learner):
    points = shown.PROMPTS[shown.FIRST].points
    scene = shown.learner_scenes(learner, Reader(), points, steps=3)[0]
    phi = learner.adapt(points[:, :1], points[:, 1:], steps=3)
    answers = {curve.label: curve.y for curve in scene.curves}
    wanted = learner.predict(phi, X[:, None]).detach().numpy()[:, 0]
    np.testing.assert_allclose(answers["answer"], wanted, rtol=1e-5, atol=1e-6)
    before = learner.predict(learner.detached(), X[:, None]).detach().numpy()[:, 0]
    np.testing.assert_allclose(answers["MAML before"], before, rtol=1e-5, atol=1e-6)
    error = np.mean((wanted - 3.5 * np.sin(X - 0.5)) ** 2)
    assert scene.title.startswith(
        f"MAML after 3 steps: error {shown.number(error, 2)} (at the points"
    )


def test_the_transformers_panel_shows_its_answers_and_its_attention(learner):
    torch.manual_seed(1)
    model = mt.InContext(layers=2, width=8, heads=2, hidden=8)
    points = shown.PROMPTS["points of two waves"].points
    support = [torch.as_tensor(points[None, :, [i]]).float() for i in (0, 1)]
    on_grid, at_points, answer, weights = shown.transformer_outputs(model, points, 2.2)
    with torch.no_grad():
        wanted = model(*support, torch.as_tensor(X[None, :, None]).float())[0, :, 0]
        looks = model.attention(*support, torch.tensor([[[2.2]]]))[0, 0]
    np.testing.assert_allclose(on_grid, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights, looks, rtol=1e-4, atol=1e-6)
    assert answer == pytest.approx(np.interp(2.2, X, on_grid), abs=1e-4)
    assert len(at_points) == len(points)


def test_least_squares_finds_a_wave_and_says_when_points_decide_one_number_only():
    p, q, decided = shown.least_squares(shown.PROMPTS["a wave twice as tall"].points)
    assert (p, q, decided) == pytest.approx((7 * np.cos(0.5), -7 * np.sin(0.5), 2))
    for prompt in ("one point", "two points half a period apart"):
        points = shown.PROMPTS[prompt].points
        p, q, decided = shown.least_squares(points)
        assert decided == 1
        x, y = points.T
        np.testing.assert_allclose(p * np.sin(x) + q * np.cos(x), y, atol=1e-12)
        assert np.hypot(p, q) == pytest.approx(abs(y[0]))  # no lower wave goes through it


def test_two_points_half_a_period_apart_have_opposite_heights():
    (x0, y0), (x1, y1) = shown.PROMPTS["two points half a period apart"].points
    assert x1 - x0 == pytest.approx(np.pi) and y1 == pytest.approx(-y0)


def test_an_error_from_the_wave_is_told_while_the_points_lie_on_it(learner):
    figure = shown.three_learners(learner, Reader())
    assert figure.scenes[2].title == "Least squares, two numbers: error 0 (at the points 0)"
    points = figure.values["points"]
    points[3] = 0.0, 5.0
    figure.set(points=points)
    for scene in figure.scenes:
        assert "error at the points" in scene.title and "no wave" in scene.alt
        assert not [curve for curve in scene.curves if curve.role == "truth"]


def test_a_prompt_puts_its_points_and_two_waves_have_no_one_error(learner):
    figure = shown.three_learners(learner, Reader())
    for name, prompt in shown.PROMPTS.items():
        figure.set(prompt=name)
        np.testing.assert_allclose(figure.values["points"], prompt.points)
        truths = [curve for curve in figure.scenes[0].curves if curve.role == "truth"]
        assert len(truths) == len(prompt.waves)
    assert "error at the points" in figure.scenes[0].title  # the last prompt: two waves


def test_points_and_the_query_can_be_dragged_and_points_added(learner):
    figure = shown.three_learners(learner, Reader())
    names = [{p.drag for p in scene.points} for scene in figure.scenes]
    assert names == [{"points"}, {"points", "query"}, {"points"}]
    figure.set(query=-1.0)
    (query,) = (p for p in figure.scenes[1].points if p.drag == "query")
    assert query.x == -1.0
    figure.set(points=[[0.0, 1.0]] * shown.MOST)
    with pytest.raises(ValueError, match="1 to 20"):
        figure.set(points=[[0.0, 1.0]] * (shown.MOST + 1))


# ---- attention as threads


def test_threads_lead_from_the_query_to_points_in_proportion_to_their_weights():
    points = np.array([[-1.0, 2.0], [3.0, -1.0], [4.0, 0.0]])
    x, y = shown.threads((0.0, 0.0), points, [0.8, 0.2, 0.0])
    lines = np.column_stack([x, y])[1:].reshape(-1, 3, 2)  # after a gap: start, end, gap
    assert len(lines) == shown.THREADS
    np.testing.assert_array_equal(lines[:, 0], 0.0)
    np.testing.assert_allclose(lines[:20, 1].mean(axis=0), points[0])
    np.testing.assert_allclose(lines[20:, 1].mean(axis=0), points[1])
    assert np.isnan(lines[:, 2]).all()


def test_a_query_on_top_of_its_point_and_weights_that_are_no_numbers_draw_without_an_error():
    x, _ = shown.threads((1.0, 1.0), np.array([[1.0, 1.0], [2.0, 2.0]]), [0.5, np.nan])
    assert np.isfinite(x[1])


def test_the_alt_text_says_where_the_transformer_looks(learner):
    reader = Reader()
    reader.looks_at = 2
    points = shown.PROMPTS[shown.FIRST].points
    scene = shown.learner_scenes(learner, reader, points)[1]
    assert f"100 % to the point at x = {shown.number(points[2, 0], places=1)}" in scene.alt
    assert [note.text for note in scene.notes] == ["100 %"]


def test_a_transformer_with_other_shapes_is_refused_in_words(learner):
    class Flat(Reader):
        def __call__(self, support_x, support_y, query_x):
            return super().__call__(support_x, support_y, query_x)[..., 0]

    with pytest.raises(ValueError, match=r"model\(…\) gave the shape"):
        shown.three_learners(learner, Flat())
