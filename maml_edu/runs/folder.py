"""The files of a run: `Folder` writes them, `load` reads the learner back.

    config.json               the settings, and where each comes from
    environment.json          versions, machine, command
    history.json, .csv        the meta-loss of each iteration, the validations
    curves.png                the same as a picture
    best.safetensors          θ, and learned rates, of the best validation
    last.safetensors          the same after the last iteration
    checkpoint.pt             all that `--resume` needs (checkpoint.previous.pt: the one before)
    results.json, .png        the test

Each is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import platform
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maml_edu import __version__
from maml_edu.atomic import replacing

from .settings import FORMAT, Settings, from_json

WHICH = ("best", "last")


class Folder:
    """The folder of one run. Raises ValueError where its files are missing or damaged, OSError as writing does."""

    def __init__(self, path):
        self.path = Path(path)

    def begun(self) -> bool:
        """Has a run been begun here?"""
        return (self.path / "config.json").is_file()

    def begin(self, settings: Settings, data_dir=None):
        """Write down what is going to be done, and on what machine."""
        self._write_json("config.json", {"format": FORMAT, "settings": settings.as_json()})
        where = None if data_dir is None else str(Path(data_dir).expanduser().absolute())
        self._write_json("environment.json", environment() | {"data_dir": where})

    def forget(self):
        """Undo `begin`, where nothing has come of it."""
        for name in ("config.json", "environment.json"):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something else in it
            self.path.rmdir()

    def data_dir(self):
        """The folder of the data sets that the run was begun with; None: the usual one."""
        try:
            known = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
            return known.get("data_dir")
        except (OSError, ValueError, AttributeError):
            return None

    def settings(self) -> Settings:
        """The settings of the run. ValueError where config.json is missing or damaged."""
        path = self.path / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            if config["format"] != FORMAT:
                raise ValueError(f"its format is {config['format']}, not {FORMAT}")
            return from_json(config["settings"])
        except FileNotFoundError:
            raise ValueError(
                f"{self.path} holds no run: there is no config.json. maml-edu train makes one."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged, or of another version ({error}).") from None

    # -------------------------------------------------------------- while it trains

    def keep(self, iteration, history, learner):
        """A callback of `meta_train`: history, curves and parameters as they are now.

        Where they cannot be written that is said, and training goes on.
        """
        try:
            self.write_history(history)
            self.write_parameters("last", tensors_of(learner), iteration)
            if not history.validation or history.best and history.best[0] == iteration:
                self.write_parameters("best", tensors_of(learner), iteration)
        except OSError as error:
            warnings.warn(
                f"the files of the run in {self.path} could not be written ({error}): training goes on. Free "
                f"some space: at the end they are written again.",
                stacklevel=2,
            )

    def finish(self, history, learner):
        """The files as they are at the end, or where Ctrl-C came; the learner has the best parameters."""
        self.write_history(history)
        done = len(history)
        self.write_parameters(
            "best", tensors_of(learner), history.best[0] if history.best else done
        )
        try:  # the last ones, which the learner no longer has
            state = read_checkpoint(self.path)
        except (OSError, ValueError):  # a full disk: those of the last `keep` stay
            return
        tensors = {**state["learner"]["model"], **state["learner"]["inner_lr"]}
        self.write_parameters("last", tensors, len(state["history"]["loss"]))

    def write_history(self, history):
        """history.json, history.csv and curves.png."""
        found = {**vars(history), "loss": list(history.loss)}
        self._write_json("history.json", found)
        validated = {iteration: (mean, ci95) for iteration, mean, ci95 in history.validation}
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        metric = history.metric or "score"
        table.writerow(["iteration", "meta_loss", f"validation_{metric}", "ci95"])
        for iteration, loss in enumerate(history.loss, start=1):
            table.writerow([iteration, repr(loss), *map(repr, validated.get(iteration, ()))])
        self._write("history.csv", text.getvalue().encode())
        if history.loss:
            self.write_picture("curves.png", history.plot().figure)

    def write_picture(self, name, figure):
        """A matplotlib figure as PNG, and closed."""
        import matplotlib.pyplot as plt

        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        plt.close(figure)
        self._write(name, content.getvalue())

    def write_parameters(self, which, tensors, iteration):
        """best.safetensors or last.safetensors: all that the outer loop trains, and buffers."""
        from safetensors.torch import save

        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        self._write(f"{which}.safetensors", save(tensors, {"iteration": str(iteration)}))

    def write_results(self, name, found: dict[str, Any]):
        """The report of an evaluation as JSON."""
        self._write_json(f"{name}.json", found)

    def _write_json(self, name, found):
        text = json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False)
        self._write(name, (text + "\n").encode())

    def _write(self, name, content: bytes):
        with replacing(self.path / name) as file:
            file.write(content)

    # -------------------------------------------------------------- afterwards

    def take_parameters(self, learner, which: str = "best") -> int:
        """Give the learner what best.safetensors or last.safetensors holds; the iteration that it is of.

        ValueError where the file is missing, damaged, or of another network.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        if which not in WHICH:
            raise ValueError(f"which must be best or last; got {which!r}.")
        path = self.path / f"{which}.safetensors"
        if not path.is_file():
            raise ValueError(
                f"{path} is not there: the run has not come to its first validation yet."
            )
        try:
            with safe_open(path, framework="pt") as file:
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                iteration = int((file.metadata() or {})["iteration"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged, or something else wrote it ({error}): take the other of best and last, "
                f"or train again."
            ) from None
        own = tensors_of(learner)
        if {n: v.shape for n, v in own.items()} != {n: v.shape for n, v in found.items()}:
            raise ValueError(
                f"{path} holds the parameters of another network than config.json says."
            )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(found[name])
        return iteration


def plain(found):
    """The same with None in place of NaN and infinity, which JSON does not know."""
    if isinstance(found, float):
        return found if math.isfinite(found) else None
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    return [plain(value) for value in found] if isinstance(found, (list, tuple)) else found


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What the last checkpoint of a run holds. Raises ValueError where it is damaged, OSError without one."""
    from maml_edu.pytorch.training import checkpoint

    return checkpoint.read(path / checkpoint.NAME)


def tensors_of(learner):
    """Everything of a learner that training changes: the model's state and the learned rates."""
    return {**learner.model.state_dict(keep_vars=True), **learner.learned_rates()}


def load(path, which: str = "best"):
    """(learner, settings) of a run: its network with the parameters of the best validation, or the last.

    path: the folder. Raises ValueError where a file is missing or damaged. The data is not needed.
    """
    from .problems import make_learner

    folder = Folder(path)
    settings = folder.settings()
    learner = make_learner(settings)
    folder.take_parameters(learner, which)
    return learner, settings


def free_folder(settings: Settings, root="runs") -> Path:
    """A folder below `root` that no run has yet, named after the settings."""
    number, path = 1, Path(root) / settings.name
    while path.exists():
        number += 1
        path = Path(root) / f"{settings.name}-{number}"
    return path


def latest(root="runs") -> Path:
    """The folder below `root` in which a run was busy last. ValueError where there is none."""
    found = [path.parent for path in Path(root).glob("*/config.json")]
    if not found:
        raise ValueError(f"there is no run in {root}/ to go on with: give its folder with --out.")
    training = ("config.json", "history.json", "checkpoint.pt")  # an evaluation does not count

    def busy(path):
        return max((path / name).stat().st_mtime for name in training if (path / name).is_file())

    return max(found, key=busy)


def environment() -> dict[str, Any]:
    """What the numbers and the time of a run may depend on."""
    import numpy
    import torch

    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "maml_edu": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(number) for number in gpus],
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
