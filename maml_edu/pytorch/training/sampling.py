"""Tasks drawn on the device that computes on them: start with `sampler_for`; `Stream` is what draws.

A GPU that gets its tasks from NumPy waits for Python at every outer step. The random numbers here come from
integer arithmetic in plain torch: the same on CPU and GPU, bit for bit, and their whole state is one
tensor, so that drawing can be captured in a CUDA graph together with the step that needs it. The tasks
have the family's distribution, though they are others than `tasks.sample` draws from the same seed.
Episodes of images are drawn so on a CPU as well: the same seed trains on the same episodes everywhere.

A family of your own is drawn on the device if it has a method `sample_on` (see `sampler_for`) and says
`draws_ahead = True`: a captured `sample_on` is called once, and what it did is replayed. `Stream` has what such a
method needs: uniform and normal numbers, whole numbers, and choices without repetition.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable

import numpy as np
import torch

from maml_edu.tasks import FewShotImages, Sinusoids
from maml_edu.tasks.batch import draws_as
from maml_edu.tasks.sinusoids import AMPLITUDE, PHASE, X_RANGE


def _signed(number: int) -> int:
    """The 64-bit integer with the bits of `number` that torch, whose integers have a sign, can hold."""
    number %= 1 << 64
    return number - (1 << 64) if number >> 63 else number


_GOLDEN = _signed(0x9E3779B97F4A7C15)  # 2⁶⁴ divided by the golden ratio, odd
_MIX = (30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB))


class Stream:
    """SplitMix64 (Steele, Lea and Flood 2014): the i-th number is a hash of seed + i · `_GOLDEN`.

    drawn (1,), int64, on the device: how many numbers have been drawn. It is the whole state, and changed
    in place. dtype: of real numbers, unless said otherwise.
    """

    def __init__(self, seed: int, device="cpu", dtype: torch.dtype = torch.float32):
        self.seed, self.device, self.dtype = _signed(int(seed)), torch.device(device), dtype
        self.drawn = torch.zeros(1, dtype=torch.int64, device=self.device)

    def bits(self, shape) -> torch.Tensor:
        """The next 64-bit numbers, as int64 of this shape: all values equally likely."""
        count = math.prod(shape)
        z = torch.arange(1, count + 1, device=self.device) + self.drawn
        self.drawn.add_(count)
        z = z * _GOLDEN + self.seed  # products wrap around at 2⁶⁴, as they are meant to
        for distance, factor in _MIX:
            z = (z ^ shifted(z, distance)) * factor
        return (z ^ shifted(z, 31)).reshape(shape)

    def uniform(self, shape, low=0.0, high=1.0, dtype=None) -> torch.Tensor:
        """Real numbers from [low, high), of 24 random bits each, or 53 in float64.

        As with NumPy rounding may give `high` itself.
        """
        dtype = dtype or self.dtype
        digits, exact = (53, dtype) if dtype == torch.float64 else (24, torch.float32)
        unit = shifted(self.bits(shape), 64 - digits).to(exact) * 2.0**-digits
        return (low + (high - low) * unit).to(dtype)

    def normal(self, shape, dtype=None) -> torch.Tensor:
        """Standard normal numbers (Box and Muller 1958). Logarithm and cosine round as the device does."""
        radius, angle = self.uniform((2, *shape), dtype=dtype)
        return torch.sqrt(-2 * torch.log1p(-radius)) * torch.cos(2 * math.pi * angle)

    def integers(self, low: int, high: int, shape) -> torch.Tensor:
        """Whole numbers from low to high − 1, int64. Their chances differ by less than (high − low)/2³²."""
        if not 0 < high - low <= 1 << 31:
            raise ValueError(
                f"integers needs low < high, at most 2³¹ apart; got {low} and {high}: draw bits."
            )
        return low + (shifted(self.bits(shape), 32) * (high - low) >> 32)

    def choice(self, n: int, k: int, shape=()) -> torch.Tensor:
        """k different numbers from 0 … n − 1 in random order, int64 (*shape, k); k = n: a permutation."""
        if not 0 <= k <= n:
            raise ValueError(f"choice cannot take {k} different numbers out of {n}.")
        return (
            self.bits((*shape, n)).topk(k, largest=False).indices
        )  # those with the least bits, in order

    def state_dict(self) -> dict:
        """Seed and position, as plain numbers; waits for the device."""
        return {"seed": self.seed, "drawn": int(self.drawn)}

    def load_state_dict(self, state: dict):
        """Take over what `state_dict` gave. A captured graph reads the seed only when it is captured."""
        self.seed = int(state["seed"])
        self.drawn.fill_(state["drawn"])


def shifted(z: torch.Tensor, distance: int) -> torch.Tensor:
    """z, taken for a number without a sign, shifted to the right."""
    return (z >> distance) & ((1 << (64 - distance)) - 1)


# ------------------------------------------------------------------ families that can be drawn so


def sampler_for(tasks) -> Callable | None:
    """function(stream, tasks=n) → (support_x, support_y, query_x, query_y) of a family; None: NumPy draws.

    A family of your own needs a method sample_on(stream, tasks=n) that gives the four tensors, made of what
    `stream` draws on `stream.device`, of the same shapes each time. `sample_on` is ignored if a subclass
    overrides `sample` without overriding `sample_on`.
    """
    if "sample" in getattr(tasks, "__dict__", ()):
        return None
    written = [
        vars(cls) for cls in type(tasks).__mro__ if {"sample", "sample_on"} & vars(cls).keys()
    ]
    if written and "sample_on" in written[0]:
        return tasks.sample_on
    for family, draw in ((Sinusoids, sinusoids), (FewShotImages, few_shot_images)):
        if draws_as(tasks, family):
            return functools.partial(draw, tasks)
    return None


def everywhere(tasks) -> Callable | None:
    """The function of `sampler_for` where it draws on every device, a CPU too, so that a seed means the same.

    That is so for episodes of images, which are index arithmetic. Elsewhere (None) a CPU has NumPy draw.
    """
    draws = sampler_for(tasks)
    return draws if getattr(draws, "func", None) is few_shot_images else None


def sinusoids(family: Sinusoids, stream: Stream, tasks: int = 25):
    """A batch of sine waves as `Sinusoids.sample` draws them: four tensors (tasks, examples, 1)."""
    k, n = family.shots, family.shots + family.queries
    unit = stream.uniform((tasks, n + 2, 1))
    amplitude, phase, x = (
        low + (high - low) * part
        for (low, high), part in zip(
            (AMPLITUDE, PHASE, X_RANGE), unit.split([1, 1, n], dim=1), strict=True
        )
    )
    y = amplitude * torch.sin(x - phase)  # (tasks, shots + queries, 1)
    return x[:, :k], y[:, :k], x[:, k:], y[:, k:]


def few_shot_images(family: FewShotImages, stream: Stream, tasks: int = 32):
    """A batch of episodes as `FewShotImages.sample` draws them, from a bank that lies on the device.

    Four tensors: x (tasks, ways · shots or queries, channels, height, width), y (tasks, ways · shots or
    queries).
    """
    bank, first, sizes = bank_on(family, stream.device)
    k, n, ways, most = family.shots, family.shots + family.queries, family.ways, family.sizes.max()
    chosen = stream.choice(len(sizes), ways, (tasks,))  # (tasks, ways)
    order = stream.bits((tasks, ways, int(most)))
    if family.sizes.min() < most:  # examples that a smaller class does not have come last
        there = torch.arange(int(most), device=stream.device) < sizes[chosen][:, :, None]
        order = order.where(there, torch.iinfo(torch.int64).max)
    examples = order.topk(n, largest=False).indices  # (tasks, ways, shots + queries)
    images = bank[first[chosen][:, :, None] + examples].to(stream.dtype) / family.ink
    shape = (1, *images.shape[3:])[-3:]  # (channels, height, width)
    labels = torch.arange(ways, device=stream.device)
    parts = []
    for x in (images[:, :, :k], images[:, :, k:]):  # (tasks, ways, shots or queries, …)
        y = labels.repeat_interleave(x.shape[2]).expand(tasks, -1)
        parts += [x.reshape(tasks, -1, *shape), y]
    return tuple(parts)


_banks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # family → {device: its bank there}


def bank_on(family: FewShotImages, device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A family's images (total, …), where each class begins in them, and its size, (classes,): on a device.

    They are copied there once, and again if the family has another bank.
    """
    copies = _banks.setdefault(family, {})
    source = family.images
    if device not in copies or copies[device][0] is not source:
        arrays = source, family.first, family.sizes
        tensors = tuple(torch.as_tensor(np.ascontiguousarray(a), device=device) for a in arrays)
        copies[device] = source, tensors
    return copies[device][1]
