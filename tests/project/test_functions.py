"""No function of the library is long, and no long signature is written out again and again."""

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "maml_edu"
LONGEST = 60  # lines, signature and docstring apart
FEW = 4  # arguments that anybody may write out


def functions(source):
    """Every function of a source, methods and those within others included."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def length(function):
    """Lines from the first statement after the docstring to the last."""
    documented = ast.get_docstring(function, clean=False) is not None
    rest = function.body[documented:]
    return function.end_lineno - rest[0].lineno + 1 if rest else 0


def signature(function):
    """The names of the arguments in their order, `self` apart."""
    given = function.args
    named = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    names = tuple(argument.arg for argument in named if argument is not None)
    return names[names[:1] in (("self",), ("cls",)) :]


def too_long(sources):
    """Lines like "pytorch/maml.py: adapt has 61 lines", from {name of a file: its text}."""
    return [
        f"{name}: {function.name} has {length(function)} lines"
        for name, source in sources.items()
        for function in functions(source)
        if length(function) > LONGEST
    ]


def written_out_again(sources):
    """{arguments: where they stand} of each signature of many arguments that more than two functions have."""
    places = defaultdict(list)
    for name, source in sources.items():
        for function in functions(source):
            places[signature(function)].append(f"{name}: {function.name}")
    return {names: there for names, there in places.items() if len(names) > FEW and len(there) > 2}


def library():
    files = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {name: path.read_text(encoding="utf-8") for name, path in files.items()}


def test_no_function_of_the_library_is_long():
    assert too_long(library()) == []


def test_a_signature_of_many_arguments_is_written_out_twice_at_most():
    """Three functions that hand on the same five things want one name for them: a record."""
    assert written_out_again(library()) == {}


def test_the_two_tests_above_can_fail():
    body = '    """One\n    two."""\n    def inner(a,\n              b):\n' + "        a = 1\n" * 58
    assert too_long({"x.py": f"def outer(\n    a,\n):\n{body}"}) == []
    assert too_long({"x.py": f"def outer():\n{body}        b = 2\n"}) == [
        "x.py: outer has 61 lines"
    ]
    five, also = (
        "def f(a, b, *c, d, **e): 1\n",
        "class A:\n    async def g(self, a, b, *c, d, **e): 1\n",
    )
    assert written_out_again({"x.py": five + also, "y.py": "def f(a, b, c, d): 1\n" * 3}) == {}
    assert written_out_again({"x.py": five + also, "y.py": five}) == {
        ("a", "b", "c", "d", "e"): ["x.py: f", "x.py: g", "y.py: f"]
    }
