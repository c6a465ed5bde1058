"""The state of a run in one file, from which training goes on as if it had never stopped: `Checkpoint`.

Next to it is the one written before, for the day on which a disk damages the newer: see `fall_back`.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

from maml_edu import __version__
from maml_edu.atomic import name_again, replacing

FORMAT = 2  # of the file; 1 had no "format", one optimiser and no validation
_KEYS = {"versions", "settings", "config", "learner", "stepper", "generators", "history", "best"}
NAME, BEFORE, DAMAGED = "checkpoint.pt", "checkpoint.previous.pt", "checkpoint.damaged.pt"
_ANOTHER = "give another folder, or delete it to start from the beginning"
_SETTINGS_SINCE = {
    "precision": "float32"
}  # what files have that were written before a setting existed


class Checkpoint:
    """checkpoint.pt in a folder, replaced as a whole; does nothing without a folder (None).

    What it replaces stays as checkpoint.previous.pt. If the newer one cannot be read, the error says so, and
    how to go on from the other.

    settings: what a run must have in common with the one that it goes on from; config: what else it was asked
    for. team: the processes that train together. Rank 0 writes. To resume, every rank looks into the folder,
    and all take the state that has come furthest: no common file system is needed, and after a restart rank 0
    may be another machine.
    """

    def __init__(self, folder, settings: dict[str, str], config: dict[str, str], team):
        self.settings, self.config, self.team = settings, config, team
        self.path = None if folder is None else Path(folder) / NAME
        if self.path is not None:
            team.from_first(lambda: _make_usable(Path(folder)))

    def exists(self) -> bool:
        """Is there something to go on from?"""
        return self.path is not None and self.path.is_file()

    def save(self, state: dict) -> bool:
        """Write a run's state, whole or not at all. If that fails training is not lost: it goes on.

        state: "learner", "stepper", "generators", "history" and "best", in what torch.load(weights_only=True)
        reads.
        """
        if self.path is None or self.team.rank:
            return False
        head = {"format": FORMAT, "versions": versions()}
        state = {**head, "settings": self.settings, "config": self.config, **state}
        try:
            self._write(self.path, state)
            return True
        except (OSError, RuntimeError) as error:  # the latter from torch's own zip writer
            warnings.warn(
                f"the checkpoint {self.path} could not be written ({error}): training goes on, and what "
                f"was written before stays. Free some space, or stop and choose another folder.",
                stacklevel=6,
            )
            return False

    def _write(self, path, state):
        with replacing(path, keeping=path.with_name(BEFORE)) as file:
            torch.save(state, file)

    def resume(self, iterations: int) -> dict | None:
        """The state to go on from, as `save` was given it; None if there is none.

        iterations: how far the run is to go. ValueError if the file is further, or of another run. Rank 0
        warns of what has changed that the rest of the numbers depend on.
        """
        state = self.furthest()
        if state is None:
            return None
        done = len(state["history"]["loss"])
        if done > iterations:
            raise ValueError(
                f"the checkpoint {self.path} already holds {done} iterations, more than the {iterations} asked "
                f"for: ask for {done} or more, {_ANOTHER}."
            )
        self._compare(state["settings"])
        if self.team.rank == 0:
            self._warn_of_changes(state)
        return state

    def refusal(self, reason) -> ValueError:
        """The error for a checkpoint that this run cannot go on from."""
        return ValueError(
            f"the checkpoint {self.path} does not fit this run ({reason}): {_ANOTHER}."
        )

    def furthest(self) -> dict | None:
        """The state of the most iterations that any rank finds in its folder; None if there is none."""
        if self.path is None:
            return None
        state, done, problem = None, -1, ""
        try:
            state = self.read() if self.exists() else self._nothing()
            done = -1 if state is None else len(state["history"]["loss"])
        except ValueError as error:
            problem = str(error)
        reports = self.team.gather((done, problem))
        for _, problem in reports:
            if problem:
                raise ValueError(problem)
        holder = max(range(len(reports)), key=lambda rank: reports[rank][0])
        return self.team.broadcast(state, source=holder)

    def read(self) -> dict:
        """What is in the file. ValueError when it is damaged or of another format; nothing in it is run."""
        assert self.path is not None
        try:
            return read(self.path)
        except _Unreadable as error:
            raise ValueError(f"{error}: {self._way_out()}.") from None

    def _nothing(self):
        """None, as there is nothing to go on from. ValueError if there is, under the other name."""
        assert self.path is not None
        if self.path.with_name(BEFORE).is_file():
            raise ValueError(f"the checkpoint {self.path} is gone: {self._way_out()}.")

    def _way_out(self):
        """What to do if the file cannot be read: the one before it is offered, if that is whole."""
        assert self.path is not None
        try:
            done = len(read(self.path.with_name(BEFORE))["history"]["loss"])
        except (_Unreadable, OSError):
            return _ANOTHER
        return (
            f"the one before it, of iteration {done}, is whole; to go on from there rename {BEFORE} to {NAME} "
            f"(or maml-edu train --resume --previous); else {_ANOTHER}"
        )

    def _compare(self, settings):
        """ValueError if the file is of another run than this one."""
        settings = _SETTINGS_SINCE | settings
        for name in sorted(settings.keys() | self.settings.keys()):
            was, now = settings.get(name, "nothing"), self.settings.get(name, "nothing")
            if was != now:
                raise self.refusal(f"it was written with {name} {was}, not {now}")

    def _warn_of_changes(self, state):
        """Say what makes the rest of the run different from one that never paused."""
        now = versions() | self.config
        then = state["versions"] | state["config"]
        changed = [f"{k} {then[k]} (now {now[k]})" for k in then if k in now and then[k] != now[k]]
        if changed:
            warnings.warn(
                f"the checkpoint {self.path} was written with {', '.join(changed)}: training goes on from "
                f"it, though not to the same numbers as a run without a pause.",
                stacklevel=6,
            )


class _Unreadable(ValueError):
    """What is in a file is no checkpoint that this version can read."""


def read(path: Path) -> dict:
    """The state in a file. Raises `_Unreadable` with the reason; nothing in the file is run."""
    try:
        with zipfile.ZipFile(path) as file:
            wrong = file.testzip()  # torch does not look at the checksums that it writes
        if wrong:
            raise zipfile.BadZipFile(f"the checksum of {wrong} does not fit")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # torch's own words advise to load it unsafely: not passed on
        raise _Unreadable(
            f"the checkpoint {path} is damaged, or something else wrote it ({type(error).__name__})"
        ) from None
    if not isinstance(state, dict):
        state = {}
    if state.get("format") == FORMAT and _KEYS <= state.keys():
        return state
    if {"settings", "optimiser", "tasks_rng"} <= state.keys():
        raise _Unreadable(
            f"the checkpoint {path} was written by an older maml_edu, in a format that this one does not "
            f"read (finish that run with the version that began it)"
        )
    if isinstance(state.get("format"), int) and state["format"] > FORMAT:
        raise _Unreadable(
            f"the checkpoint {path} was written by a newer maml_edu, "
            f"{state.get('versions', {}).get('maml_edu')} (install that)"
        )
    raise _Unreadable(f"the checkpoint {path} is damaged, or something else wrote it")


def fall_back(folder: Path) -> int:
    """If the last checkpoint is damaged or gone, put the one before in its place; returns its iterations.

    The damaged one stays as checkpoint.damaged.pt. If the last is whole nothing happens, so that calling this
    twice does no harm. Raises ValueError if neither can be read.
    """
    last, before = folder / NAME, folder / BEFORE
    if last.is_file():
        with contextlib.suppress(_Unreadable):
            return len(read(last)["history"]["loss"])
    if not before.is_file():
        raise ValueError(f"there is no checkpoint before the last one in {folder}.")
    done = len(read(before)["history"]["loss"])
    if last.is_file():
        name_again(last, folder / DAMAGED)
    os.replace(before, last)
    return done


def _make_usable(folder: Path):
    """Make the folder if need be, and clear it of half-written files. ValueError if it cannot be written.

    It is better to hear that at once than after hours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):  # of a process that was killed while it wrote
            if re.fullmatch(r"\.[a-z0-9_]{8}\.tmp", leftover.name):
                with contextlib.suppress(FileNotFoundError):
                    leftover.unlink()
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"the checkpoint folder {folder} cannot be written ({error.strerror or error}): choose another."
        ) from None


def versions() -> dict[str, str]:
    """What the numbers of a run may depend on."""
    return {
        "maml_edu": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def generators() -> dict:
    """The states of torch's own generators: of the CPU, and of this process's GPU if one is in use."""
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state() if on_gpu else None}


def set_generators(states: dict):
    """Take over what `generators` gave."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def copied(state):
    """A state with every tensor in it copied to the CPU: later changes do not reach it."""
    if isinstance(state, torch.Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    return (
        type(state)(copied(value) for value in state) if isinstance(state, (list, tuple)) else state
    )
