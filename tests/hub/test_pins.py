"""The environment of `make test-hub` is the one that constraints-hub.txt describes."""

import platform
import re
import sys
from importlib.metadata import distributions

import pytest
from recording import pins, plain

pytest.importorskip("jupyterhub", reason="`make test-hub` runs it in an environment of its own")

# Not pinned there: ourselves, what makes the environment, and PyTorch with its CUDA, which constraints.txt pins.
ELSEWHERE = re.compile(r"maml-edu|pip|torch|triton|(nvidia|cuda)-.*")
MADE_ON = ("Linux", "x86_64", (3, 11))


@pytest.mark.skipif(
    (platform.system(), platform.machine(), sys.version_info[:2]) != MADE_ON,
    reason="other systems need other packages, too",
)
def test_every_package_is_pinned_to_the_version_that_is_installed():
    installed = {plain(one.metadata["Name"]): one.version for one in distributions()}
    there = {name: one for name, one in installed.items() if not ELSEWHERE.fullmatch(name)}
    pinned = pins("hub")
    assert {name: pinned.get(name) for name in there} == there
