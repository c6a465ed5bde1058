"""What the tests of other frameworks share: who is skipped where none is installed."""

import pytest

from maml_edu import recorded


def needs(*frameworks):
    """A mark that skips, with its reason, where one of these (`recorded.FRAMEWORKS`) is missing; imports none."""
    absent = recorded.missing(list(frameworks))
    names = " and ".join(recorded.FRAMEWORKS[name][name] for name in absent)
    reason = f"without {names}: `make test-frameworks` runs it in an environment of its own"
    return pytest.mark.skipif(bool(absent), reason=reason)
