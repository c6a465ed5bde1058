"""The options of `maml-edu train` are the settings, and their help tells the defaults that a run really gets."""

import dataclasses
import inspect
import re

import pytest
import typer
from typer.testing import CliRunner

from maml_edu import cli, runs
from maml_edu.runs import commands, options, presets
from maml_edu.runs.families import FAMILIES
from maml_edu.runs.settings import relevant

SETTINGS = [setting for setting in dataclasses.fields(runs.Settings) if setting.name != "origin"]


def words(text):
    """Text of a terminal without frames and line breaks."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.fixture(scope="module")
def help_of_train():
    return CliRunner(env={"COLUMNS": "100"}).invoke(cli.app, ["train", "--help"]).output


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_an_option_with_its_help_and_its_default(setting, help_of_train):
    assert inspect.signature(commands.train).parameters[setting.name].default is None
    assert words(setting.metadata["help"]) in words(help_of_train)
    if default := options.default_of(setting.name):
        assert f"Default: {default}" in words(help_of_train)


def test_options_stand_in_their_panels_in_order(help_of_train):
    panels = ["Tasks", "Network", "Inner loop", "Outer loop", "Validation and test", "Run"]
    assert re.findall(r"╭─ ([A-Z][a-z ]*?) ─", help_of_train) == ["Arguments", "Options", *panels]
    inner = words(help_of_train.split("─ Inner loop ─")[1].split("─ Outer loop ─")[0])
    assert re.findall(r"--([a-z-]+) [<A-Z]", inner) == [
        "method", "inner-lr", "inner-steps", "later-lr", "engine", "precision",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "expected"), [
    ("tasks", "sinusoids"),
    ("seed", "0"),
    ("hidden", "sinusoids: 40,40; intents: 64; navigation: 32,32"),
    ("resize", "nearest"),
    ("rotations", "omniglot: yes; glyphs: no"),
    ("queries", "sinusoids: as many as shots; omniglot, glyphs, intents: 5"),
    ("later_lr", "0.125 (fine-tuning: 0.09)"),
    ("hold_out", "domains"),
    (
        "inner_lr",
        "sinusoids: 0.01; omniglot, glyphs: 2.0 (fomaml, reptile, meta-sgd, maml++, imaml: 0.4); "
        "intents: 3.0 (fomaml, boil, maml++: 1.0; imaml: 0.3); navigation: 0.5 (fine-tuning: 0.35)",
    ),
    (
        "inner_steps",
        "sinusoids, navigation: 1; omniglot, glyphs: 1 (reptile, imaml: 5; maml++: 3); intents: 3 (imaml: 5)",
    ),
])  # fmt: skip
def test_a_default_is_told_for_each_kind_of_tasks_and_for_methods_that_differ(name, expected):
    assert options.default_of(name) == expected


def test_the_help_follows_the_presets(monkeypatch):
    monkeypatch.setitem(presets.OF_METHOD["glyphs"]["imaml"], "inner_lr", 7.0)
    monkeypatch.setitem(presets.DEFAULTS["glyphs"], "meta_batch", 99)
    assert "maml++: 0.4; imaml: 7.0" in options.default_of("inner_lr")
    assert options.default_of("meta_batch") == (
        "sinusoids: 25; omniglot, intents: 16; glyphs: 99; navigation: 20"
    )


def told(text, tasks, method):
    """What "sinusoids: 0.01; omniglot, glyphs: 2.0 (imaml: 0.4)" says about these tasks and this method."""
    for group in re.split(r"; (?![^(]*\))", text):
        names, usual, exceptions = re.fullmatch(
            r"(?:([a-z, ]+): )?([^(]*?)(?: \((.*)\))?", group
        ).groups()
        if names is None or tasks in names.split(", "):
            for exception in (exceptions or "").split("; "):
                methods, _, value = exception.partition(": ")
                if method in methods.split(", "):
                    return value
            return usual
    return None


@pytest.mark.parametrize(
    ("tasks", "method"),
    [(tasks, method) for tasks in FAMILIES for method in FAMILIES[tasks].methods],
)
def test_a_run_gets_the_defaults_that_the_help_tells(tasks, method):
    settings = runs.resolve(tasks, method=method)
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        if setting.name in ("tasks", "method") or not relevant(setting.name, settings):
            continue
        text = told(options.default_of(setting.name), tasks, method) or ""
        if text == "as in training":
            assert value in (None, settings.inner_steps)
        elif value is None:
            assert text == setting.metadata["none"]
        else:
            value = {"True": "yes", "False": "no"}.get(str(value), value)
            assert text == str(value).strip("(),").replace(" ", "")


def test_widths_that_are_no_widths_are_refused():
    assert options._widths("3,4") == (3, 4) and options._widths(None) is None
    for text in ("40,x", "0", "-3,4"):
        with pytest.raises(typer.BadParameter, match="give widths ≥ 1"):
            options._widths(text)


@pytest.mark.parametrize(("text", "expected"), [
    ("3", (0, 1, 2, 3)), ("0:2", (0, 1, 2)), ("1:3", (1, 2, 3)), ("0,1,5", (0, 1, 5)),
])  # fmt: skip
def test_inner_steps_to_show_are_a_number_a_range_or_a_list(text, expected):
    assert options.inner_steps(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1:b", "-1,2", "1;2"])
def test_other_words_for_inner_steps_are_refused(text):
    with pytest.raises(typer.BadParameter):
        options.inner_steps(text)
