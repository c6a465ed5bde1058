"""`source_of`: the code of a family's class, wherever the class was written."""

import linecache

from maml_edu.capstone.source import MOST, source_of


class Short:
    """Two lines."""

    def sample(self, rng, tasks=25):
        return None


def defined(text, name="<cell 3>"):
    """The class that a notebook's cell defines: no file holds it, `linecache` knows it."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names = {}
    exec(compile(text, name, "exec"), names)
    return names["Cell"]()


def test_a_class_of_a_file_is_found():
    text = source_of(Short())
    assert text.startswith("class Short:") and text.endswith("return None")


def test_a_class_of_a_cell_is_found_alone():
    family = defined(
        "x = 1\n\nclass Cell:\n    def sample(self, rng, tasks=25):\n        return x\n\ny = 2\n"
    )
    assert (
        source_of(family) == "class Cell:\n    def sample(self, rng, tasks=25):\n        return x"
    )


def test_a_long_class_is_cut_and_says_so():
    lines = [f"        x = {i}\n" for i in range(60)]
    text = source_of(defined("class Cell:\n    def sample(self, rng):\n" + "".join(lines)))
    assert len(text.split("\n")) == MOST and text.endswith(f"# … {62 - MOST + 1} more lines")


def test_what_has_no_code_gives_no_text():
    assert source_of(3) == "" and source_of(object()) == ""
