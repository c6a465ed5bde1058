"""Answers that would hold the judge: hashes that collide, depth, numbers without an end, parts without number.

Each is wrong (or no answer), with a reason, in little time; none is an error of the grader.
"""

from __future__ import annotations

from .cases import answer
from .forgeries import ODD, reply, result

P61 = "(2**61 - 1)"
LARGER, DEEPER = "far larger than what was asked for", "far more deeply than what was asked for"
HERE = (2, 3, 0, 3, 4, 3)


def returned(name, source, says="", **more):
    """An honest function with a monster for a result, where an array is asked for."""
    lines = "\n".join("    " + line for line in source.split("\n"))
    function = f"def first_order_misleads(theta, c, a, alpha):\n{lines}"
    return answer(name, HERE, first_order_misleads=function, says=says, **more)


def nested(kind, levels):
    """JSON of so many lists in each other, as bytes."""
    opening, closing = (f'{{"{kind}": [', "]}") if kind != "dict" else ('{"dict": [["k", ', "]]}")
    return (
        f"b'{{\"id\": ' + str(q).encode() + b', \"result\": ' + b'{opening}' * {levels} + b'0' + "
        f"b'{closing}' * {levels} + b'}}'"
    )


FLOODS = [
    *(result(f"{count} keys of one hash", f"{{'dict': [[k * {P61}, 0] for k in range({count})]}}", says=says, marks=marks)
      for count, says, marks in ((50, "should be a number", ()), (5_000, LARGER, ()), (40_000, LARGER, ("ordinary",)),
                                 (280_000, ODD, ("given",)))),
    *(result(f"keys that begin alike, by {shift} bits", f"{{'dict': [[k << {shift}, 0] for k in range(6000)]}}",
             says="should be a number") for shift in (8, 24, 40, 50)),
    result("keys of the same few hashes", f"{{'dict': [[(k % 8) * {P61} + (k // 8 << 40), 0] for k in range(6000)]}}", says="should be a number"),
    result("negative keys of one hash", f"{{'dict': [[-k * {P61}, 0] for k in range(40000)]}}", says=LARGER),
    result("very large keys", "{'dict': [[1 << 2000 + k, 0] for k in range(2000)]}", says=LARGER),
    result("numbers of one hash", f"{{'list': [k * {P61} for k in range(60000)]}}", says="should be a number"),
    result("words of a million", "{'list': [str(k) for k in range(10**6)]}", says=ODD),
    result("the same key ten thousand times", "{'dict': [[0, 0]] * 7000}", says="should be a number"),
    result("dicts in a long list", "{'list': [{'dict': []}] * 60000}", says="should be a number"),
    result("arrays in a long list", "{'list': [{'array': '', 'dtype': '<f8', 'shape': [0]}] * 50000}", says=LARGER),
    reply("a name for each of a million parts", "b'{' + b','.join(b'\"%x\":0' % k for k in range(700000)) + b'}'", says=ODD),
    reply("a million changes", "{'id': q, 'result': 0.0, 'changed': [0] * 10**6}", says=ODD),
    reply("changes that are none", f"{{'id': q, 'result': 0.0, 'changed': [k * {P61} for k in range(100000)]}}", says="wrong value"),
    reply("a bound for each of a million names", "{'id': q, 'raised': {str(k): k for k in range(200000)}}", says="raised an error"),
]  # fmt: skip

DEPTHS = [
    *(reply(f"{levels} {kind}s in each other", nested(kind, levels), says=says, marks=marks)
      for kind, levels, says, marks in (
        ("list", 40, "should be a number", ()), ("list", 63, "should be a number", ()), ("list", 65, DEEPER, ()),
        ("list", 100, DEEPER, ()), ("list", 330, DEEPER, ("ordinary",)), ("list", 400, DEEPER, ("given",)),
        ("tuple", 60, "should be a number", ()), ("tuple", 200, DEEPER, ()), ("tuple", 450, DEEPER, ()),
        ("dict", 60, "should be a number", ()), ("dict", 150, DEEPER, ()), ("dict", 300, DEEPER, ()),
        ("list", 1200, ODD, ()), ("list", 100_000, ODD, ()),
    )),
    *(returned(f"an array, {levels} lists deep", f"r = 0.0\nfor _ in range({levels}): r = [r]\nreturn r", says=says, marks=marks)
      for levels, says, marks in (
        (3, "", ()), (33, "", ()), (60, "", ("ordinary",)), (70, DEEPER, ()), (200, DEEPER, ()), (340, DEEPER, ("ordinary", "given")),
        (400, DEEPER, ()), (489, DEEPER, ()), (600, DEEPER, ()), (5000, DEEPER, ()),
    )),
    returned("a list in itself, for an array", "r = [1.0]\nr.append(r)\nreturn r", says=DEEPER),
    returned("a dict in itself", "r = {}\nr['r'] = r\nreturn r", says=DEEPER),
    returned("two lists in each other", "a, b = [], []\na.append(b); b.append(a)\nreturn a", says=DEEPER),
]  # fmt: skip

NUMBERS = [
    *(returned(f"a number of {digits} digits", f"return 10**{digits}", says=says)
      for digits, says in ((19, ""), (300, ""), (310, LARGER), (4000, LARGER), (4400, LARGER), (100_000, LARGER))),
    returned("a negative number of 4000 digits", "return [-10**4000, 1.0]", says=LARGER),
    result("two thousand numbers of 4,300 digits", "{'list': [10**4299] * 1900}", says=LARGER),
    result("twenty thousand numbers of 300 digits", "{'list': [2**1000] * 20000}", says="should be a number"),
    reply("a number with a million digits behind the point", "b'{\"id\": ' + str(q).encode() + b', \"result\": 0.' + b'3' * 10**6 + b'}'", says="wrong value"),
    reply("an exponent of a million digits", "b'{\"id\": ' + str(q).encode() + b', \"result\": 1e' + b'9' * 10**6 + b'}'", says=""),
]  # fmt: skip

LENGTHS = [
    returned("sixty thousand numbers", "return [0.5] * 60000"),
    returned("a hundred thousand numbers", "return [0.5] * 10**5", says=LARGER),
    returned("six million bytes", "return np.zeros(6 * 10**6, np.int8)", says=LARGER),
    returned("six million truths in a square", "return np.zeros((2400, 2400), bool)", says=LARGER),
    returned("three million halves", "return np.zeros(3 * 10**6, np.float16)", says=LARGER),
    returned("a million numbers in a square", "return np.zeros((900, 900))"),
    returned("three thousand arrays", "return [np.zeros(3)] * 3000"),
    returned("thirty thousand arrays", "return [np.zeros(0)] * 30000", says=LARGER),
    returned("a word of a million letters", "return 'x' * 10**6"),
    returned("a word of two million letters", "return 'x' * (2 * 10**6)", says=LARGER),
    returned("spaces without an end", "return [' ' * 10**6, 0.0]"),
    returned("an array of long words", "return np.array(['x' * 4000] * 300)"),
    result("a shape of as many axes as there are parts", "{'array': '', 'dtype': '<f8', 'shape': [0] * 200000}", says=ODD),
    result("an array of sixty axes", "{'array': '', 'dtype': '<f8', 'shape': [0] * 60}"),
    result("an array that says it is large", "{'array': 'AAAAAAAAAAA=', 'dtype': '<f8', 'shape': [16777217]}", says=ODD),
    result("an array with spaces in it", "{'array': ' ' * (7 << 20), 'dtype': '<f8', 'shape': [0]}", says=ODD),
    reply("commas in a word", "{'id': q, 'result': ',' * 10**6}", says=ODD),
    reply("seven million spaces", "b'{\"id\": ' + b' ' * (7 << 20) + str(q).encode() + b', \"result\": 0.0}'", says="wrong value"),
    reply("seven million escapes", "b'{\"id\": ' + str(q).encode() + b', \"result\": \"' + b'\\\\u0001' * 1200000 + b'\"}'", says=LARGER),
]  # fmt: skip

CASES = [*FLOODS, *DEPTHS, *NUMBERS, *LENGTHS]
