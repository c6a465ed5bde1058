"""Scores for LTI: what they say, and that each is sent once, whatever is killed and however often it is run."""

import json

import class_folder
import graded
import lti_platform
import pytest
from graded import CHAPTER, WRITTEN

from maml_edu.grading import exports, give_back
from maml_edu.grading.by_hand import COLUMNS
from maml_edu.grading.exports import Into, ags
from maml_edu.grading.exports.who import Known
from maml_edu.grading.marks import Mark

MEMBERS = [
    {"user_id": f"u-{login}", "lis_person_sourcedid": login, "email": f"{login}@x.org", "roles": [role]}
    for login, role in (("ada", "x#Learner"), ("wei", "x#Learner"), ("eve", "x#Learner"),
                        ("bob", "x#Learner"), ("prof", "x#Instructor"))
]  # fmt: skip


@pytest.fixture
def room(tmp_path):
    """ada is done with 0 points, bob with all, wei waits, eve has no mark, zoe is no member."""
    room = class_folder.folder(tmp_path)
    class_folder.hand_in(tmp_path, graded.result("ada", ["wrong"] * 4, "why"))
    for key in ("bob", "wei", "zoe"):
        class_folder.hand_in(tmp_path, graded.result(key))
    class_folder.hand_in(tmp_path, graded.rejected("eve"))
    room.by_hand.write_text(",".join(COLUMNS) + f"\nada,{WRITTEN},0,No.\nbob,{WRITTEN},2,Good.\n")
    return room


def written(room, **into):
    return exports.write_export(
        room, give_back.marks_of(room, [CHAPTER]), "lti", CHAPTER, Into(**into)
    )


def scores_in(room):
    lines = (
        (room.root / "exports" / f"lti_{CHAPTER}.jsonl").read_text(encoding="utf-8").splitlines()
    )
    return {score["userId"]: score for score in map(json.loads, lines)}


def members_file(tmp_path):
    path = tmp_path / "members.json"
    path.write_text(json.dumps({"members": MEMBERS}))
    return path


def test_a_file_of_scores_says_what_waits_and_what_failed_and_gives_neither_a_number(
    room, tmp_path
):
    lines = written(room, exported=members_file(tmp_path))
    found = scores_in(room)
    told = {
        u: (s["activityProgress"], s["gradingProgress"], s.get("scoreGiven"))
        for u, s in found.items()
    }
    assert told == {
        "u-ada": ("Completed", "FullyGraded", 0), "u-bob": ("Completed", "FullyGraded", 13),
        "u-wei": ("Submitted", "PendingManual", None), "u-eve": ("Submitted", "Failed", None),
    }  # fmt: skip
    assert found["u-bob"]["scoreMaximum"] == 13 and "Comment: Good." in found["u-bob"]["comment"]
    assert "there is no lti.toml, so nothing was sent" in lines[0]
    assert "left out: zoe: is no member there" in lines and "without a number: eve: Failed" in lines


def test_the_file_is_the_same_bytes_until_a_mark_changes_and_time_goes_only_forward(room, tmp_path):
    written(room, exported=members_file(tmp_path))
    path = room.root / "exports" / f"lti_{CHAPTER}.jsonl"
    before, old = path.read_bytes(), scores_in(room)
    written(room, exported=members_file(tmp_path))
    assert path.read_bytes() == before
    room.by_hand.write_text(
        ",".join(COLUMNS) + f"\nada,{WRITTEN},1,Better.\nbob,{WRITTEN},2,Good.\n"
    )
    written(room, exported=members_file(tmp_path))
    new = scores_in(room)
    assert new["u-ada"]["timestamp"] > old["u-ada"]["timestamp"] and new["u-bob"] == old["u-bob"]


def test_points_of_a_mark_that_waits_go_only_when_asked_for_and_stay_pending(room, tmp_path):
    written(room, exported=members_file(tmp_path), partial=True)
    wei = scores_in(room)["u-wei"]
    assert (wei["scoreGiven"], wei["gradingProgress"]) == (11, "PendingManual")
    assert "scoreGiven" not in scores_in(room)["u-eve"]


def test_two_members_that_fit_and_a_list_that_is_none_give_nobody_a_score(tmp_path):
    members = [{"user_id": str(i), "name": "N N"} for i in range(2)]
    users, why = ags.users_of(["N N", "x"], members, Known())
    assert users == {} and "more than one" in why["N N"] and why["x"] == "is no member there"
    found = [Mark("N N", CHAPTER, "graded", 3, 13)]
    assert ags.scores(found, users, {}) == []
    (tmp_path / "m.json").write_text('{"members": [1]}')
    with pytest.raises(ValueError, match="is no list of members"):
        ags._members(tmp_path / "m.json", None)


# ------------------------------------------------------------------ sent to a platform


@pytest.fixture(scope="module")
def keys():
    pytest.importorskip("pylti1p3")
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    pem, plain = form.Encoding.PEM, form.NoEncryption()
    private = key.private_bytes(pem, form.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(pem, form.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.fixture
def platform(room, keys):
    with lti_platform.platform(keys[1]) as server:
        server.members = MEMBERS
        (room.root / "key.pem").write_text(keys[0])
        (room.root / "lti.toml").write_text(
            f'issuer = "https://lms.example"\nclient_id = "client"\ntoken_url = "{server.url}/token"\n'
            f'key = "key.pem"\nline_items = "{server.url}/items"\nmembers = "{server.url}/members"\n'
        )
        yield server


def test_scores_are_sent_once_and_only_what_changes_again(room, platform):
    assert written(room)[0] == "4 scores sent, 0 were there already."
    assert [item["resourceId"] for item in platform.items] == [f"maml_edu:{CHAPTER}"]
    assert (
        platform.scores["u-ada"]["scoreGiven"] == 0 and "scoreGiven" not in platform.scores["u-eve"]
    )
    assert written(room)[0] == "0 scores sent, 4 were there already."
    room.by_hand.write_text(",".join(COLUMNS) + f"\nada,{WRITTEN},1,\nbob,{WRITTEN},2,Good.\n")
    assert written(room)[0] == "1 scores sent, 3 were there already."
    assert platform.scores["u-ada"]["scoreGiven"] == 1
    assert len(platform.posted) == 5 and len(platform.items) == 1


def test_a_dry_run_asks_nobody_anything(room, platform, tmp_path):
    lines = written(room, exported=members_file(tmp_path), dry_run=True)
    assert (
        "4 scores; nothing was sent" in lines[0] and platform.asked == [] and platform.tokens == {}
    )
    assert len(scores_in(room)) == 4


@pytest.mark.parametrize("after", range(4))
def test_a_platform_that_stops_answering_gets_the_rest_later_and_nothing_twice(
    room, platform, after
):
    platform.down_after = after
    with pytest.raises(RuntimeError, match=f"{after} scores were sent; the same command goes on"):
        written(room)
    platform.down_after = None
    written(room)
    users = [score["userId"] for score in platform.posted]
    assert sorted(users) == ["u-ada", "u-bob", "u-eve", "u-wei"]


@pytest.mark.parametrize("after", range(4))
def test_what_arrived_before_a_kill_is_not_sent_again_where_the_platform_can_say_so(
    room, platform, after
):
    platform.dies_after = after  # it has kept the score, and we never heard of it
    with pytest.raises(RuntimeError, match="does not answer"):
        written(room)
    platform.dies_after = None
    written(room)
    numbers = [s["userId"] for s in platform.posted if "scoreGiven" in s]
    assert sorted(numbers) == ["u-ada", "u-bob"]
    for user in (
        "u-wei",
        "u-eve",
    ):  # without a number: the same again, time included, is the same one
        assert len({s["timestamp"] for s in platform.posted if s["userId"] == user}) == 1


def test_a_line_that_was_cut_off_in_the_log_counts_as_never_written(room, platform):
    written(room)
    log = room.root / "exports" / f"lti_{CHAPTER}.sent.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    # It was wei's, which has no number to ask the platform for.
    assert written(room)[0] == "1 scores sent, 3 were there already."
    assert written(room)[0] == "0 scores sent, 4 were there already."


def test_a_score_that_is_not_taken_is_named_and_the_others_go(room, platform):
    platform.refuse = {"u-bob"}
    lines = written(room)
    assert lines[0] == "3 scores sent, 0 were there already."
    assert any(line.startswith("not taken: bob: 422") for line in lines)
    platform.refuse = set()
    assert written(room)[0] == "1 scores sent, 3 were there already."


def test_another_maximum_on_the_platform_needs_scale(room, platform):
    platform.items.append(
        {"id": f"{platform.url}/items/0", "resourceId": f"maml_edu:{CHAPTER}", "scoreMaximum": 100}
    )
    with pytest.raises(ValueError, match="the platform has 100 points .* --scale"):
        written(room)
    assert platform.posted == []
    written(room, scale=True)
    assert (platform.scores["u-bob"]["scoreGiven"], platform.scores["u-bob"]["scoreMaximum"]) == (
        13,
        13,
    )


def test_settings_that_are_not_right_are_named(room):
    (room.root / "lti.toml").write_text('issuer = "x"\nserver = "y"\n')
    with pytest.raises(
        ValueError, match="missing: client_id, token_url, key, line_items; not known: server"
    ):
        written(room)
