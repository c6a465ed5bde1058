"""Frames between judge and box: whole answers to the question that was asked, in time, and nothing else."""

import json
import socket
import struct
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maml_edu.checks import plain
from maml_edu.grading.sandbox import protocol
from maml_edu.grading.sandbox.protocol import Channel, Gone, Malformed, TooLate

quick = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), theirs


def framed(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(body)) + body


def answering(theirs, *answers):
    """Answer each question with a frame, in a thread of its own; "id" is filled in where it is "the same"."""

    def run():
        for answer in answers:
            question = protocol.receive(theirs)
            if isinstance(answer, dict) and answer.get("id") == "the same":
                answer = answer | {"id": question["id"]}
            theirs.sendall(answer if isinstance(answer, bytes) else framed(answer))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


# ------------------------------------------------------------------ as it should be


def test_a_question_gets_its_answer_and_the_next_one_its_own(pair):
    channel, theirs = pair
    thread = answering(theirs, *[{"id": "the same", "result": n} for n in range(3)])
    assert [channel.ask({"do": "x"}, 5)["result"] for _ in range(3)] == [0, 1, 2]
    thread.join()


def test_an_answer_may_come_in_pieces(pair):
    channel, theirs = pair

    def run():
        question = protocol.receive(theirs)
        for byte in framed({"id": question["id"], "text": "slowly"}):
            theirs.send(bytes([byte]))

    threading.Thread(target=run).start()
    assert channel.ask({}, 5)["text"] == "slowly"


def test_long_questions_and_answers_arrive_whole(pair):
    channel, theirs = pair
    text = "θ" * 500_000

    def echo():
        question = protocol.receive(theirs)
        protocol.send(theirs, {"id": question["id"], "text": question["text"]})

    threading.Thread(target=echo).start()
    assert channel.ask({"text": text}, 10)["text"] == text


def test_the_end_of_the_judge_is_told_as_none(pair):
    channel, theirs = pair
    channel.close()
    assert protocol.receive(theirs) is None


# ------------------------------------------------------------------ as it should not be


@pytest.mark.parametrize("answer", [
    framed(b""), framed(b"{}"), framed(b"null"), framed(b"[1]"), framed(b"1"), framed(b"\xff"),
    framed(b"{'id': 1}"),
    framed(b"[" * 100_000), framed(b'{"id":' * 100_000), framed(b'{"id": ' + b"1" * 10_000 + b"}"),
    framed({"id": 0}), framed({"id": 2}), framed({"id": True}), framed({"id": 1.0}), framed({"id": "1"}),
    framed({"id": None}), framed({"id": [1]}), struct.pack(">I", protocol.LARGEST + 1),
    b"\xff\xff\xff\xff", framed("\ud800".encode("utf-8", "surrogatepass")),
])  # fmt: skip
def test_an_answer_that_is_none_is_malformed(pair, answer):
    channel, theirs = pair
    thread = answering(theirs, answer)
    with pytest.raises(Malformed) as caught:
        channel.ask({}, 5)
    assert len(str(caught.value)) < 100
    thread.join()


def test_an_answer_before_there_is_a_question_is_malformed(pair):
    channel, theirs = pair
    theirs.send(framed({"id": 1}))
    with pytest.raises(Malformed, match="before there was a question"):
        channel.ask({}, 5)


def test_a_second_answer_to_a_question_is_malformed(pair):
    channel, theirs = pair
    answering(theirs, framed({"id": 1}) * 2).join(0.1)
    channel.ask({}, 5)
    with pytest.raises(Malformed):
        channel.ask({}, 5)


@pytest.mark.parametrize("said", [b"", b"\0", b"\0\0\0\x05{"])
def test_an_end_at_any_place_is_gone(pair, said):
    channel, theirs = pair
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Gone):
        channel.read(1, time.monotonic() + 5)
    theirs.close()
    with pytest.raises((Gone, Malformed)):
        channel.ask({}, 5)


@pytest.mark.parametrize("said", [b"", b"\0\0\0\x05{"])
def test_silence_at_any_place_is_too_late(pair, said):
    channel, theirs = pair
    theirs.sendall(said)
    start = time.monotonic()
    with pytest.raises(TooLate):
        channel.read(1, start + 0.2)
    assert 0.15 < time.monotonic() - start < 2


def test_drops_do_not_put_off_the_end(pair):
    channel, theirs = pair
    over = threading.Event()

    def drip():
        for byte in struct.pack(">I", 1000) + b" " * 1000:
            if over.wait(0.05):
                return
            theirs.send(bytes([byte]))

    thread = threading.Thread(target=drip)
    thread.start()
    start = time.monotonic()
    with pytest.raises(TooLate):
        channel.ask({}, 0.3)
    assert time.monotonic() - start < 2
    over.set()
    thread.join()


def test_a_box_that_does_not_listen_does_not_keep_the_judge(pair):
    channel, _ = pair
    start = time.monotonic()
    with pytest.raises(TooLate):
        channel.ask({"text": "x" * (64 << 20)}, 0.3)
    assert time.monotonic() - start < 5


def test_no_time_at_all_is_too_late(pair):
    with pytest.raises(TooLate):
        pair[0].ask({}, -1)


def test_files_that_are_sent_along_do_not_stay_open(pair):
    channel, theirs = pair
    with open("/dev/null") as file:
        socket.send_fds(theirs, [framed({"id": 7})], [file.fileno()] * 5)
    before = socket.socket()  # the lowest free number
    number = before.fileno()
    before.close()
    channel.read(7, time.monotonic() + 5)
    after = socket.socket()
    assert after.fileno() == number
    after.close()


# ------------------------------------------------------------------ whatever comes


@quick
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_json_or_malformed(body):
    try:
        protocol.parse(body)
    except Malformed:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from(["AAAAAAAAAAA=", "", "<f8", "|b1", "<U1", ">i4", "double_well", "T", "<f16", "O"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.fixed_dictionaries({"array": inner, "dtype": inner, "shape": inner})
    | st.dictionaries(
        st.sampled_from(["array", "dtype", "shape", "list", "tuple", "dict", "function"]), inner, max_size=3
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=600, deadline=None, derandomize=True)
@given(json_values)
def test_any_json_is_plain_data_or_a_value_error(value):
    try:
        found = plain.decode(json.dumps(value))
    except ValueError:
        return
    np.testing.assert_equal(plain.to_plain(found), found)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    data=st.sampled_from(["", "AAAAAAAAAAA=", "AAAA", "/////w==", "AAAAAAAAAAAAAAAAAAAAAA=="])
    | st.text(max_size=4),
    dtype=st.from_regex(r"[<>|=]?(b1|[iufU]\d{1,2})", fullmatch=True) | st.text(max_size=4),
    shape=st.lists(st.integers(-2, 4) | st.just(2**31 - 1) | st.booleans(), max_size=70)
    | st.integers(),
)
def test_any_array_is_small_or_a_value_error(data, dtype, shape):
    try:
        found = plain.from_json({"array": data, "dtype": dtype, "shape": shape})
    except ValueError:
        return
    assert found.nbytes <= 16 and found.dtype.kind in "biufU" and found.flags.writeable


@pytest.mark.parametrize("shape", [[0, 2**31 - 1], [2**31 - 1, 0, 2**31 - 1], [0] + [2] * 30])
def test_an_array_of_nothing_has_no_absurd_shape(shape):
    with pytest.raises(ValueError, match="a size that cannot be"):
        plain.from_json({"array": "", "dtype": "<f8", "shape": shape})


@pytest.fixture
def usual_depth():
    """As deep as Python goes unless told otherwise, as it has been by something in the whole suite."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


def test_deep_data_are_a_value_error(usual_depth):
    with pytest.raises(ValueError, match="nested too deeply"):
        plain.decode('{"list": [' * 600 + "]}" * 600)


def test_numbers_of_extended_precision_travel_in_double():
    sent = plain.to_plain(np.array([1 / np.longdouble(3)]))
    assert sent.dtype == np.float64 and plain.decode(plain.encode(sent)) == sent
