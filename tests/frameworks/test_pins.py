"""The environment of `make test-frameworks` is the one that constraints-frameworks.txt describes."""

import platform
import re
import sys
from importlib.metadata import distributions

import pytest
from frameworks import needs
from recording import pins, plain

# Not pinned there: ourselves, what makes the environment, and PyTorch with its CUDA, which constraints.txt pins.
ELSEWHERE = re.compile(r"maml-edu|pip|torch|triton|(nvidia|cuda)-.*")
RECORDED_ON = ("Linux", "x86_64", (3, 11))


@needs("tensorflow", "jax")
@pytest.mark.skipif(
    (platform.system(), platform.machine(), sys.version_info[:2]) != RECORDED_ON,
    reason="other systems need other packages, too",
)
def test_every_package_is_pinned_to_the_version_that_is_installed():
    installed = {plain(one.metadata["Name"]): one.version for one in distributions()}
    there = {name: one for name, one in installed.items() if not ELSEWHERE.fullmatch(name)}
    pinned = pins()
    assert {name: pinned.get(name) for name in there} == there
