"""The files of a run: `Folder` writes them, `load` makes a trained learner of them again.

    config.json               the settings, and where each comes from
    environment.json          versions, machine, command
    history.json, .csv        the meta-loss of each iteration, the validations
    curves.png                the same as a picture
    best.safetensors          θ, and learned rates, of the best validation
    last.safetensors          the same after the last iteration
    checkpoint.pt             all that `--resume` needs (checkpoint.previous.pt: the one before)
    results.json, .png        the test

Each is written as a whole or not at all.
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

_WHICH = ("best", "last")


class Folder:
    """The folder of one run. Raises ValueError if its files are missing or damaged, OSError as writing does."""

    def __init__(self, path):
        self.path = Path(path)

    def begun(self) -> bool:
        """Has a run been begun here?"""
        return (self.path / "config.json").is_file()

    def begin(self, settings: Settings, data_dir=None):
        """Write down what is going to be done, and on what machine."""
        self._write_json("config.json", {"format": FORMAT, "settings": settings.as_json()})
        data = None if data_dir is None else str(Path(data_dir).expanduser().absolute())
        self._write_json("environment.json", _environment() | {"data_dir": data})

    def has_checkpoint(self) -> bool:
        """Is there a checkpoint to go on from?"""
        return (self.path / "checkpoint.pt").is_file()

    def forget(self):
        """Undo `begin`, for a run that was refused before it did anything."""
        for name in ("config.json", "environment.json"):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            self.path.rmdir()

    def data_dir(self):
        """The folder of the data sets that the run was begun with; None means the usual one."""
        try:
            environment = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
            return environment.get("data_dir")
        except (OSError, ValueError, AttributeError):
            return None

    def settings(self) -> Settings:
        """The settings of the run. ValueError if config.json is missing or damaged."""
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
        """A callback of `meta_train`: writes history, curves and parameters as they are now.

        If they cannot be written, a warning says so, and training goes on.
        """
        try:
            self._write_history(history)
            self._write_parameters("last", _trained_tensors(learner), iteration)
            if not history.validation or (history.best and history.best[0] == iteration):
                self._write_parameters("best", _trained_tensors(learner), iteration)
        except OSError as error:
            warnings.warn(
                f"the files of the run in {self.path} could not be written ({error}): training goes on. Free "
                f"some space: at the end they are written again.",
                stacklevel=2,
            )

    def finish(self, history, learner):
        """Write the files as they are at the end, or after Ctrl-C; the learner has the best parameters.

        The last ones are taken from the checkpoint: `meta_train` has put the best in their place.
        """
        self._write_history(history)
        iteration = history.best[0] if history.best else len(history)
        self._write_parameters("best", _trained_tensors(learner), iteration)
        try:
            state = _read_checkpoint(self.path)
        except (OSError, ValueError):  # a full disk: those of the last `keep` stay
            return
        tensors = {**state["learner"]["model"], **state["learner"]["inner_lr"]}
        self._write_parameters("last", tensors, len(state["history"]["loss"]))

    def _write_history(self, history):
        """history.json, history.csv and curves.png."""
        self._write_json("history.json", {**vars(history), "loss": list(history.loss)})
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
        """Write a matplotlib figure as PNG, and close it."""
        import matplotlib.pyplot as plt

        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        plt.close(figure)
        self._write(name, content.getvalue())

    def _write_parameters(self, which, tensors, iteration):
        """best.safetensors or last.safetensors: everything that the outer loop trains, and buffers."""
        from safetensors.torch import save

        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        self._write(f"{which}.safetensors", save(tensors, {"iteration": str(iteration)}))

    def write_results(self, name, results: dict[str, Any]):
        """Write the results of an evaluation to NAME.json."""
        self._write_json(f"{name}.json", results)

    def _write_json(self, name, value):
        text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
        self._write(name, (text + "\n").encode())

    def _write(self, name, content: bytes):
        with replacing(self.path / name) as file:
            file.write(content)

    # -------------------------------------------------------------- afterwards

    def take_parameters(self, learner, which: str = "best") -> int:
        """Load best.safetensors or last.safetensors into the learner; returns the iteration it was saved at.

        ValueError if the file is missing, damaged, or of another network.
        """
        import torch

        if which not in _WHICH:
            raise ValueError(f"which must be best or last; got {which!r}.")
        path = self.path / f"{which}.safetensors"
        saved, iteration = _read_parameters(path)
        current = _trained_tensors(learner)
        if {n: v.shape for n, v in current.items()} != {n: v.shape for n, v in saved.items()}:
            raise ValueError(
                f"{path} holds the parameters of another network than config.json says."
            )
        with torch.no_grad():
            for name, value in current.items():
                value.copy_(saved[name])
        return iteration


def _read_parameters(path: Path) -> tuple[dict[str, Any], int]:
    """(tensors by name, iteration they were saved at). ValueError if the file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ValueError(f"{path} is not there: the run has not come to its first validation yet.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, int((file.metadata() or {})["iteration"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, or something else wrote it ({error}): take the other of best and last, "
            f"or train again."
        ) from None


def plain(value):
    """The same with None in place of NaN and infinity, which JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """What the last checkpoint of a run holds. Raises ValueError if it is damaged, OSError if there is none."""
    from maml_edu.pytorch.training import checkpoint

    return checkpoint.read(path / checkpoint.NAME)


def _trained_tensors(learner):
    """Everything of a learner that training changes: the model's state and the learned rates."""
    return {**learner.model.state_dict(keep_vars=True), **learner.learned_rates()}


def load(path, which: str = "best"):
    """(learner, settings) of a run: its network with the parameters of the best validation, or the last.

    path: the folder.
    which: "best" or "last".

    The data is not needed. Raises ValueError if a file is missing or damaged.
    """
    from .problems import make_learner

    folder = Folder(path)
    settings = folder.settings()
    learner = make_learner(settings)
    folder.take_parameters(learner, which)
    return learner, settings


def free_folder(settings: Settings, root="runs") -> Path:
    """A folder in `root` that does not exist yet, named after the settings."""
    number, path = 1, Path(root) / settings.name
    while path.exists():
        number += 1
        path = Path(root) / f"{settings.name}-{number}"
    return path


def latest(root="runs") -> Path:
    """The folder in `root` whose run was trained last. ValueError if there is none."""
    folders = [path.parent for path in Path(root).glob("*/config.json")]
    if not folders:
        raise ValueError(f"there is no run in {root}/ to go on with: give its folder with --out.")
    training = ("config.json", "history.json", "checkpoint.pt")  # an evaluation does not count

    def last_trained(path):
        return max((path / name).stat().st_mtime for name in training if (path / name).is_file())

    return max(folders, key=last_trained)


def _environment() -> dict[str, Any]:
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
