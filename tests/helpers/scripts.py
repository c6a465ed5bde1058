"""Scripts of benchmarks/reproduce/ as modules."""

import importlib.util

from maml_edu import places


def script_of(name):
    """benchmarks/reproduce/{name}.py, loaded anew."""
    path = places.course_root() / "benchmarks" / "reproduce" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{name}_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
