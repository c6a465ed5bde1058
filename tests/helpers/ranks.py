"""Several processes joined by gloo on this machine, as torchrun would start them: `together`."""

import multiprocessing
import os
import signal
import socket
import time
import traceback

import numpy as np
import torch
from small_runs import Failing, Scaled, WithDropout, quiet, theta

import maml_edu.pytorch as mt
from maml_edu.pytorch.training.distributed import Distributed, processes
from maml_edu.tasks import Sinusoids

# The server imports once what takes seconds; torch._dynamo is what the first vmap would import.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "torch.distributed", "maml_edu.pytorch"])


def together(ranks, work, *arguments, waits_for=None, seconds=60):
    """What work(rank, *arguments) returned in each of the processes, or the words it failed with.

    None for a process that was killed, or that had not ended after so many seconds (and is killed).
    waits_for: how many of the first ranks are waited for; the others are killed after them.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = [CONTEXT.Pipe(duplex=False) for _ in range(ranks)]
    running = [
        CONTEXT.Process(target=_as_rank, args=(rank, ranks, port, pipe, work, arguments))
        for rank, (_, pipe) in enumerate(pipes)
    ]
    for process in running:
        process.start()
    until = time.monotonic() + seconds
    answers = []
    for rank, (process, (mine, theirs)) in enumerate(zip(running, pipes, strict=True)):
        theirs.close()
        waited = waits_for is None or rank < waits_for
        got = mine.poll(max(0.0, until - time.monotonic()) if waited else 0.0)
        try:
            answers.append(mine.recv() if got else None)
        except EOFError:  # it died
            answers.append(None)
        process.kill()
        process.join()
    return answers


def _as_rank(rank, ranks, port, pipe, work, arguments):
    torch.set_num_threads(1)
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(ranks),
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
    )  # fmt: skip
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer = work(rank, *arguments)
    except Exception as error:
        answer = "".join(traceback.format_exception_only(error))
    pipe.send(answer)


# ------------------------------------------------------------------ what the processes do


def in_double(seed=0, **options):
    """A learner in double precision, to be trained by all."""
    torch.manual_seed(seed)
    return mt.MAML(mt.MLP(1, 8, 1).double(), inner_lr=0.01, engine="plain", **options)


def numbers(tensors):
    return {name: value.numpy() for name, value in tensors.items()}


def gradient(rank, tasks):
    """Meta-loss and meta-gradient of a batch, from a θ that is another on each rank to begin with."""
    with processes("cpu"):
        learner = Distributed(in_double(rank, learn_inner_lr=True))
        value, grads = learner.meta_gradient(Sinusoids(5).sample(np.random.default_rng(0), tasks))
    return float(value), numbers(grads)


def training(rank, iterations, options, family=None, wrong_on=None, timeout=30.0):
    """(history, θ) after training together; `family` only on rank `wrong_on`, if that is given."""
    tasks = family if wrong_on in (None, rank) and family is not None else Sinusoids(5)
    options = {**quiet, "meta_batch": 5, **options}
    with processes("cpu", timeout):
        learner = Distributed(in_double())
        history = mt.meta_train(learner, tasks, iterations, **options)
    return history, numbers(theta(learner.learner))


def training_in_its_own_folder(rank, iterations, folders):
    return training(rank, iterations, {"checkpoint": folders[rank], "checkpoint_every": 2})


def training_with_dropout(rank, iterations, folder):
    with processes("cpu"):
        torch.manual_seed(0)
        learner = Distributed(mt.MAML(WithDropout(), engine="plain"))
        drawn = torch.rand(1).item()
        history = mt.meta_train(learner, Sinusoids(5), iterations, checkpoint=folder, **quiet)
    return history.loss, drawn


def press_ctrl_c(batch):
    signal.raise_signal(signal.SIGINT)
    return batch


def die(batch):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(batch):
    time.sleep(600)


def raise_in_callback(iteration, history, learner):
    if iteration == 3:
        raise ZeroDivisionError("my plot")


def stop_at_three(iteration, history, learner):
    return iteration == 3


INTERRUPTED = Failing(4, press_ctrl_c)
KILLED = Failing(4, die)
HANGING = Failing(4, hang)
DIVERGING = Failing(4, Scaled(1e300, task=4))  # the last of five tasks: the last rank's
