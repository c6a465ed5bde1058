"""Where everything lies that `conv_kernels` works on: start with `layouts`.

A `Network` says of which blocks a network consists. `parts_of` gives each layer its parts of the vector of
parameters, `views` are these parts as torch has them; `layouts` says where a pass keeps what, and in its
tables which rows of one matrix belong to which of another: convolution and pooling are nothing else.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from . import conv_kernels
from .perceptron import padded


class Block(NamedTuple):
    """A convolution and what follows it; the names of its parameters, None for those that are not there."""

    weight: str
    bias: str | None
    scale: str | None
    shift: str | None
    channels: int
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    eps: float | None  # of the batch norm; None where there is none
    pool: int  # side of the squares of which the largest goes on; 1: no pooling


class Network(NamedTuple):
    """A convolutional network as the kernels know it."""

    blocks: tuple[Block, ...]
    mean: bool  # the mean over places, or all of them
    weight: str  # of the linear layer
    bias: str | None
    widths: tuple[int, int]  # of the linear layer: inputs, outputs
    image: tuple[int, ...] | None  # the only shape of images that the model takes
    support_kind: int  # MSE or CROSS_ENTROPY, of the support set
    query_kind: int


class Sizes(NamedTuple):
    """Height and width of what goes into a block, of what its convolution gives out, and after pooling."""

    before: tuple[int, ...]
    conv: tuple[int, ...]
    after: tuple[int, ...]


def sizes_of(network, image):
    """The Sizes of every block for images of a height and width; not positive where they are too small."""
    found, before = [], image
    for block in network.blocks:
        each = zip(before, block.kernel, block.stride, block.padding, strict=True)
        conv = tuple((n + 2 * pad - kernel) // stride + 1 for n, kernel, stride, pad in each)
        after = tuple(n // block.pool if min(before) > 0 else 0 for n in conv)
        found.append(Sizes(before, conv, after))
        before = after
    return found


# ------------------------------------------------------------------ the vector of parameters


class Parts(NamedTuple):
    """Where the parameters of a layer begin, and the shape of its weight, (P, C, F)."""

    first: bool
    P: int
    C: int
    F: int
    weight: int
    bias: int
    scale: int
    shift: int
    end: int


@functools.lru_cache(64)
def parts_of(network):
    """The Parts of every block and of the linear layer."""
    found: list[Parts] = []
    start = 0
    shapes = [(math.prod(b.kernel), padded(b.channels), padded(b.filters)) for b in network.blocks]
    kernel, channels = shapes[0][0], network.blocks[0].channels
    shapes[0] = (1, conv_kernels.room(kernel * channels - 1), shapes[0][2])  # unfolded: whole tiles
    filters = network.blocks[-1].filters
    shapes.append((network.widths[0] // filters, padded(filters), padded(network.widths[-1])))
    for P, C, F in shapes:
        bias = start + P * C * F
        end = bias + 3 * F
        found.append(Parts(not found, P, C, F, start, bias, bias + F, bias + 2 * F, end))
        start = end
    return tuple(found)


def views(network, vector):
    """name → the part of a vector of parameters that belongs to it, as a view with axes as torch has them."""
    found = {}
    for block, at in zip(network.blocks, parts_of(network), strict=False):
        inputs = block.channels if at.first else at.C
        rows = math.prod(block.kernel) * inputs
        weight = vector[at.weight : at.weight + rows * at.F]
        weight = weight.reshape(*block.kernel, inputs, at.F)
        found[block.weight] = weight[:, :, : block.channels, : block.filters].transpose(3, 2, 0, 1)
        for name, start in (
            (block.bias, at.bias),
            (block.scale, at.scale),
            (block.shift, at.shift),
        ):
            found[name] = vector[start : start + block.filters]
    at, filters, outputs = parts_of(network)[-1], network.blocks[-1].filters, network.widths[-1]
    places = network.widths[0] // filters
    weight = vector[at.weight : at.weight + places * padded(filters) * at.F]
    weight = weight.reshape(places, -1, at.F)[:, :filters, :outputs]
    found[network.weight] = weight.transpose(2, 1, 0)  # (outputs, filters, places)
    found[network.bias] = vector[at.bias : at.bias + outputs]
    found.pop(None, None)
    return found


# ------------------------------------------------------------------ where everything lies


@functools.lru_cache(16)
def layouts(network, image, shots, queries):
    """(Nets of a pass on the support set, of one differentiated, and of one on the query set), and their Room.

    image: height and width; shots, queries: examples in a set.
    """
    support, memory, passed = layout(network, image, shots, apart=True)
    away, away_memory, _ = layout(network, image, shots, apart=False)
    query, query_memory, query_passed = layout(network, image, queries, apart=False)
    parts = parts_of(network)
    images = ((support, shots), (query, queries))
    X, Q = ((conv_kernels.room(n * len(net.unfold)), parts[0].C) for net, n in images)
    room = Room(
        parameters=parts[-1].end,
        largest=max(at.P * at.C * at.F for at in parts),
        X=X,
        Q=Q,
        support=memory,
        passed=passed,
        away=away_memory,
        query=query_memory,
        query_passed=query_passed,
    )
    return (support, away, query), room


class Room(NamedTuple):
    """What one thread needs for one task, in numbers and marks."""

    parameters: int
    largest: int  # weight
    X: tuple[int, int]
    Q: tuple[int, int]
    support: int
    passed: int
    away: int
    query: int
    query_passed: int


class Workspace(NamedTuple):
    """What one thread needs for one task: unfolded images, vectors like the parameters, and passes."""

    X: np.ndarray  # support images, query images
    Q: np.ndarray
    phi: np.ndarray  # φ₀ … φ_K
    slope: np.ndarray  # g of the inner steps that are kept
    u: np.ndarray
    v: np.ndarray
    turned: np.ndarray
    support: np.ndarray  # passes on the support set, of the inner steps that are kept
    passed: np.ndarray
    away: np.ndarray  # one of these differentiated
    query: np.ndarray
    query_passed: np.ndarray


def workspace(room, steps, kept, dtype):
    """Room for one task: `steps` inner steps, of which `kept` have their passes kept for the way back."""
    many = lambda *shape: np.zeros(shape, dtype)
    return Workspace(
        X=many(*room.X),
        Q=many(*room.Q),
        phi=many(steps + 1, room.parameters),
        slope=many(kept, room.parameters),
        u=many(room.parameters),
        v=many(room.parameters),
        turned=many(room.largest),
        support=many(kept, room.support),
        passed=np.zeros((kept, room.passed), np.int8),
        away=many(room.away),
        query=many(room.query),
        query_passed=np.zeros(room.query_passed, np.int8),
    )


def layout(network, image, examples, apart):
    """(Net, its memory in numbers, its marks in bytes) for a set of examples.

    apart: the slopes of y and z have places of their own; where nobody asks for both they share one.
    """
    sizes, shelves = sizes_of(network, image), Shelves()
    last, left = len(sizes) - 1, (1, 1) if network.mean else sizes[-1].after
    blocks = [*network.blocks, head_of(network, left)]
    sizes.append(Sizes(left, (1, 1), (1, 1)))
    each = enumerate(zip(parts_of(network), blocks, sizes, strict=True))
    layers = [
        layer_of(*parts, examples, network.mean and number == last, apart, shelves)
        for number, parts in each
    ]
    records = [tuple(layer[name] for name in conv_kernels.NAMES) for layer in layers]
    made = conv_kernels.Net(
        np.array(records, conv_kernels.LAYER),
        np.concatenate(shelves.tables).astype(np.int32),
        unfolding(blocks[0], sizes[0], parts_of(network)[0].C),
    )
    return made, shelves.memory, shelves.marks


def head_of(network, left):
    """The linear layer as the convolution that it is: its kernel is all that is left of the image."""
    inputs, outputs = network.blocks[-1].filters, network.widths[-1]
    names = (network.weight, network.bias, None, None)
    return Block(*names, inputs, outputs, left, (1, 1), (0, 0), eps=None, pool=1)


class Shelves:
    """Counts what has been given away of memory, marks and tables."""

    def __init__(self):
        self.memory = self.marks = self.entries = 0
        self.tables: list[np.ndarray] = []

    def take(self, rows, columns):
        """The start of a matrix in memory, with room for whole tiles and a row of zeros."""
        start = self.memory
        self.memory += conv_kernels.room(rows) * columns
        return start

    def take_marks(self, count):
        start = self.marks
        self.marks += count
        return start

    def put(self, table):
        """The start of a table among the tables."""
        start = self.entries
        self.tables.append(table.reshape(-1))
        self.entries += table.size
        return start


def layer_of(at, block, size, examples, mean, apart, shelves):
    """All that a Net says about one layer, by name."""
    rows, seen = examples * math.prod(size.conv), examples * math.prod(size.before)
    windows = grid(size.conv, (block.pool,) * 2, (block.pool,) * 2, (0, 0), size.after)
    places = windows.reshape(-1, 1) if mean else windows
    table = np.zeros((1, 0), int)
    if not at.first:
        seen_places = grid(size.before, block.kernel, block.stride, block.padding, size.conv)
        table = for_examples(seen_places, examples, math.prod(size.before), beyond=seen)
    elif rows:
        table, seen = np.arange(rows)[None], rows
    after = examples * places.shape[1]
    space = conv_kernels.room(rows) - rows  # what the last tile takes too
    D = shelves.take(rows, at.F)
    pooled = places.shape != (1, math.prod(size.conv))
    return {
        "P": at.P,
        "C": at.C,
        "F": at.F,
        "width": block.filters,
        "rows": rows,
        "after": after,
        "area": len(places),
        "window": len(windows),
        "windows": examples * windows.shape[1],
        "scale": 1 / windows.shape[1] if mean else 1.0,
        "norm": block.eps is not None,
        "eps": block.eps or 0.0,
        "W": at.weight,
        "B": at.bias,
        "S": at.scale,
        "T": at.shift,
        "Z": shelves.take(rows, at.F),
        "A": shelves.take(after, at.F),
        "D": D,
        "E": shelves.take(after, at.F) if pooled else D,
        "G": shelves.take(rows, at.F) if apart and block.eps is not None else D,
        "q": shelves.take(4, at.F),
        "passed": shelves.take_marks(rows * at.F),
        "seen": shelves.put(np.pad(table, ((0, 0), (0, space)), constant_values=seen)),
        "pooled": shelves.put(for_examples(places, examples, math.prod(size.conv))),
        "largest": shelves.put(for_examples(windows, examples, math.prod(size.conv))),
    }


def grid(image, kernel, stride, padding, out):
    """(places of the kernel, places of the output): the place of the image that is seen, −1 beyond its edge."""
    ky, kx, y, x = np.indices((*kernel, *out))
    y, x = y * stride[0] + ky - padding[0], x * stride[1] + kx - padding[1]
    inside = (y >= 0) & (y < image[0]) & (x >= 0) & (x < image[1])
    return np.where(inside, y * image[1] + x, -1).reshape(math.prod(kernel), -1)


def for_examples(index, examples, places, beyond=-1):
    """A grid for every example, one after the other, of images with so many places; `beyond` for −1."""
    places_of_all = index[:, None] + places * np.arange(examples)[:, None]
    return np.where(index[:, None] < 0, beyond, places_of_all).reshape(len(index), -1)


def unfolding(block, size, columns):
    """(places of the output, columns): the pixel of each place of the kernel and channel, or −1."""
    window = grid(size.before, block.kernel, block.stride, block.padding, size.conv)
    channels = np.arange(block.channels)[:, None] * math.prod(size.before)
    pixels = np.where(
        window[:, None] < 0, -1, window[:, None] + channels
    )  # (places, channels, outputs)
    pixels = pixels.reshape(-1, window.shape[1]).T
    spare = ((0, 0), (0, columns - pixels.shape[1]))
    return np.ascontiguousarray(np.pad(pixels, spare, constant_values=-1).astype(np.int32))
