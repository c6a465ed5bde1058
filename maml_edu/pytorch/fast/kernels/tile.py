"""The innermost product of the kernels: out += a b on one tile of a matrix, held in vector registers.

Compilers leave about half of a processor idle on matrices of 10 by 40: `out` goes to memory and back for
every few terms. Here a tile of `rows` rows and 64 bytes of columns, or several times that, stays in
registers while all terms are added. Written in LLVM's own words because numba has none for vectors;
everything else is plain numba.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BYTES = 64  # one register of AVX-512, two of AVX2, four of NEON: 16 float32 or 8 float64


def columns_that_fit() -> int:
    """How many times BYTES a tile of four rows may be wide on this machine: AVX-512 has 32 registers."""
    return 4 if llvm.get_host_cpu_features().get("avx512f") else 1


def tile(rows: int, transposed=False, fresh=False, columns: int = 1, named: str = ""):
    """A function (out, i, j, a, b, terms) for numba code: out[i:i+rows, j:j+lanes] += a[i:i+rows] b[:, j:j+lanes].

    a: (…, terms), or with `transposed` (terms, …) of which columns i … i+rows are taken. fresh: `out` is
    set instead of added to. columns: lanes are so many times BYTES. named: "a" or "out", of which row r is
    then the one that `names[r]` names, with the vector `names` of whole numbers as the last argument (for
    a transposed a: of its terms). All matrices are of one dtype, with contiguous rows, and padded to
    whole lanes; nothing is checked.
    """

    def generate(context, builder, signature, arguments):
        make = _Tile(context, builder, signature, arguments, rows, columns, named)
        sums = make.start(fresh, transposed)
        with cgutils.for_range(builder, arguments[5], intp=arguments[5].type) as loop:
            make.add_term(sums, loop.index, transposed)
        make.store(sums)
        return context.get_dummy_value()

    def add_tile(typing_context, out, i, j, a, b, terms):
        return types.void(out, types.intp, types.intp, a, b, types.intp), generate

    def add_named_tile(typing_context, out, i, j, a, b, terms, names):
        return types.void(out, types.intp, types.intp, a, b, types.intp, names), generate

    return intrinsic(add_named_tile if named else add_tile)


class _Tile:
    """The instructions of one tile; `builder` writes them one after the other."""

    def __init__(self, context, builder, signature, arguments, rows, columns, named):
        out, self.i, self.j, a, b = arguments[:5]
        kinds = signature.args
        self.builder, self.columns, self.named = builder, range(columns), named
        given = {0: out, 3: a, 4: b} | ({6: arguments[6]} if named else {})
        self.out, self.a, self.b, *self.names = (
            context.make_array(kinds[n])(context, builder, array) for n, array in given.items()
        )
        scalar = context.get_data_type(kinds[0].dtype)
        self.size = context.get_abi_sizeof(scalar)
        self.vector = ir.VectorType(scalar, BYTES // self.size)
        self.rows = [builder.add(self.i, self.i.type(r)) for r in range(rows)]

    def start(self, fresh, transposed):
        """The tile of `out`, or zeros, row by row: variables, which LLVM keeps in registers."""
        starts = [self.address(self.out, self.row("out", row), self.j) for row in self.rows]
        self.outs = [self.pieces(start) for start in starts]
        if not transposed:
            self.starts = [self.address(self.a, self.row("a", row), 0) for row in self.rows]
        sums = [
            [cgutils.alloca_once(self.builder, self.vector) for _ in self.columns]
            for _ in self.rows
        ]
        zeros = ir.Constant(self.vector, [0.0] * self.vector.count)
        for pointers, totals in zip(self.outs, sums, strict=True):
            for pointer, total in zip(pointers, totals, strict=True):
                self.builder.store(zeros if fresh else self.load_lanes(pointer), total)
        return sums

    def add_term(self, sums, p, transposed):
        """sums[r] += a[i + r, p] · b[p, lanes] for every row r."""
        builder = self.builder
        lanes = [self.load_lanes(piece) for piece in self.pieces(self.address(self.b, p, self.j))]
        across = self.address(self.a, self.row("a", p), self.i) if transposed else None
        for r, totals in enumerate(sums):
            place = (across, self.i.type(r)) if transposed else (self.starts[r], p)
            factor = self.everywhere(builder.load(builder.gep(place[0], [place[1]])))
            for lane, total in zip(lanes, totals, strict=True):
                product = builder.fmul(factor, lane, flags=("contract",))
                summed = builder.fadd(builder.load(total), product, flags=("contract",))
                builder.store(summed, total)

    def store(self, sums):
        for pointers, totals in zip(self.outs, sums, strict=True):
            for pointer, total in zip(pointers, totals, strict=True):
                value = self.builder.load(total)
                self.builder.store(value, self.as_vector(pointer), align=self.size)

    def row(self, matrix, row):
        """The row itself, or the one that names[row] names where the matrix's rows are named."""
        if self.named != matrix:
            return row
        name = self.builder.load(self.builder.gep(self.names[0].data, [row]))
        return self.builder.sext(name, row.type) if name.type != row.type else name

    def address(self, array, row, column):
        """A pointer to array[row, column]; strides are counted in bytes, columns are contiguous."""
        stride = self.builder.sdiv(
            self.builder.extract_value(array.strides, 0), row.type(self.size)
        )
        column = row.type(column) if isinstance(column, int) else column
        return self.builder.gep(
            array.data, [self.builder.add(self.builder.mul(row, stride), column)]
        )

    def pieces(self, pointer):
        """Pointers to the registers' worths of lanes that begin at `pointer`."""
        lanes = self.vector.count
        return [self.builder.gep(pointer, [self.i.type(c * lanes)]) for c in self.columns]

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
