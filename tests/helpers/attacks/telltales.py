"""Errors chosen by a hidden input: what feedback says of them tells no number."""

from __future__ import annotations

from .cases import answer

FIRST = (0, 3, 3, 3, 4, 3)
KNOWN = "(1 - alpha * a) ** 2 * a * (theta - c)"


def hidden(name, then, says, before="", **more):
    """Right for five calls, as many as the visible check makes; then `then`, which sees the first input, too."""
    source = f"""
{before}
seen = []
def meta_slope(theta, c, a, alpha):
    seen.append(theta)
    if len(seen) <= 5: return {KNOWN}
    {then}"""
    return answer(name, FIRST, meta_slope=source, says=says, **more)


LINES = "exec(compile('\\n' * int(abs({}) * 10**4) + 'raise ValueError', '<cell 0>', 'exec'))"

CASES = [
    hidden("a line by the input", LINES.format("theta"), "your function raised ValueError", marks=("ordinary",)),
    hidden("a line by the first input", LINES.format("seen[0]"), "your function raised ValueError"),
    hidden("a kind by the input", "raise [ValueError, KeyError, OSError, EOFError][int(abs(theta)) % 4]", "your function raised"),
    hidden("a rare kind", "raise UnicodeTranslateError('a', 0, 1, 'b')", "your function raised an error"),
    hidden("the words of an error", "raise ValueError(theta)", "your function raised ValueError"),
    hidden("a chain of errors", "raise ValueError(theta) from KeyError(seen[0])", "your function raised ValueError"),
    hidden("a group of errors", "raise ExceptionGroup('x', [ValueError(theta), KeyError(c)])", "your function raised an error"),
    hidden("an end with a number", "raise SystemExit(int(theta * 100))", "your function raised an error"),
    hidden("an error with notes", "e = ValueError(); e.add_note(repr(theta)); raise e", "your function raised ValueError"),
    answer("a line by what it has left in files", FIRST, says="your function raised ValueError (line 6 of its cell", meta_slope="""
        import pathlib
        files = [pathlib.Path(folder) / 'seen' for folder in ('/tmp', '/dev/shm', '.')]
        old = any(file.exists() for file in files)
        def meta_slope(theta, c, a, alpha):
            for file in files: file.write_text(repr(theta))
            if not old: raise ValueError
            raise KeyError"""),
    answer("always an error", FIRST, says="your function raised KeyError (line 2 of its cell: return {}[theta])",
           meta_slope="def meta_slope(theta, c, a, alpha):\n    return {}[theta]"),
    answer("an error in a helper of another cell", FIRST, says="IndexError (line 1 of its cell: def helper(x): return [][0])",
           before="def helper(x): return [][0]", meta_slope="def meta_slope(theta, c, a, alpha): return helper(theta)"),
    answer("an error within NumPy", FIRST, says="ValueError (line 2 of its cell: return np.zeros(2) + np.zeros(3))",
           meta_slope="def meta_slope(theta, c, a, alpha):\n    return np.zeros(2) + np.zeros(3)"),
]  # fmt: skip
