"""The marking page: every mark is in by_hand.csv at once, nobody else may ask, and nothing of a student's runs."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from html.parser import HTMLParser

import essays
import pytest
from chromium import launched, needs_browser
from essays import HOSTILE, LONG
from graded import WRITTEN

from maml_edu.grading import marks, run
from maml_edu.grading.by_hand import read_by_hand
from maml_edu.grading.marking.desk import Desk
from maml_edu.grading.marking.server import HEADERS, Server
from maml_edu.grading.pages import render

SAME = "The step is short where the curvature is small, so the factor stays close to one there."
CLASS = {
    "ada": LONG,
    "bob": SAME,
    "Çelik, Ömer": f"{SAME.upper()}\n",
    "dee": "I do not know.",
    "eve": HOSTILE,
    "fay": "copied",
}


@pytest.fixture
def room(tmp_path):
    return essays.a_room(tmp_path / "class", CLASS | {"fay": essays.model_answer()})


@contextmanager
def serving(room, **how):
    marks.write_by_hand_template(room.by_hand, marks.sound_results(room.results)[0])
    with Server(Desk(room, [], **how)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Asking:
    """A client that says what it is told to say."""

    def __init__(self, server):
        self.server = server

    def __call__(self, path, body=None, method=None, base=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        base = f"/{self.server.token}/" if base is None else base
        told = {"Host": self.server.host}
        if body is not None:
            told |= {"Origin": f"http://{self.server.host}", "Content-Type": "application/json"}
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        told = {name: value for name, value in told.items() if value is not None}
        method = method or ("GET" if body is None else "POST")
        connection.putrequest(method, base + path, skip_host=True)
        for name, value in told.items():
            connection.putheader(name, value)
        if body is not None and "Content-Length" not in told:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        content = reply.read()
        self.headers = dict(reply.headers)
        connection.close()
        is_json = reply.headers.get("Content-Type") == "application/json"
        return reply.status, json.loads(content) if is_json else content

    def sheets(self):
        _, state = self("state")
        return {one["name"]: one for question in state["questions"] for one in question["answers"]}


def a_mark(one, points=1, comment="", seen=None):
    return {
        "answers": [one["id"]],
        "points": points,
        "comment": comment,
        "seen": [seen or {"points": None, "comment": ""}],
    }


# ------------------------------------------------------------------ what it shows


def test_question_rubric_and_answers_are_there_and_equal_ones_are_known(room):
    with serving(room) as server:
        ask = Asking(server)
        _, state = ask("state")
        (question,) = state["questions"]
        assert question["worth"] == 2 and "04" in question["chapter"]
        assert "1 point" in question["rubric"] and "Rubric" not in question["model"]
        assert len(question["question"]) > 100
        own = ask.sheets()
        assert list(own) == sorted(CLASS)
        assert own["bob"]["same"] == [own["Çelik, Ömer"]["id"]]
        assert [name for name, one in own.items() if one["model"]] == ["fay"]
        _, shown = ask(f"answer/{own['ada']['id']}")
        assert "<strong>sign</strong>" in shown["html"] and "data:image/svg+xml" in shown["html"]
        assert shown["source"] == LONG


def test_anonymous_means_that_no_name_leaves_the_server(room):
    with serving(room, anonymous=True) as server:
        ask = Asking(server)
        told = json.dumps(ask("state")[1])
        assert not [name for name in CLASS if json.dumps(name) in told]
        assert list(ask.sheets()) == [f"Answer {i}" for i in range(1, 7)]
        one = ask.sheets()["Answer 1"]
        ask("give", a_mark(one, 1))
        status, told = ask("give", a_mark(one, 2))
        assert status == 409 and not [name for name in CLASS if name in told["error"]]


def test_a_changed_answer_waits_with_the_old_mark_beside_it(room):
    with serving(room) as server:
        ask = Asking(server)
        ask("give", a_mark(ask.sheets()["dee"], 0.5, "too short"))
        essays.hand_in(room, "dee", "I know now: the factor is close to one, for small steps.")
        one = ask.sheets()["dee"]
        now = ask("marks")[1]["marks"][one["id"]]
        assert now["waits"] and now["points"] is None
        assert now["old"] == [{"points": 0.5, "comment": "too short"}]


def test_an_answer_in_a_notebook_that_was_replaced_is_not_shown_for_the_one_that_was_graded(room):
    path = next((room.root / "submitted/dee").glob("*/*.ipynb"))
    path.write_text(path.read_text() + " ")
    with serving(room) as server:
        one = Asking(server).sheets()["dee"]
        assert "another notebook was handed in" in one["reason"]
        assert Asking(server)(f"answer/{one['id']}")[1]["source"] == ""


def test_dropped_questions_are_not_read(room):
    (room.root / "policy.toml").write_text(f'[chapters.04]\ndropped = ["{WRITTEN}"]\n')
    with serving(room) as server:
        assert Asking(server)("state")[1]["questions"] == []


@pytest.mark.parametrize(
    "text",
    [HOSTILE, "$" + "{" * 5000 + "}" * 5000 + "$", "[" * 20000, "> " * 5000, "`" * 9999, "\x00\x1b[2J\u202e",
     "$\\input{/etc/passwd}$", "a\n" * 40000, "<svg onload=alert(1)>", "[x]: javascript:alert(1)\n\n[x]",
     "|a|\n|-|\n" * 999,
     "<a href='javascript:alert(1)'>x</a>", "![a\"onerror=alert(1)](x)", "```\"><script>alert(1)</script>\nx\n```"],
    ids=range(14),
)  # fmt: skip
def test_what_a_student_wrote_is_shown_and_does_nothing(text):
    start = time.monotonic()
    html = render.html_of(text)
    assert time.monotonic() - start < 10 and len(html) < 1_000_000
    tags = Tags(html)
    assert tags.names <= set(
        "p h4 pre code img span strong em ul ol li blockquote br hr table thead tbody tr th td del".split()
    )
    assert {name for _, name in tags.attributes} <= {
        "class",
        "alt",
        "width",
        "height",
        "data-low",
        "src",
    }
    for value, name in tags.attributes:
        assert name != "src" or value.startswith("data:image/svg+xml;base64,")


class Tags(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.names, self.attributes = set(), set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {(value, name) for name, value in attrs}


# ------------------------------------------------------------------ what it writes


def test_every_mark_is_in_the_table_at_once_and_several_may_have_one(room):
    with serving(room) as server:
        ask = Asking(server)
        own = ask.sheets()
        ids = [own["bob"]["id"], *own["bob"]["same"]]
        blank = {"points": None, "comment": ""}
        status, told = ask(
            "give", {"answers": ids, "points": 1.5, "comment": "=good", "seen": [blank] * 2}
        )
        assert status == 200 and {told["marks"][id]["points"] for id in ids} == {1.5}
        given = read_by_hand(room.by_hand)
        for name in ("bob", "Çelik, Ömer"):
            assert (given[name, WRITTEN].points, given[name, WRITTEN].comment) == (1.5, "=good")
        assert given["ada", WRITTEN].points is None
    built = run.write_marks(room)
    assert {m.student: m.adjusted for m in built.marks if m.complete} == {
        "bob": 12.5,
        "Çelik, Ömer": 12.5,
    }


def test_two_pages_at_once_lose_nothing(room):
    with serving(room) as server, serving(room) as other:
        own = Asking(server).sheets()

        def work(where, names):
            ask = Asking(where)
            theirs = ask.sheets()
            for name in names:
                assert ask("give", a_mark(theirs[name], 1, name))[0] == 200

        names = sorted(own)
        threads = [
            threading.Thread(target=work, args=pair)
            for pair in ((server, names[::2]), (other, names[1::2]))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {key[0]: one.comment for key, one in read_by_hand(room.by_hand).items()} == {
            n: n for n in names
        }
        status, told = Asking(other)("give", a_mark(own["dee"], 2))
        assert status == 409 and "gave 1 points (dee)" in told["error"]


def test_a_damaged_table_is_told_and_stays_as_it_is(room):
    with serving(room) as server:
        ask = Asking(server)
        own = ask.sheets()
        room.by_hand.write_text("student,exercise,points\nada,written_04,two\n")
        status, told = ask("give", a_mark(own["ada"]))
        assert status == 500 and "line 2: the points must be a number" in told["error"]
        assert room.by_hand.read_text().endswith("two\n")


# ------------------------------------------------------------------ who may ask


def test_pages_are_served_with_a_policy_that_runs_nothing_from_elsewhere(room):
    with serving(room) as server:
        ask = Asking(server)
        for path in ("", "page.js", "page.css", "state", "marks"):
            assert ask(path)[0] == 200
            assert HEADERS.items() <= ask.headers.items()
        page = Tags(ask("")[1].decode())
        assert not {name for _, name in page.attributes if name.startswith("on") or name == "style"}
        addresses = {value for value, name in page.attributes if name in ("src", "href")}
        assert addresses == {"page.js", "page.css", "data:,"}


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (404, {"base": "/"}), (404, {"base": "/wrong/"}), (404, {"base": "/wrong/", "path": "state"}),
        (403, {"Host": "evil.example"}), (403, {"Host": "127.0.0.1"}), (403, {"Host": None}),
        (404, {"path": "../../etc/passwd"}), (404, {"path": "answer/x"}), (404, {"path": "server.py"}),
    ],
)  # fmt: skip
def test_nobody_without_the_address_reads_anything(room, status, how):
    with serving(room) as server:
        how = dict(how)
        found, told = Asking(server)(how.pop("path", ""), **how)
        assert found == status and "ada" not in json.dumps(told)


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (404, {"base": "/wrong/"}), (403, {"Origin": None}), (403, {"Origin": "http://evil.example"}),
        (403, {"Origin": "null"}), (403, {"Host": "evil.example"}), (415, {"Content-Type": "text/plain"}),
        (415, {"Content-Type": None}), (413, {"Content-Length": "99999999"}), (413, {"Content-Length": "-1"}),
        (400, {"body": b"{"}), (400, {"body": b"\xff"}), (400, {"body": []}), (400, {"body": {"answers": []}}),
        (400, {"body": b"[" * 100000}),
    ],
)  # fmt: skip
def test_nobody_but_the_page_gives_marks(room, status, how):
    with serving(room) as server:
        ask, how = Asking(server), dict(how)
        how = {name.replace("-", "_"): value for name, value in how.items()}
        body = how.pop("body", a_mark(ask.sheets()["ada"]))
        before = room.by_hand.read_bytes()
        assert ask("give", body, **how)[0] == status
        assert room.by_hand.read_bytes() == before


@pytest.mark.parametrize("points", [-1, 2.5, 1e300, True, "2", float("nan"), [], {}])
def test_points_that_cannot_be_are_refused(room, points):
    with serving(room) as server:
        ask = Asking(server)
        before = room.by_hand.read_bytes()
        assert ask("give", a_mark(ask.sheets()["ada"], points))[0] in (400, 500)
        assert room.by_hand.read_bytes() == before


# ------------------------------------------------------------------ the command, and a browser


@contextmanager
def the_command(room, *options):
    line = [sys.executable, "-c", "from maml_edu.cli import main; main()", "classroom", "mark"]
    line += ["--class", str(room.root), "--no-browser", *options]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while "http" not in said:
            said = process.stdout.readline()
            assert said, "it ended"
        yield process, "http" + said.split("http", 1)[1].strip()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_ends_it_and_the_marks_are_made_anew(room):
    with the_command(room) as (process, url):
        assert url.startswith("http://127.0.0.1:") and len(url.split("/")[3]) > 30
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in said
    assert "6 answers still wait" in said and room.database.is_file()


def test_nothing_to_read_is_said(tmp_path):
    from typer.testing import CliRunner

    from maml_edu.cli import app

    room = essays.a_room(tmp_path / "class", {})
    done = CliRunner().invoke(app, ["classroom", "mark", "--class", str(room.root)])
    assert done.exit_code != 0 and "nothing waits for a person" in str(done.exception)


class TestInABrowser:
    pytestmark = needs_browser

    def test_three_answers_are_marked_by_keys_alone(self, room, tmp_path):
        room.by_hand.parent.mkdir(exist_ok=True)
        with serving(room) as server, launched() as chromium:
            page, complaints = opened(chromium, server.url)
            page.wait_for_selector("#answer img.tex")
            assert page.inner_text("#progress") == "0 of 6 done"
            assert page.inner_text("#name") == "ada"
            page.keyboard.press("c")
            page.keyboard.type("well said, 1")
            page.keyboard.press("Escape")
            page.keyboard.press("2")
            waits_for(page, "1 of 6 done")
            page.keyboard.press("Enter")
            expect(page.locator("#name")).to_have_text("bob")
            page.keyboard.press("e")
            page.keyboard.press("1")
            waits_for(page, "3 of 6 done")
            page.keyboard.press("+")
            expect(page.locator("#points")).to_have_value("1.5")
            page.keyboard.press("Enter")
            expect(page.locator("#name")).to_have_text("dee")
            page.keyboard.press("9")
            expect(page.locator("#said")).to_contain_text("worth 2")
            page.keyboard.press("0")
            waits_for(page, "4 of 6 done")
            page.keyboard.press("Enter")
            expect(page.locator("#name")).to_have_text("eve")
            expect(page.locator("#answer")).to_contain_text("onerror")
            assert (
                page.title() == "Marking: 4 of 6"
                and page.query_selector("#answer img:not(.tex)") is None
            )
            page.keyboard.press("1")
            waits_for(page, "5 of 6 done")
            page.keyboard.press("u")
            waits_for(page, "4 of 6 done")
            page.keyboard.press("?")
            assert page.is_visible("#help")
            page.keyboard.press("Escape")
            pictures(page, tmp_path)
            assert complaints == []
        given = {
            key[0]: (one.points, one.comment) for key, one in read_by_hand(room.by_hand).items()
        }
        assert given == {
            "ada": (2, "well said, 1"), "bob": (1.5, ""), "Çelik, Ömer": (1.5, ""), "dee": (0, ""),
            "eve": (None, ""), "fay": (None, ""),
        }  # fmt: skip

    def test_what_somebody_else_gave_meanwhile_is_not_written_over_unseen(self, room):
        with serving(room) as server, launched() as chromium:
            page, complaints = opened(chromium, server.url)
            page.wait_for_selector("#answer p")
            ask = Asking(server)
            ask("give", a_mark(ask.sheets()["ada"], 2, "theirs"))
            page.keyboard.press("1")
            expect(page.locator("#said")).to_contain_text("Meanwhile")
            assert read_by_hand(room.by_hand)["ada", WRITTEN].comment == "theirs"
            assert page.input_value("#points") == "1"
            assert [c for c in complaints if "409" not in c] == []

    def test_what_is_typed_while_the_server_answers_stays(self, room, monkeypatch):
        give = Desk.give

        def slowly(desk, **how):
            time.sleep(0.3)
            give(desk, **how)

        monkeypatch.setattr(Desk, "give", slowly)
        with serving(room) as server, launched() as chromium:
            page, complaints = opened(chromium, server.url)
            page.wait_for_selector("#answer p")
            page.keyboard.press("p")
            page.keyboard.type("1,50")
            page.keyboard.press("Tab")
            page.keyboard.type("Good, ")
            expect(page.locator("#said")).to_contain_text("Saved: 1.5")
            page.wait_for_function("state.busy.then(() => true)")
            page.keyboard.type("but say why.")
            assert page.input_value("#comment") == "Good, but say why."
            page.keyboard.press("Enter")
            expect(page.locator("#name")).to_have_text("bob")
            assert page.input_value("#comment") == page.input_value("#points") == ""
            assert complaints == []
        given = read_by_hand(room.by_hand)["ada", WRITTEN]
        assert (given.points, given.comment) == (1.5, "Good, but say why.")

    def test_who_types_on_while_it_is_saved_stays_with_the_answer(self, room, monkeypatch):
        give, may = Desk.give, threading.Semaphore(0)

        def when_let(desk, **how):
            may.acquire(timeout=20)
            give(desk, **how)

        monkeypatch.setattr(Desk, "give", when_let)
        with serving(room) as server, launched() as chromium:
            page, complaints = opened(chromium, server.url)
            page.wait_for_selector("#answer p")
            page.keyboard.press("c")
            page.keyboard.type("Good")
            page.keyboard.press("Enter")
            page.keyboard.press("c")
            page.keyboard.type(", b")
            may.release()
            expect(page.locator("#said")).to_contain_text("Saved")
            page.keyboard.type("ut")
            may.release()
            expect(page.locator("#said")).to_contain_text("You typed on")
            assert page.inner_text("#name") == "ada" and page.input_value("#comment") == "Good, but"
            may.release(9)
            page.keyboard.press("Enter")
            expect(page.locator("#name")).to_have_text("bob")
            assert complaints == []
        assert read_by_hand(room.by_hand)["ada", WRITTEN].comment == "Good, but"

    def test_a_button_keeps_the_focus_when_its_points_are_saved(self, room):
        with serving(room) as server, launched() as chromium:
            page, _ = opened(chromium, server.url)
            page.wait_for_selector("#answer p")
            page.locator("#buttons button").nth(2).focus()
            page.keyboard.press("Space")
            expect(page.locator("#said")).to_contain_text("Saved: 1 of 2")
            page.wait_for_function("state.busy.then(() => true)")
            assert page.evaluate("document.activeElement.textContent") == "1"
            assert page.get_attribute("#buttons button:focus", "aria-pressed") == "true"


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def opened(chromium, url):
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    complaints = []
    page.on(
        "console",
        lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    return page, complaints


def waits_for(page, progress):
    expect(page.locator("#progress")).to_have_text(progress)


def pictures(page, folder):
    """Of the first answer: light, dark, and on a phone; no line is wider than the page."""
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#name")).to_have_text("ada")
    page.wait_for_selector("#answer img.tex")
    for name, scheme, width in (
        ("light", "light", 1280),
        ("dark", "dark", 1280),
        ("phone", "dark", 375),
    ):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=folder / f"marking_{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
