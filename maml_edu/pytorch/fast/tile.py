"""The innermost product of `kernels.py`: out += a b on one tile of a matrix, held in vector registers.

Compilers leave about half of a processor idle on matrices of 10 by 40: `out` goes to memory and back for
every few terms. Here a tile of `rows` rows and 64 bytes of columns stays in registers while all terms are
added. Written in LLVM's own words because numba has none for vectors; everything else is plain numba.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BYTES = 64  # one register of AVX-512, two of AVX2, four of NEON: 16 float32 or 8 float64


def tile(rows: int, transposed: bool = False, fresh: bool = False):
    """A function (out, i, j, a, b, terms) for numba code: out[i:i+rows, j:j+lanes] += a[i:i+rows] b[:, j:j+lanes].

    a: (…, terms), or with `transposed` (terms, …) of which columns i … i+rows are taken. fresh: `out` is
    set instead of added to. All matrices are of one dtype, with contiguous rows, and padded to whole
    lanes; nothing is checked.
    """

    @intrinsic
    def add_tile(typing_context, out, i, j, a, b, terms):
        def generate(context, builder, signature, arguments):
            make = _Tile(context, builder, signature, arguments)
            sums = make.start(rows, fresh)
            with cgutils.for_range(builder, arguments[5], intp=arguments[5].type) as loop:
                make.add_term(sums, loop.index, transposed)
            make.store(sums)
            return context.get_dummy_value()

        return types.void(out, types.intp, types.intp, a, b, types.intp), generate

    return add_tile


class _Tile:
    """The instructions of one tile; `builder` writes them one after the other."""

    def __init__(self, context, builder, signature, arguments):
        out, self.i, self.j, a, b, _ = arguments
        kinds = signature.args
        self.builder = builder
        self.out, self.a, self.b = (
            context.make_array(kinds[n])(context, builder, array)
            for n, array in ((0, out), (3, a), (4, b))
        )
        scalar = context.get_data_type(kinds[0].dtype)
        self.size = context.get_abi_sizeof(scalar)
        self.vector = ir.VectorType(scalar, BYTES // self.size)

    def start(self, rows, fresh):
        """The tile of `out`, or zeros, a variable for each row: LLVM keeps such variables in registers."""
        self.outs = [
            self.address(self.out, self.builder.add(self.i, self.i.type(r)), self.j)
            for r in range(rows)
        ]
        sums = [cgutils.alloca_once(self.builder, self.vector) for _ in range(rows)]
        for pointer, total in zip(self.outs, sums, strict=True):
            zeros = ir.Constant(self.vector, [0.0] * self.vector.count)
            self.builder.store(zeros if fresh else self.load_lanes(pointer), total)
        return sums

    def add_term(self, sums, p, transposed):
        """sums[r] += a[i + r, p] · b[p, lanes] for every row r."""
        builder, lanes = self.builder, self.load_lanes(self.address(self.b, p, self.j))
        for r, total in enumerate(sums):
            row = builder.add(self.i, self.i.type(r))
            place = (p, row) if transposed else (row, p)
            factor = self.everywhere(builder.load(self.address(self.a, *place)))
            product = builder.fmul(factor, lanes, flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)

    def store(self, sums):
        for pointer, total in zip(self.outs, sums, strict=True):
            self.builder.store(self.builder.load(total), self.as_vector(pointer), align=self.size)

    def address(self, array, row, column):
        """A pointer to array[row, column]; strides are counted in bytes, columns are contiguous."""
        stride = self.builder.sdiv(
            self.builder.extract_value(array.strides, 0), row.type(self.size)
        )
        return self.builder.gep(
            array.data, [self.builder.add(self.builder.mul(row, stride), column)]
        )

    def load_lanes(self, pointer):
        return self.builder.load(self.as_vector(pointer), align=self.size)

    def as_vector(self, pointer):
        return self.builder.bitcast(pointer, self.vector.as_pointer())

    def everywhere(self, scalar):
        """A vector with `scalar` in all lanes."""
        index, nothing = ir.IntType(32), ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, scalar, index(0))
        zeros = ir.Constant(ir.VectorType(index, self.vector.count), [0] * self.vector.count)
        return self.builder.shuffle_vector(first, nothing, zeros)
