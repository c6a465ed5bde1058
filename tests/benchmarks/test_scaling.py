"""docs/scaling.md and the script that works out its tables say the same."""

import pytest
from scripts import script_of

from maml_edu import places

ROOT = places.course_root()


@pytest.fixture(scope="module")
def scaling():
    return script_of("scaling")


def test_the_tables_on_the_page_are_those_of_the_model(scaling, capsys):
    scaling.show_model()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 20 and [row for row in rows if row not in page] == []


def test_a_ring_sends_twice_the_gradient_at_most_and_one_gpu_nothing(scaling):
    assert scaling.all_reduce_time(1, 10**6) == 0
    by_bytes = [
        scaling.all_reduce_time(gpus, 10**9) - scaling.all_reduce_time(gpus, 0) for gpus in (2, 4, 8)
    ]  # fmt: skip
    expected = [2 * (n - 1) / n * 4e9 / 200e3 for n in (2, 4, 8)]
    assert by_bytes == pytest.approx(expected)


def test_no_step_is_shorter_than_the_floor_or_than_its_largest_share(scaling):
    assert scaling.step_time(1, 32, 0, per_task=100, floor=10, every_rank=0) == 3200
    reduce = scaling.all_reduce_time(3, 0)
    three = scaling.step_time(3, 32, 0, per_task=100, floor=10, every_rank=1)
    assert three == pytest.approx(1100 + 32 + reduce)  # 11 tasks is the largest of three shares
    assert scaling.step_time(32, 32, 0, 100, 800, 0) == 800 + scaling.all_reduce_time(32, 0)
