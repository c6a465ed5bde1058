"""Faster ways to the same meta-gradient: start with `meta_gradient`. Tests hold each to the textbook loop.

    plain     vmap of each task's gradient: `maml_edu.pytorch.maml`, which chapter 08 teaches
    lean      vmap, then back over the inner steps by Hessian-vector products: little memory
    threads   the same for one task at a time, tasks spread over threads: anything large on a CPU
    closed    the same with derivatives by hand, in NumPy: multilayer perceptrons
    native    these compiled by numba: one task per thread, in cache (pip install "maml_edu[fast]")
    conv      convolutional networks like Conv4 with derivatives by hand, compiled by numba as well
    compiled  `lean` through torch.compile: needs a C++ compiler, and half a minute
    textbook  one task after the other, double backward through the whole inner loop: whatever autograd can

"auto" takes the first that applies: on the CPU `native` or `closed` for a multilayer perceptron, `conv` for
Conv4 and its like, `threads` for anything else with convolutions or more than 100,000 parameters, else
`lean`; on a GPU `lean`; then `plain`, which looks at each step once and so serves dropout; last `textbook`.
How one is found to apply, and what is tried before it is trusted: `choice.py`.
"""

from .choice import (
    ENGINES,
    SMALL,
    Explanation,
    check_engine,
    check_once,
    engine_for,
    explain,
    kept_for,
    meta_gradient,
    preferences,
    refuse_recomputation,
)

__all__ = [
    "ENGINES",
    "SMALL",
    "Explanation",
    "check_engine",
    "check_once",
    "engine_for",
    "explain",
    "kept_for",
    "meta_gradient",
    "preferences",
    "refuse_recomputation",
]
