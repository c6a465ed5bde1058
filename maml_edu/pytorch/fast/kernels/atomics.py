"""Counters that several threads share, for numba code: `add`, `load`, `store`, `give_way`.

numba has none of its own for the CPU. All are sequentially consistent: what a thread wrote before it
counted up is seen by whoever has seen the count.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

intrinsic: Any = numba_intrinsic  # its own signature is that of the generator, not of the function
BYTES, ORDER = 8, "seq_cst"  # the counters are int64


def _at(context, builder, kind, array, index):
    """A pointer to array[index], for a contiguous array of one axis."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def add(typing_context, counters, index, amount):
    """counters[index] += amount, as one operation; gives what was there before."""

    def generate(context, builder, signature, arguments):
        place = _at(context, builder, signature.args[0], *arguments[:2])
        return builder.atomic_rmw("add", place, arguments[2], ORDER)

    return types.int64(counters, types.intp, types.int64), generate


@intrinsic
def load(typing_context, counters, index):
    """counters[index] as it is now."""

    def generate(context, builder, signature, arguments):
        place = _at(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, ORDER, BYTES)

    return types.int64(counters, types.intp), generate


@intrinsic
def store(typing_context, counters, index, value):
    """counters[index] = value, for the others to see."""

    def generate(context, builder, signature, arguments):
        place = _at(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], place, ORDER, BYTES)
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), generate


# A thread that waits lets others run: the operating system's own word for it, under a name of ours, by
# which compiled code finds it wherever it was compiled.
_system = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
_yield = _system.SwitchToThread if sys.platform == "win32" else _system.sched_yield
llvmlite.binding.add_symbol("maml_edu_give_way", ctypes.cast(_yield, ctypes.c_void_p).value)


@intrinsic
def give_way(typing_context):
    """Let another thread have this core, if one waits for it."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        function = cgutils.get_or_insert_function(builder.module, kind, "maml_edu_give_way")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate
