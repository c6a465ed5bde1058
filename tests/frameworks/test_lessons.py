"""Every lesson with `%%recorded` cells, run for real: it prints what its record says, within the tolerance."""

import json
import os

import pytest
import recording
from frameworks import needs

from maml_edu import recorded

pytestmark = needs("tensorflow", "jax")


@pytest.mark.parametrize("path", recording.lessons(), ids=lambda path: path.parent.name)
def test_a_lesson_prints_what_was_recorded(path, request):
    notebook = recording.run(path, dict(os.environ))
    file = path.parent / recorded.FILE
    if request.config.getoption("--write", default=False):
        file.write_text(recording.as_file(notebook), encoding="utf-8")
        print(f"{file}: written")
        return
    assert file.is_file(), f"{file} is missing: make test-frameworks ARGS=--write"
    said = recording.differences(notebook, json.loads(file.read_text(encoding="utf-8")))
    advice = "If the new output is right: make test-frameworks ARGS=--write"
    assert not said, "\n".join([*said, advice])
