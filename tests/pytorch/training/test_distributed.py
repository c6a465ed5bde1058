"""One meta-batch over several processes: the numbers of one process, and nobody left waiting."""

import os
import socket
import subprocess
import sys
import time
from threading import Thread

import numpy as np
import pytest
import ranks
import torch
from ranks import in_double, numbers, together
from small_runs import fresh, quiet, same, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training import distributed
from maml_edu.pytorch.training.distributed import Alone, Distributed, meeting, processes
from maml_edu.tasks import Sinusoids


def close(a, b, rtol=1e-12):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rtol, atol=1e-14)


def alone(iterations, **options):
    """(history, θ) of one process, with the tasks that several would share."""
    learner = in_double()
    options = {**quiet, "meta_batch": 5, **options}
    history = mt.meta_train(learner, Sinusoids(5), iterations, **options)
    return history, numbers(theta(learner))


# ------------------------------------------------------------------ the same numbers


@pytest.mark.parametrize(("processes", "tasks"), [(2, 25), (3, 25), (3, 3)])
def test_the_meta_gradient_is_that_of_one_process(processes, tasks):
    """25 tasks are 12 + 13, or 8 + 8 + 9: a mean of the ranks' means would be wrong by a percent."""
    learner = in_double(learn_inner_lr=True)
    value, grads = learner.meta_gradient(Sinusoids(5).sample(np.random.default_rng(0), tasks))
    for got, slopes in together(processes, ranks.gradient, tasks):
        np.testing.assert_allclose(got, float(value), rtol=1e-13)
        close(slopes, numbers(grads))


@pytest.mark.parametrize("processes", [2, 3])
def test_training_together_is_training_alone(processes):
    options = {
        "validation": Sinusoids(5),
        "validation_episodes": 5,
        "validate_every": 4,
        "clip": 1.0,
    }
    expected, end = alone(10, **options)
    answers = together(processes, ranks.training, 10, options)
    for history, own in answers:
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
        np.testing.assert_allclose(history.validation, expected.validation, rtol=1e-12)
        close(own, end)
    first = answers[0]
    for history, own in answers[1:]:
        assert history.loss == first[0].loss and history.validation == first[0].validation
        assert all(np.array_equal(own[name], first[1][name]) for name in own)


@pytest.mark.parametrize(
    ("size", "tasks"), [(1, 1), (2, 25), (3, 25), (7, 25), (25, 25), (64, 100)]
)
def test_the_shares_are_contiguous_cover_all_tasks_and_differ_by_one_at_most(size, tasks):
    learner, shares = Distributed(fresh()), []
    for rank in range(size):
        learner.team = Alone()
        learner.team.rank, learner.team.ranks = rank, size
        shares.append(learner.share(tasks))
    assert [task for first, last in shares for task in range(first, last)] == list(range(tasks))
    assert {last - first for first, last in shares} <= {tasks // size, -(-tasks // size)}


def test_more_processes_than_tasks_are_refused_with_what_to_do():
    answers = together(3, ranks.gradient, 2)
    assert all(
        "3 processes share 2 tasks: 1 would have nothing to do" in words for words in answers
    )


def test_one_process_alone_computes_what_its_learner_computes():
    with processes("cpu") as device:
        assert device == "cpu"
        plain, wrapped = fresh(), Distributed(fresh())
        histories = [mt.meta_train(own, Sinusoids(5), 3, **quiet) for own in (plain, wrapped)]
    assert histories[0].loss == histories[1].loss and same(theta(plain), theta(wrapped))
    assert isinstance(wrapped.team, Alone) and wrapped.inner_steps == 1
    with pytest.raises(AttributeError, match="no_such"):
        wrapped.no_such  # noqa: B018


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused_before_anybody_waits(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(ValueError, match="device 'cuda:1' cannot be used here"), processes("cuda"):
        pass


def test_with_gpus_objects_still_go_round_on_the_cpu():
    """NCCL alone would want checkpoints and validation scores on the GPU."""
    backends = dict(part.split(":") for part in distributed._BACKENDS["cuda"].split(","))
    assert backends == {"cpu": "gloo", "cuda": "nccl"} and distributed._BACKENDS["cpu"] == "gloo"


ONE_OF_ONE = """
import os, sys
import torch
from maml_edu.pytorch.training.distributed import processes
with processes("cpu", 30):
    torch.func.vmap(torch.sin)(torch.ones(1))  # imports half of torch
    import torch._dynamo
    group = torch.distributed.group.WORLD
print("held by others:", sys.getrefcount(group) - 2)
"""


def test_nothing_keeps_the_group_whose_threads_could_abort_python_at_its_end():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    ended = subprocess.run(
        [sys.executable, "-c", ONE_OF_ONE],
        env=os.environ | place | {"MASTER_PORT": port},
        capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert ended.stdout == "held by others: 0\n"


# ------------------------------------------------------------------ stopping together


def test_ctrl_c_on_one_rank_stops_all_after_the_same_iteration(tmp_path):
    options = {"checkpoint": tmp_path}
    answers = together(2, ranks.training, 20, options, ranks.INTERRUPTED, 1)
    assert [len(history) for history, _ in answers] == [5, 5]
    assert all(history.interrupted for history, _ in answers)
    answers = together(2, ranks.training, 9, options)
    expected, end = alone(9)
    np.testing.assert_allclose(answers[0][0].loss, expected.loss, rtol=1e-12)
    close(answers[1][1], end)


def test_a_callback_is_rank_0_s_and_its_wish_to_stop_is_everybody_s():
    answers = together(2, ranks.training, 9, {"callbacks": [ranks.stop_at_three]})
    assert [len(history) for history, _ in answers] == [3, 3]
    assert all(history.stopped == "stop_at_three" for history, _ in answers)


def test_an_exception_in_a_callback_ends_all_ranks_after_a_checkpoint(tmp_path):
    options = {"callbacks": [ranks.raise_in_callback], "checkpoint": tmp_path}
    first, second = together(2, ranks.training, 9, options)
    assert "ZeroDivisionError: my plot" in first
    assert "rank 0 could not go on: ZeroDivisionError: my plot" in second
    assert len(torch.load(tmp_path / "checkpoint.pt")["history"]["loss"]) == 3


def test_a_divergence_in_one_rank_s_share_stops_all_at_the_same_iteration():
    words = together(2, ranks.training, 9, {}, ranks.DIVERGING)
    for own in words:
        assert "diverged at iteration 4" in own and "in 1 of 5 tasks (number 4 from 0)" in own


# ------------------------------------------------------------------ lost processes


def test_a_rank_that_is_killed_ends_the_others_with_a_word_and_a_checkpoint(tmp_path):
    options = {"checkpoint": tmp_path, "checkpoint_every": 2}
    began = time.monotonic()
    answers = together(3, ranks.training, 20, options, ranks.KILLED, 1)
    assert answers[1] is None
    for rank in (0, 2):
        assert f"PeerLost: rank {rank} lost another process of the run" in answers[rank]
        assert "goes on from the last checkpoint" in answers[rank]
    assert time.monotonic() - began < 25, "nobody waits for the time limit when a connection ends"
    learner = in_double()
    with pytest.warns(UserWarning, match="processes 3"):
        history = mt.meta_train(
            learner, Sinusoids(5), 9, **{**quiet, "meta_batch": 5, "checkpoint": tmp_path}
        )
    expected, end = alone(9)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)
    close(numbers(theta(learner)), end)


def test_a_rank_that_does_not_answer_is_lost_after_the_time_limit():
    first, second = together(2, ranks.training, 20, {}, ranks.HANGING, 1, 2.0, waits_for=1)
    assert "PeerLost: rank 0 lost another process" in first and second is None


def test_processes_that_are_started_again_meet_under_a_name_of_their_own():
    """In one store, as torchrun keeps it: what an attempt left there must not be taken for the next."""
    store, names = torch.distributed.HashStore(), []

    def come(rank, late):
        time.sleep(late)
        names.append(meeting(store, rank, 3, 5.0))

    for order in ([0, 0.1, 0.2], [0.2, 0, 0.1], [0.1, 0.2, 0]):
        threads = [Thread(target=come, args=pair) for pair in enumerate(order)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    attempts = [names[:3], names[3:6], names[6:]]
    assert all(len(set(attempt)) == 1 for attempt in attempts) and len(set(names)) == 3


def test_a_process_that_does_not_come_is_missed_after_the_time_limit():
    store = torch.distributed.HashStore()
    store.set("word of 1", "of an earlier attempt")
    with pytest.raises(RuntimeError, match=r"not all of 2 processes came within 0.2 s"):
        meeting(store, 0, 2, 0.2)


# ------------------------------------------------------------------ going on together


def test_all_ranks_go_on_from_the_one_that_has_come_furthest(tmp_path):
    """After a restart rank 0 may be a machine whose folder is empty, or behind."""
    folders = [tmp_path / "here", tmp_path / "there"]
    alone(2, checkpoint=folders[0])
    alone(4, checkpoint=folders[1])
    state = torch.load(folders[1] / "checkpoint.pt")
    state["history"]["loss"][0] = 123.0  # by which it is known
    torch.save(state, folders[1] / "checkpoint.pt")
    answers = together(2, ranks.training_in_its_own_folder, 9, folders)
    expected, end = alone(9)
    for history, own in answers:
        np.testing.assert_allclose(history.loss, [123.0, *expected.loss[1:]], rtol=1e-12)
        close(own, end)
    done = [len(torch.load(f / "checkpoint.pt")["history"]["loss"]) for f in folders]
    assert done == [9, 4], "rank 0 writes"


def test_a_damaged_checkpoint_on_one_rank_is_an_error_on_all(tmp_path):
    folders = [tmp_path / "here", tmp_path / "there"]
    folders[1].mkdir()
    (folders[1] / "checkpoint.pt").write_bytes(b"damaged")
    answers = together(2, ranks.training_in_its_own_folder, 9, folders)
    assert all("ValueError" in words and "is damaged" in words for words in answers)


def test_each_rank_has_a_random_stream_of_its_own_and_goes_on_with_it(tmp_path):
    whole = together(2, ranks.training_with_dropout, 6, tmp_path / "whole")
    (_, here), (_, there) = whole
    assert here != there, "dropout is not the same on both ranks"
    together(2, ranks.training_with_dropout, 3, tmp_path / "parts")
    parts = together(2, ranks.training_with_dropout, 6, tmp_path / "parts")
    assert [loss for loss, _ in parts] == [loss for loss, _ in whole]
