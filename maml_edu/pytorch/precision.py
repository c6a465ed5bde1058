"""What a learner computes in: true float32, TF32 or bfloat16. Start with `PRECISIONS`.

torch lets cuDNN's convolutions round their inputs to TF32 (10 bits instead of 23) without being asked to.
A learner says which of these it wants, and `applied` holds torch to it while the learner computes.

What rounding does to the first second-order meta-gradient, as its distance from float32's, relative, and
cosine with it, on a CPU (TF32 emulated: inputs of products and convolutions rounded to 10 bits):

              sinusoid MLP, 1 inner step    5 steps    Conv4, 64 filters, 1 step    5 steps
    tf32      0.0002, 1.0000                0.014      0.11, 0.994                  0.13
    bf16      0.008, 0.99997                0.04       0.30, 0.955                  0.29

float32 itself is 1e-7 to 1e-6 from float64. Learning is hardly touched: after 200 iterations Conv4 with
16 filters told five noisy pictures apart in 80.7 % with bf16 and 81.2 % with float32 (means of four seeds,
each ± 2 %); after 4,000 the error on sine waves was 0.757 and 0.695 against 0.773 and 0.681 (± 0.06).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

PRECISIONS = {
    "float32": "as it says: no TF32 in matrix products and convolutions on a GPU",
    "tf32": "products and convolutions on a GPU may round what they multiply to 10 bits",
    "bf16": "the model's forward pass in bfloat16 (8 bits) where autocast thinks it safe",
}


def check_precision(precision: str, params: dict[str, torch.Tensor]) -> str:
    """`precision`, once it is known to be one of `PRECISIONS` and to fit the parameters; else ValueError."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    others = sorted({str(p.dtype) for p in params.values() if p.dtype != torch.float32})
    if precision == "bf16" and others:
        raise ValueError(
            f"precision='bf16' needs parameters in float32, but some are {', '.join(others)}: take "
            f"model.float(), or precision='float32', which leaves their own precision as it is."
        )
    return precision


def forward_in_bf16(device: torch.device):
    """A context for the forward pass of a model: autocast to bfloat16."""
    # what is cast inside of torch.func is of no use outside of it, so nothing is to be kept
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)


def in_own_precision(method: Callable) -> Callable:
    """A learner's method, within the learner's precision."""

    @functools.wraps(method)
    def within(self, *arguments, **options):
        with (
            torch.inference_mode(False),
            applied(self.precision),
        ):  # nothing adapts in inference mode
            return method(self, *arguments, **options)

    return within


# ------------------------------------------------------------------ TF32, for the whole process


def applied(precision: str):
    """A context in which the GPU uses TF32 only with precision "tf32"; put back at the end.

    torch's settings are those of the whole process: where several threads compute at the same time, TF32
    is used when all of them allow it. Does nothing before CUDA is in use.
    """
    return _applied(precision) if torch.cuda.is_initialized() else contextlib.nullcontext()


class Setting(NamedTuple):
    """One of torch's settings: its value, and what sets it."""

    value: Any
    set: Callable[[Any], None]


class State(NamedTuple):
    """torch's settings of float32 arithmetic.

    torch has two sets of names for them, refuses to tell by the old names what was set by the new ones,
    and has the new ones since 2.9 only. old: (setting, value without TF32, value with), those that torch
    tells; new: ("ieee" without, "tf32" with).
    """

    old: list[tuple[Setting, Any, Any]]
    new: list[Setting]


_wishes: list[bool] = []  # may TF32 be used? of all who compute now, in several threads perhaps
_before = State([], [])  # how torch was set when the first of them came
_lock = threading.Lock()


@contextlib.contextmanager
def _applied(precision):
    global _before
    wish = precision == "tf32"
    with _lock:
        if not _wishes:
            _before = read()
        _wishes.append(wish)
        allow(all(_wishes), _before)
    try:
        yield
    finally:
        with _lock:
            _wishes.remove(wish)
            if _wishes:
                allow(all(_wishes), _before)
            else:
                restore(_before)


def read() -> State:
    """How torch is set now."""
    cudnn = torch.backends.cudnn
    old = [
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest", "high"),
        (lambda: cudnn.allow_tf32, functools.partial(setattr, cudnn, "allow_tf32"), False, True),
    ]
    known = []
    for get, put, without, with_tf32 in old:
        with contextlib.suppress(RuntimeError), _without_advice():
            known.append((Setting(get(), put), without, with_tf32))
    return State(known, [_own(place, parent) for place, parent in _new_names()])


def allow(tf32: bool, state: State):
    """Switch TF32 on or off, by every name that torch would answer to."""
    with _without_advice():
        for setting, without, with_tf32 in state.old:
            setting.set(with_tf32 if tf32 else without)
    for setting in state.new:
        setting.set("tf32" if tf32 else "ieee")


def restore(state: State):
    """Set torch as it was."""
    with _without_advice():
        for setting, _, _ in state.old:
            setting.set(setting.value)
    for setting in state.new:
        setting.set(setting.value)


def _new_names():
    """(place, the one whose value it takes where it has none of its own), outer ones first."""
    backends = torch.backends
    if not hasattr(backends.cudnn, "conv"):
        return []
    return [
        (backends.cuda.matmul, backends.cudnn),
        (backends.cudnn.conv, backends.cudnn),
        (backends.cudnn.rnn, backends.cudnn),
        (backends.mkldnn.matmul, backends.mkldnn),
    ]


def _own(place, parent) -> Setting:
    """The setting of a place; "none" where it is its parent's, which torch does not tell apart."""
    value = place.fp32_precision
    value = "none" if value == parent.fp32_precision else value
    return Setting(value, functools.partial(setattr, place, "fp32_precision"))


@contextlib.contextmanager
def _without_advice():
    """torch 2.9 and later may advise, once, against the old names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*new API settings to control TF32")
        yield
