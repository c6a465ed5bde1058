"""What a run says of itself while it goes on: a bar in a terminal, now and then a line elsewhere."""

import contextlib
import io
import sys

import pytest
from small_runs import fresh, quiet

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import progress
from maml_edu.tasks import Sinusoids


class Clock(Sinusoids):
    """Sine waves that take a while to draw, by a clock of their own."""

    def __init__(self, seconds, monkeypatch):
        super().__init__(5)
        self.seconds, self.now = seconds, 0.0
        monkeypatch.setattr(progress, "_clock", lambda: self.now)

    def sample(self, rng, tasks=25):
        self.now += self.seconds
        return super().sample(rng, tasks)


class Log:
    """stderr in a file, as under nohup."""

    def __init__(self, path):
        self.path = path

    def train(self, iterations, tasks, **options):
        options = {**quiet, "progress": True, **options}
        with self.path.open("a", encoding="utf-8") as file, contextlib.redirect_stderr(file):
            return mt.meta_train(fresh(), tasks, iterations, **options)

    def text(self):
        return self.path.read_text(encoding="utf-8")

    def lines(self):
        return self.text().splitlines()


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "log.txt")


scored = {"validation": Sinusoids(5), "validation_episodes": 5}


def test_without_a_terminal_there_is_a_line_a_minute(log, monkeypatch):
    seen = []  # what is in the file after each iteration: nothing waits in a buffer
    look = lambda *_: seen.append(log.text().count("\n"))
    history = log.train(10, Clock(25.0, monkeypatch), callbacks=look)
    assert seen == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3], (
        "a callback comes before the line of its iteration"
    )
    first, *_, last = log.lines()
    assert first == (
        f"meta-training: 3 of 10 iterations, loss {sum(history.loss[:3]) / 3:.3g}, 3 min left"
    )
    assert last.startswith("meta-training: 10 of 10 iterations, loss ") and "left" not in last
    assert "\r" not in log.text()


def test_without_a_terminal_there_is_a_line_at_each_validation(log, monkeypatch):
    history = log.train(6, Clock(1.0, monkeypatch), validate_every=2, **scored)
    lines = log.lines()
    assert [line.split(" iterations")[0] for line in lines] == [
        f"meta-training: {done} of 6" for done in (2, 4, 6)
    ]
    for line, (_, mean, ci95) in zip(lines, history.validation, strict=True):
        assert f"validation mse {mean:.4g} ± {ci95:.2g}" in line
    assert lines[0].endswith("4 s left")


def test_very_many_validations_do_not_flood_a_log(log, monkeypatch):
    monkeypatch.setattr(progress, "_MANY", 3)
    log.train(30, Clock(2.0, monkeypatch), validate_every=1, **scored)
    done = [int(line.split()[1]) for line in log.lines()]
    assert done == [1, 2, 3, 8, 13, 18, 23, 28, 30]


def test_a_short_run_without_validation_says_nothing(log, monkeypatch):
    log.train(10, Clock(1.0, monkeypatch))
    assert log.text() == ""


@pytest.mark.parametrize("where", ["unwanted", "in a notebook"])
def test_no_lines_where_they_are_unwanted_or_a_notebook_has_its_bar(where, log, monkeypatch):
    monkeypatch.setattr(progress, "_in_notebook", lambda: where == "in a notebook")
    options = {"progress": where != "unwanted", "validate_every": 2, **scored}
    log.train(6, Clock(100.0, monkeypatch), **options)
    assert log.text() == ""


def test_a_run_that_goes_on_reckons_with_its_own_pace(log, monkeypatch, tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 2}
    log.train(2, Clock(1000.0, monkeypatch), progress=False, **options)
    log.train(8, Clock(20.0, monkeypatch), **options)
    assert log.lines()[0].startswith("meta-training: 5 of 8 iterations")
    assert log.lines()[0].endswith("60 s left")


def test_the_time_left_does_not_hold_what_was_compiled_first(log, monkeypatch):
    class Compiles(Clock):
        def sample(self, rng, tasks=25):
            self.now += 500.0 if self.now == 0 else 0.0
            return super().sample(rng, tasks)

    log.train(40, Compiles(10.0, monkeypatch))
    first, second, *_ = log.lines()
    assert first.startswith("meta-training: 1 of 40") and "left" not in first
    assert second.startswith("meta-training: 7 of 40") and second.endswith("6 min left")


@pytest.mark.parametrize("wanted", [True, False])
def test_a_terminal_shows_a_bar_unless_it_is_unwanted(wanted, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    mt.meta_train(fresh(), Sinusoids(5), 40, **{**quiet, "progress": wanted})
    assert ("meta-training: 100%" in screen.getvalue()) == wanted
    assert ("40/40" in screen.getvalue()) == wanted and bool(screen.getvalue()) == wanted


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(4.2, "4 s"), (99, "99 s"), (150, "2 min"), (5999, "100 min"), (12_000, "3 h 20 min")],
)
def test_durations_are_said_to_two_digits_or_so(seconds, words):
    assert progress._in_words(seconds) == words
