"""Answers written past the program in the box, straight into the channel: none is believed that is none."""

from __future__ import annotations

from .cases import ANY, answer, cell

FORGE = """
import json, os, struct, sys, time
def question():
    frame = sys._getframe()
    while 'request' not in frame.f_locals: frame = frame.f_back
    return frame.f_locals['request']['id']
def framed(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack('>I', len(body)) + body
def put(data):
    while data: data = data[os.write(3, data):]
"""
LOST = (0, 3, 3, 3, 4, 3)


def first(name, body, points=LOST, **more):
    """The first answer does this when it is called; q: the question's number."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    source = f"{FORGE}def meta_slope(theta, c, a, alpha):\n    q = question()\n{lines}"
    return answer(name, points, meta_slope=source, **more)


def reply(name, message, **more):
    """The first answer's reply is this message, and nothing after it."""
    return first(name, f"put(framed({message}))\nos._exit(0)", **more)


def result(name, value, **more):
    return reply(f"result: {name}", f"{{'id': q, 'result': {value}}}", **more)


ODD = "sent something that is no answer"
FRAMES = [
    first("a frame of 4 GB", "put(b'\\xff\\xff\\xff\\xff' + bytes(1 << 20)); time.sleep(9)", says=ODD, marks=("ordinary",)),
    first("a frame of 9 MB", "put(framed(b' ' * (9 << 20)))\nos._exit(0)", says=ODD),
    first("a frame of nothing", "put(bytes(4))\nos._exit(0)", says=ODD),
    first("half a frame, then nothing more", "put(b'\\0\\0\\0\\x09{')\ntime.sleep(99)", quick=True, says="a loop that does not end"),
    first("half a frame, then the end", "put(b'\\0\\0\\0\\x09{')\nos._exit(0)", says="ended its own process"),
    first("a frame letter by letter", "for b in framed({'id': q, 'result': 1.0}): put(bytes([b])); time.sleep(0.2)",
          quick=True, says="a loop that does not end"),
    first("nothing but noise", "put(os.urandom(1 << 16))\nos._exit(0)"),
    first("a flood", "while True: put(bytes(1 << 16))", says=ODD, quick=True, marks=("ordinary", "given")),
    first("a flood of frames", "while True: put(framed({'id': q, 'result': 1.0}) * 1000)", quick=True),
    first("the answer twice", "put(framed({'id': q, 'result': 0.0}) * 2)\nreturn 0.0"),
    first("answers to questions to come", "put(b''.join(framed({'id': n, 'result': 0.0}) for n in range(q, q + 50)))\nos._exit(0)"),
    first("the right answer first, then a forged one", """
put(framed({'id': q, 'result': (1 - alpha * a) ** 2 * a * (theta - c)}) + framed({'id': q + 1, 'result': True}))
time.sleep(0.2)
""", says=ODD),
    first("a late answer", "if not os.fork(): time.sleep(0.3); put(framed({'id': q, 'result': 0.0}))\nreturn 0.0"),
    first("a file through the channel", """
import socket
socket.send_fds(socket.socket(fileno=os.dup(3)), [framed({'id': q, 'result': 0.0})], [os.open('/usr', 0), 0, 1, 2])
os._exit(0)
"""),
    first("urgent data", "import socket\nsocket.socket(fileno=os.dup(3)).send(b'x', socket.MSG_OOB)\nos._exit(0)"),
    reply("not JSON", "b'result: 1.0'", says=ODD),
    reply("not UTF-8", "b'{\"id\": \\xff}'", says=ODD),
    reply("a list", "[q, 1.0]", says=ODD),
    reply("a number", "q", says=ODD),
    reply("null", "None", says=ODD),
    reply("no number of its question", "{'result': 1.0}", says=ODD),
    reply("an earlier question's number", "{'id': q - 1, 'result': 1.0}", says=ODD),
    reply("a later question's number", "{'id': q + 1, 'result': 1.0}", says=ODD),
    reply("true for its number", "{'id': True, 'result': 1.0}", says=ODD),
    reply("a float for its number", "{'id': float(q), 'result': 1.0}", says=ODD),
    reply("text for its number", "{'id': str(q), 'result': 1.0}", says=ODD),
    reply("deep JSON", "b'[' * 200000", says=ODD),
    reply("a number of a million digits", "b'{\"id\": ' + str(q).encode() + b', \"result\": ' + b'7' * 10**6 + b'}'", says=ODD),
    reply("the verdict", "{'id': q, 'right': True, 'outcome': 'right', 'points': 3, 'failed': ['right', '']}", says=ODD),
    reply("not done", "{'id': q, 'stub': True}"),
    reply("too large, it says", "{'id': q, 'too_large': True}", says="far larger"),
    reply("an error that is none", "{'id': q, 'raised': '<script>alert(1)</script>'}", says="raised an error"),
    reply("an error with another line", "{'id': q, 'raised': {'kind': 'ValueError', 'cell': 2, 'line': 10**9}}", says="raised ValueError"),
    reply("an error in a cell that is none", "{'id': q, 'raised': {'kind': ['x'], 'cell': -1, 'line': -1}}", says="raised an error"),
    reply("an error with a name of a megabyte", "{'id': q, 'raised': {'kind': 'V' * 10**6, 'cell': True, 'line': 1.5}}", says="raised an error"),
]  # fmt: skip

F8 = "'dtype': '<f8'"
RESULTS = [
    result("a bare list", "[1.0]", says=ODD),
    result("unknown", "{'set': [1]}", says=ODD),
    result("says too much", "{'list': [], 'tuple': []}", says=ODD),
    result("NaN", "float('nan')", says="NaN"),
    result("a shape that does not fit", f"{{'array': 'AAAAAAAAAAA=', {F8}, 'shape': [7]}}", says=ODD),
    result("a negative shape", f"{{'array': 'AAAAAAAAAAA=', {F8}, 'shape': [-1]}}", says=ODD),
    result("a shape of a million axes", f"{{'array': 'AAAAAAAAAAA=', {F8}, 'shape': [1] * 10**6}}", says=ODD),
    result("a shape beyond all memory", f"{{'array': '', {F8}, 'shape': [0, 2**31 - 1, 2**31 - 1]}}", says=ODD),
    result("a shape of floats", f"{{'array': 'AAAAAAAAAAA=', {F8}, 'shape': [1.0]}}", says=ODD),
    result("a shape of text", f"{{'array': 'AAAAAAAAAAA=', {F8}, 'shape': 'all'}}", says=ODD),
    result("half an element", f"{{'array': 'AAAA', {F8}, 'shape': [1]}}", says=ODD),
    result("not base 64", f"{{'array': '\\u2603', {F8}, 'shape': [1]}}", says=ODD),
    result("objects", "{'array': 'AAAAAAAAAAA=', 'dtype': 'O', 'shape': [1]}", says=ODD),
    result("a structure", "{'array': 'AAAAAAAAAAA=', 'dtype': 'f8,f8', 'shape': [1]}", says=ODD),
    result("dates", "{'array': 'AAAAAAAAAAA=', 'dtype': '<M8[s]', 'shape': [1]}", says=ODD),
    result("text that is none", "{'array': '/////w==', 'dtype': '<U1', 'shape': [1]}", says=ODD),
    result("very long words", "{'array': '', 'dtype': '<U999999999', 'shape': [0]}", says=ODD),
    result("a function that there is not", "{'function': 'os.system'}", says=ODD),
    result("a function that there is", "{'function': 'quadratic'}", says="should hold numbers"),
    result("keys that are lists", "{'dict': [[[1], 2]]}", says=ODD),
    result("a dict of triples", "{'dict': [[1, 2, 3]]}", says=ODD),
    result("true that is 77", "{'array': 'TQ==', 'dtype': '|b1', 'shape': [1]}", says="should be a number"),
    reply("result: deep", "b'{\"id\": ' + str(q).encode() + b', \"result\": ' + b'{\"list\": [' * 300 + b'0' + b']}' * 300 + b'}'"),
    reply("result: deeper", "b'{\"id\": ' + str(q).encode() + b', \"result\": ' + b'{\"list\": [' * 490 + b'0' + b']}' * 490 + b'}'"),
    result("words among numbers", "{'list': ['x' * (1 << 20), *[0] * 10**5]}", says="far larger"),
]  # fmt: skip

RUNS = [
    cell("forges while its cells run", FORGE + "put(framed({'id': question(), 'bound': {'meta_slope': 10**9}}))", points=ANY),
    cell("forges what is bound", FORGE + """
from maml_edu.grading.sandbox import inside
run = inside.Sitting.do_run
inside.Sitting.do_run = lambda *a, **k: run(*a, **k) | {'bound': {'meta_slope': 10**9, 'best_start': -1, 'x': 'y', 3: []}}
""", points=ANY),
    cell("forges what is bound, oddly", """
from maml_edu.grading.sandbox import inside
inside.Sitting.do_run = lambda *a, **k: {'bound': [[['meta_slope']]], 'error': 7}
""", points=ANY),
    cell("sends more than it is asked", FORGE + "put(framed({'id': 5}) * 100)", points=ANY),
    cell("replaces the way to send", """
from maml_edu.grading.sandbox import protocol
protocol.send = lambda sock, message: sock.sendall(b'\\xff' * 100)
""", points=ANY),
    cell("replaces the way to receive", """
from maml_edu.grading.sandbox import protocol
protocol.receive = lambda sock: {'do': 'begin', 'with': {'watch': []}, 'id': 1}
""", quick=True, points=ANY),
]  # fmt: skip

CASES = [*FRAMES, *RESULTS, *RUNS]
