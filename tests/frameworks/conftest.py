"""Tests that need TensorFlow, Keras or JAX: `make test-frameworks` runs them, `make test` skips them."""

import importlib.util
import sys

import pytest

from maml_edu import places


def pytest_addoption(parser):
    parser.addoption(
        "--write", action="store_true", help="record the %%recorded cells' output again"
    )


@pytest.fixture(scope="session")
def example():
    """A script of examples/ as a module, by its name without .py."""

    def load(name):
        if name not in sys.modules:
            path = places.course_root() / "examples" / f"{name}.py"
            spec = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load
