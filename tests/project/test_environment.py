"""environment.yml, pyproject.toml and constraints.txt say the same."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import lowest
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from recording import plain

CLONE = Path(__file__).resolve().parents[2]
# Extras of more than a gigabyte, which nothing but chapter 15 uses: not in dev, nor in conda's environment.
FRAMEWORKS = {"tensorflow", "jax"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((CLONE / "environment.yml").read_text())


@pytest.fixture(scope="module")
def pins():
    return pins_of("constraints.txt")


def pip_lines(conda):
    [part] = [part["pip"] for part in conda["dependencies"] if isinstance(part, dict)]
    return part


def all_requirements(project, without=()):
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name not in without)]
    return [Requirement(line) for group in groups for line in group]


def pins_of(name):
    lines = (CLONE / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_conda_takes_python_in_the_range_of_pyproject(project, conda):
    [python] = [part for part in conda["dependencies"] if str(part).startswith("python")]
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(project["requires-python"])


def test_conda_names_pip_and_leaves_the_packages_to_it(conda):
    names = {part for part in conda["dependencies"] if isinstance(part, str)}
    assert names == {"python>=3.11", "pip"}, "a package named twice could differ twice"


def test_conda_installs_the_clone_with_every_extra_but_the_frameworks_under_the_constraints(
    project, conda
):
    constraints, clone = pip_lines(conda)
    assert constraints == "-c constraints.txt"
    [extras] = re.fullmatch(r"-e \.\[(.*)\]", clone).groups()
    assert set(extras.split(",")) == set(project["optional-dependencies"]) - FRAMEWORKS


def test_the_constraints_are_pins_within_pyprojects_ranges(project, pins):
    for pin in pins:
        [specifier] = pin.specifier
        assert specifier.operator == "=="
        wanted = [need for need in all_requirements(project) if need.name == pin.name]
        assert wanted, f"nothing in pyproject.toml asks for {pin.name}"
        assert all(need.specifier.contains(specifier.version) for need in wanted)


def test_torch_is_a_range_for_users_and_one_version_for_us(project, pins):
    [torch] = [need for need in all_requirements(project) if need.name == "torch"]
    assert str(torch.specifier) == ">=2.6"
    assert "torch==2.13.0" in map(str, pins)


# ------------------------------------------------------------------ the oldest packages


def test_the_lowest_of_every_direct_dependency_is_installed_but_of_torch(project):
    pins = [Requirement(line) for line in lowest.lower_bounds(project)]
    needs = all_requirements(project, without=FRAMEWORKS)
    direct = [need for need in needs if need.name not in ("maml_edu", "torch")]
    assert sorted(pin.name for pin in pins) == sorted(need.name for need in direct)
    for need in direct:
        [pin] = [str(pin.specifier) for pin in pins if pin.name == need.name]
        assert f">={pin.removeprefix('==')}" in str(need.specifier).split(",")


def test_extras_are_followed_and_a_dependency_without_a_lower_bound_is_refused():
    project = {"name": "it", "dependencies": ["a[x] >= 1.2, <3"], "optional-dependencies": {
        "dev": ["it[more,most]", "B-c>=4"], "more": ["torch>=2", "c>=7"], "most": ["it[more,dev]", "d>=5.0.1"],
        "not": ["e"],
    }}  # fmt: skip
    assert sorted(lowest.lower_bounds(project)) == ["B-c==4", "a==1.2", "c==7", "d==5.0.1"]
    project["optional-dependencies"]["more"].append("f<2")
    with pytest.raises(ValueError, match="'f<2' in pyproject.toml has no lower bound: write f>=…"):
        lowest.lower_bounds(project)


def test_every_file_that_the_makefile_names_is_there():
    names = re.findall(r"(?:tests|benchmarks)/[\w/]+(?:\.py)?", "\n".join(makefile_paths()))
    assert len(names) > 15 and [name for name in names if not (CLONE / name).exists()] == []


def makefile_paths():
    """The Makefile's commands as make would print them, without running one."""
    make = shutil.which("make") or pytest.skip("no make here")
    targets = "test-lowest test-frameworks test-hub bench bench-gpu reproduce".split()
    listed = [make, "-n", "-B", *targets]
    shown = subprocess.run(listed, cwd=CLONE, capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()


def test_the_licence_files_and_the_citation_agree_with_pyproject(project):
    citation = yaml.safe_load((CLONE / "CITATION.cff").read_text())
    assert project["license"] == " AND ".join(citation["license"])
    assert "MIT License" in (CLONE / "LICENSE").read_text()
    assert "CC BY 4.0" in (CLONE / "LICENSE-TEXT").read_text()
    from maml_edu import __version__

    assert citation["version"] == __version__


# ------------------------------------------------------------------ other frameworks


def test_no_framework_comes_with_what_everybody_installs(project):
    names = {Requirement(line).name for line in lowest.requirements(project)}
    assert names & {"tensorflow", "tensorflow-cpu", "keras", "jax"} == set()
    assert {"jupytext", "pytest"} <= names  # which make test-frameworks adds by name


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", {"tensorflow-cpu", "keras"}),
        ("Linux", "aarch64", {"tensorflow", "keras"}),
        ("Darwin", "arm64", {"tensorflow", "keras"}),
        ("Windows", "AMD64", {"tensorflow", "keras"}),
    ],
)
def test_each_machine_gets_one_tensorflow(project, system, machine, expected):
    needs = [Requirement(line) for line in project["optional-dependencies"]["tensorflow"]]
    here = {"platform_system": system, "platform_machine": machine}
    chosen = {need.name for need in needs if need.marker is None or need.marker.evaluate(here)}
    assert chosen == expected


def test_the_frameworks_are_pinned_within_pyprojects_ranges(project):
    pins = {
        pin.name.lower().replace("_", "-"): pin.specifier
        for pin in pins_of("constraints-frameworks.txt")
    }
    assert all([one.operator for one in specifier] == ["=="] for specifier in pins.values())
    assert "torch" not in pins and "maml-edu" not in pins
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["tensorflow"], *extras["jax"]]
    for need in map(Requirement, lines):
        if need.name != "torch":
            [pin] = pins[need.name.lower().replace("_", "-")]
            assert need.specifier.contains(pin.version), need
    assert {"pytest", "jupytext", "nbclient", "ipykernel"} <= set(pins)
    assert pins["tensorflow"] == pins["tensorflow-cpu"]


def test_the_hub_is_pinned_within_pyprojects_ranges(project):
    pins = {plain(pin.name): pin.specifier for pin in pins_of("constraints-hub.txt")}
    assert all([one.operator for one in specifier] == ["=="] for specifier in pins.values())
    named = {"jupyterhub", "configurable-http-proxy", "pytest"}  # which the Makefile adds
    assert named <= set(pins) and "torch" not in pins and "maml-edu" not in pins
    lines = [*project["dependencies"], *project["optional-dependencies"]["teach"]]
    for need in map(Requirement, lines):
        if need.name != "torch":
            [pin] = pins[plain(need.name)]
            assert need.specifier.contains(pin.version), need


@pytest.mark.parametrize(
    ("fails", "called", "status"),
    [
        ("test", "test", 3),
        ("test-frameworks", "test test-frameworks", 3),
        ("test-hub", "test test-frameworks test-hub", 3),
        ("no", "test test-frameworks test-hub", 0),
        ("-k", "test test-frameworks test-hub", 0),  # the set-up, which comes first
    ],
)
def test_all_checks_fail_with_the_first_that_does(fails, called, status, tmp_path):
    """`.ci/run` with a `make` that only notes what it is asked for."""
    said = {"make": f'echo "$1" >> {tmp_path}/called; [ "$1" != {fails} ] || exit 3'}
    for name in ("make", "chromium", "bwrap"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{said.get(name, ':')}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run([CLONE / ".ci" / "run"], env={**os.environ, "PATH": path})
    assert run.returncode == status
    assert (tmp_path / "called").read_text().split() == ["-k", *called.split()]


# ------------------------------------------------------------------ what `make lab` installs


def test_make_lab_installs_what_a_learner_needs_and_no_more(project):
    """A dry run in an empty folder: one call of pip, without what builds, tests and grades a class."""
    line = ["make", "-n", "lab", "VENV=.nothing_there"]
    said = subprocess.run(line, cwd=CLONE, capture_output=True, text=True, check=True).stdout
    [installed] = re.findall(r"pip install .* -e \"\.\[(.*)\]\"", said)
    assert installed == "fast"
    needed = [*project["dependencies"], *project["optional-dependencies"]["fast"]]
    names = {Requirement(line).name for line in needed}
    assert "jupyterlab" in names and not names & {"nbgrader", "pytest", "playwright", "distributed"}
    line[2] = "test"
    said = subprocess.run(line, cwd=CLONE, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"-e \"\.\[(.*)\]\"", said) == ["fast", "dev"]
