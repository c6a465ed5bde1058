"""Faster ways to the same meta-gradient: start with `meta_gradient`. Tests hold each to the plain one.

plain     vmap through the whole inner loop: `maml_edu.pytorch.maml`, which chapter 08 teaches
lean      vmap, then back over the inner steps by Hessian-vector products: little memory
threads   the same for one task at a time, tasks spread over threads: convolutions on a CPU
closed    the same with derivatives by hand, in NumPy: multilayer perceptrons
native    these compiled by numba: one task per thread, in cache (pip install "maml_edu[fast]")
compiled  `lean` through torch.compile: needs a C++ compiler, and half a minute
"""

from __future__ import annotations

from .. import maml

ENGINES = {"plain": maml.meta_gradient}


def meta_gradient(learner, batch):
    """(meta-loss, gradients like θ[, gradients like inner_lr]) by the first engine that applies."""
    arguments = (learner.params, batch, learner.inner_lr, learner.inner_steps, learner.first_order)
    options = {"learn_rates": learner.learn_inner_lr, **learner.options()}
    return maml.meta_gradient(learner.loss, *arguments, **options)


def check_engine(engine):
    """`engine` as given, once it is known to name engines. ValueError otherwise."""
    names = (engine,) if isinstance(engine, str) else tuple(engine)
    unknown = [name for name in names if name not in ENGINES and name != "auto"]
    if unknown or not names:
        raise ValueError(
            f"engine must be 'auto' or one or several of {', '.join(ENGINES)}; got {engine!r}."
        )
    return engine
