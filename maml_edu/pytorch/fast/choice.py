"""Which way to the gradient is taken, and why not another: start with `meta_gradient`.

What can be told from a model's structure is asked first (`_applies`). What is left is tried on a task or two
beside the textbook loop (`trial.py`), once for each structure of model, loss and inner loop; so is whatever
has been changed since, because the structure is looked at before every step.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from .. import maml
from ..modes import in_evaluation
from . import structure, trial

ENGINES = ("plain", "lean", "threads", "closed", "native", "conv", "compiled", "textbook")
BY_HAND = ("closed", "native", "conv")  # derivatives of known layers, in the parameters' precision
ONE_LOOK = ("plain", "textbook")  # go through each inner step once, with the graph of all of them
SMALL = 100_000  # parameters; below, operations are too short to be worth a thread
_NOT_IN_AUTO = {  # why "auto" has not tried an engine
    "conv": '"auto" tries it where there are convolutions',
    "threads": f'"auto" tries it where there are convolutions or more than {SMALL:,} parameters',
    "compiled": '"auto" never tries it: each new shape takes half a minute to compile',
}
_CROSS_ENTROPY = 1  # as `perceptron` numbers the losses
_MANY = 64  # choices that are remembered for a learner
WIDEST = 512  # layers of a perceptron, for native code
NEEDS_PERCEPTRON = (
    "it needs Linear and ReLU layers as torch has them, and mse_loss or cross_entropy in plain form"
)
NO_NUMBA = 'numba is not installed: pip install "maml_edu[fast]"'


class Choice(NamedTuple):
    """An engine for batches of these shapes."""

    name: str
    network: Any  # as the engine by hand knows it; None for the others


@dataclass(frozen=True, repr=False)
class Explanation:
    """Which engine runs, and for each of the others why it does not; printed, a line for each."""

    engine: str
    reasons: dict[str, str]

    def __repr__(self):
        width = max(map(len, self.reasons))
        lines = [f"{name:<{width}}  {reason}" for name, reason in self.reasons.items()]
        return "\n".join(lines)


def meta_gradient(learner, batch):
    """(meta-loss, gradients like θ[, gradients like inner_lr]) by the first engine that applies."""
    if parametrize._cache_enabled:
        raise ValueError(
            "torch.nn.utils.parametrize.cached() is active: weights that were made for θ would be used for φ. "
            "Compute meta-gradients outside of it."
        )
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is in
        settled = memory_of(learner).settled_for(learner)
        compute = lambda tensors: _of_one_size(learner, settled, tensors)
        return maml.over_groups(compute, batch, settled.params)


def _of_one_size(learner, settled, tensors):
    """The result of the engine that is chosen; of the next one where it turns out not to apply after all.

    No look at a model from outside sees everything that its forward pass may depend on. So each run is
    watched: an engine that ends in an error, or has drawn where each draw must be looked at twice, is not
    used for this structure from then on.
    """
    params, loop, loss, plain, _ = settled
    while True:
        name, network = engine_for(learner, tensors, loop)
        learner.ran = name
        if network is not None:
            return _engine(name)(network, params, tensors, loop)
        generators = trial.Generators(None if plain else _held(learner, tensors, loop))
        clean = contextlib.nullcontext() if plain else structure.nothing_left_in(learner.model)
        with clean, maml.math_attention():
            if name == "textbook":
                return _engine(name)(loss, params, tensors, loop)
            try:
                result = _engine(name)(loss, params, tensors, loop)
                drawn = generators.drawn_since()
                if not drawn or (drawn == "torch" and name == "plain"):
                    return result
                reason = "the forward pass has drawn random numbers, and it looks twice"
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                # what a CUDA graph cannot hold is no fault of the engine
                if [name] == preferences(learner, tensors) or trial.is_capturing():
                    raise
                reason = trial.said(error)
        generators.put_back()
        _rule_out(learner, tensors, loop, name, reason)


def _engine(name):
    """The function (loss or network, params, tensors, loop) of an engine; imported when first asked for."""
    if name == "plain":
        return maml.mean_of_gradients
    return importlib.import_module(f".{name}", __package__).meta_gradient


def check_engine(engine):
    """`engine` as given, once it is known to name engines. ValueError otherwise."""
    names = (engine,) if isinstance(engine, str) else tuple(engine)
    unknown = [name for name in names if name not in (*ENGINES, "auto")]
    if unknown or not names:
        raise ValueError(
            f"engine must be 'auto' or one or several of {', '.join(ENGINES)}; got {engine!r}."
        )
    return engine


# ------------------------------------------------------------------ the choice


def engine_for(learner, tensors, loop=None) -> Choice:
    """The first engine that applies to these tensors (tasks, examples, …).

    Raises ValueError with every engine's reason where none of those asked for does, and where the loss
    depends on something that would never be trained.
    """
    memory = memory_of(learner)
    shapes = tuple([(t.shape, t.dtype, t.device) for t in tensors])
    if loop is not None and loop is memory.settled.loop and shapes in memory.quick:
        choice = memory.quick[shapes]  # nothing has changed since: see `meta_gradient`
        if choice.network is None or labels_within(choice.network, tensors):
            return choice
    loop = learner.loop().checked(learner.params) if loop is None else loop
    choice = _choice_for(learner, tensors, loop, memory)
    if loop is memory.settled.loop and memory.glance is not None:
        memory.quick = {shapes: choice}
    return choice


def _choice_for(learner, tensors, loop, memory) -> Choice:
    """`engine_for`, by a look at everything that the choice depends on."""
    key = circumstances(learner, tensors, loop, memory)
    if key not in memory.choices:
        choice = _Chooser(learner, tensors, loop, key[0]).first()
        key = circumstances(learner, tensors, loop, memory)  # without what has turned out volatile
        memory.remember(key, choice)
    choice = memory.choices[key]
    if choice.network is not None and not labels_within(choice.network, tensors):
        # labels that the loss ignores, or an error that torch words best
        key = (*key, "labels beyond the outputs")
        if key not in memory.choices:
            memory.remember(key, _Chooser(learner, tensors, loop, key[0], BY_HAND).first())
        choice = memory.choices[key]
    return choice


def explain(learner, batch) -> Explanation:
    """The Explanation for a batch (for tasks of unequal size: for the first of its groups)."""
    with torch.inference_mode(False), torch.enable_grad():
        params = learner.params
        loop = learner.loop().checked(params)
        tensors = maml.tensors_of(maml.groups_of(batch)[0], params)
        name = engine_for(learner, tensors, loop).name
        key = circumstances(learner, tensors, loop, memory_of(learner))
        chooser = _Chooser(learner, tensors, loop, key[0])
        reasons = {n: chooser.reason_against(n)[1] for n in chooser.preferences}
    reasons = {n: r or f"would do, but {name} comes first" for n, r in reasons.items()}
    known = _NOT_IN_AUTO if learner.engine == "auto" else {}
    not_asked = f"not asked for: engine={learner.engine!r}"
    others = {n: known.get(n, not_asked) for n in ENGINES if n not in reasons}
    return Explanation(name, {**reasons, **others, name: "runs"})


def _held(learner, tensors, loop):
    """The generators to be watched beside torch's."""
    memory = memory_of(learner)
    held = circumstances(learner, tensors, loop, memory)[0]
    return _Chooser(learner, tensors, loop, held).facts().generators


def _rule_out(learner, tensors, loop, name, reason):
    memory = memory_of(learner)
    memory.rule_out(circumstances(learner, tensors, loop, memory), name, reason)


RECOMPUTES = (
    "the model computes parts of itself again on the way back (torch.utils.checkpoint), when the adapted "
    "parameters are no longer in place: the gradient would be that of θ. Switch checkpointing off."
)


def check_once(learner, tensors) -> str:
    """What the forward pass draws ("", "torch" or "other"; see `trial.Facts`), once its losses are known to do.

    For learners that compute their meta-gradient themselves; looked at once for each structure. Raises ValueError
    as `trial.check_losses` does, and for a model that computes parts of itself again on the way back.
    """
    memory = memory_of(learner)
    kept = memory.settled_for(learner).kept
    if "draws" not in kept:
        held = _held_by(learner, memory)
        if held not in memory.checked:
            trial.check_losses(learner, tensors)
            facts = trial.observe(learner, tensors)
            if facts.recomputes:
                raise ValueError(RECOMPUTES)
            memory.volatile |= facts.volatile
            memory.checked = {_held_by(learner, memory): facts.random}
        kept["draws"] = memory.checked[_held_by(learner, memory)]
    return kept["draws"]


def refuse_recomputation(learner, support_x, support_y):
    """ValueError for a model that computes parts of itself again on the way back from ONE task's support loss.

    Looked at once for each structure: for inner loops outside of a meta-gradient.
    """
    memory = memory_of(learner)
    held = _held_by(learner, memory)
    if held not in memory.once_only:
        loss = learner.inner_loss or learner.task_loss
        if trial.recomputes(learner, lambda theta: loss(theta, support_x, support_y)):
            raise ValueError(RECOMPUTES)
        memory.once_only = {held}


def _held_by(learner, memory):
    """The structure of a learner's model and losses."""
    parts = (learner.model, learner.loss_function, learner.inner_loss_function)
    return tuple(structure.structure_of(part, memory.volatile) for part in parts)


def kept_for(learner) -> dict:
    """A dict that stays with a learner until something about it changes, or may have changed."""
    return memory_of(learner).settled_for(learner).kept


class _Settled(NamedTuple):
    """What a gradient is computed with; as long as nothing has been changed, made once."""

    params: Any  # θ
    loop: Any
    loss: Any  # loss(params, x, y)
    plain: bool  # whether nothing but torch's own layers runs, which leave nothing behind
    kept: dict  # see `kept_for`


class _Memory:
    """What has been found out about a learner; kept with it, since it is of no use without."""

    def __init__(self):
        self.choices = {}  # circumstances: Choice
        self.facts = {}  # structure: trial.Facts
        self.reasons = {}  # (structure, engine): why not, or None
        self.glance: structure.Glance | None = None  # of the learner, when `settled` was made
        self.settled = _Settled({}, None, None, False, {})
        self.quick: dict = {}  # shapes and kinds of tensors: Choice, while `glance` holds
        self.checked: dict = {}  # the structure that `check_once` has passed: what it draws
        self.once_only: set = set()  # the structure that `refuse_recomputation` has passed
        self.volatile: frozenset = frozenset()

    def settled_for(self, learner) -> _Settled:
        """The learner's `_Settled`; made anew unless it can be told that nothing has changed."""
        if self.glance is None or not self.glance.holds():
            params, loss, self.quick = learner.params, learner.task_loss, {}
            losses = (learner.loss_function, learner.inner_loss_function)
            plain = structure.made_of_torch(learner.model, *losses)
            self.settled = _Settled(params, learner.loop().checked(params), loss, plain, {})
            self.glance = structure.Glance.of(learner)
        return self.settled

    def learn(self, held, facts):
        if len(self.facts) >= _MANY:
            self.facts.clear()
            self.reasons.clear()
        self.facts[held] = facts
        self.volatile |= facts.volatile

    def rule_out(self, key, name, reason):
        """From now on `name` is not an engine for this structure."""
        self.quick = {}
        held = coarse(key[0])
        self.reasons[held, name] = reason
        kept = (k for k, c in self.choices.items() if (coarse(k[0]), c.name) != (held, name))
        self.choices = {k: self.choices[k] for k in kept}

    def remember(self, key, choice):
        if len(self.choices) >= _MANY:
            self.choices.clear()
        self.choices[key] = choice


def memory_of(learner) -> _Memory:
    return vars(learner).setdefault("_choices", _Memory())


def circumstances(learner, tensors, loop, memory):
    """((structure and kinds of tensors), shapes): everything that the choice depends on."""
    rates, volatile = loop.inner_lr, memory.volatile
    if isinstance(rates, dict):
        rates = tuple((n, type(r), getattr(r, "shape", ())) for n, r in rates.items())
    else:
        rates = type(rates), getattr(rates, "shape", ())
    inner = learner.inner_loss_function
    held = (
        learner.engine if isinstance(learner.engine, str) else tuple(learner.engine),
        learner.precision,
        torch.is_autocast_enabled(tensors[0].device.type),
        tuple([(t.ndim, t.dtype, t.device.type) for t in tensors]),
        (rates, loop.inner_steps, loop.first_order, loop.adapting, loop.learn_rates),
        (loop.inner_optimiser, loop.inner_clip, tuple(map(bool, loop.query_weights))),
        structure.structure_of(learner.model, volatile),
        structure.structure_of(learner.loss_function, volatile),
        None if inner is None else structure.structure_of(inner, volatile),
    )
    return held, tuple([t.shape for t in tensors])


def coarse(held):
    """A structure without its real numbers: one that is annealed from step to step needs no trial at each."""
    if isinstance(held, tuple):
        return tuple(map(coarse, held))
    return float if isinstance(held, float) else held


class _Chooser:
    """One choice: asks the engines in order of preference. `held`: the structure, known from before or not."""

    def __init__(self, learner, tensors, loop, held, without=()):
        self.learner, self.tensors, self.loop, self.held = learner, tensors, loop, coarse(held)
        self.memory = memory_of(learner)
        names = preferences(learner, tensors)
        self.preferences = [name for name in names if name not in without]
        self.without = [name for name in names if name in without]
        self._trial = None

    def first(self) -> Choice:
        reasons = dict.fromkeys(self.without, "labels are beyond the network's outputs")
        for name in self.preferences:
            network, reasons[name] = self.reason_against(name)
            if reasons[name] is None:
                return Choice(name, network)
        listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ValueError(
            f"no engine of those asked for applies here ({listed}). Try engine='auto'."
        )

    def reason_against(self, name):
        """(network or None, None), or (None, why this engine cannot be used here)."""
        network, reason = self._applies(name)
        if reason is not None or name == "textbook":
            return network, reason
        place = (self.held, name)
        if place not in self.memory.reasons:
            self.memory.reasons[place] = self._tried(name, network)
        return network, self.memory.reasons[place]

    def _tried(self, name, network):
        what = self.learner.task_loss if network is None else network
        quiet: contextlib.AbstractContextManager = contextlib.nullcontext()
        if network is None and self.facts().random:
            # what is drawn differs from look to look: tried with dropout and the like switched off
            quiet = in_evaluation(self.learner.model)
        with quiet:
            if network is None and self.facts().random:
                if trial.observe(self.learner, self.tensors).random:
                    return "it draws random numbers that cannot be switched off for a trial"
                attempt = trial.Trial(self.learner, self.tensors, self.loop)
                return attempt.reason_against(_engine(name), what)
            if self._trial is None:
                self._trial = trial.Trial(self.learner, self.tensors, self.loop)
            return self._trial.reason_against(_engine(name), what)

    def facts(self) -> trial.Facts:
        """What the forward pass does beside computing; looked at once for each structure."""
        if self.held not in self.memory.facts:
            trial.check_losses(self.learner, self.tensors)
            facts = trial.observe(self.learner, self.tensors)
            if facts.recomputes:
                raise ValueError(RECOMPUTES)
            self.memory.learn(self.held, facts)
        return self.memory.facts[self.held]

    # -------------------------------------------------------------- what can be told without trying

    def _applies(self, name):
        """(network or None, None), or (None, the reason why this engine cannot be used here)."""
        if name not in ONE_LOOK and not self.loop.is_descent:
            return None, "it knows gradient descent without clipping, and no other inner step"
        if name in ("threads", *BY_HAND) and any(t.device.type != "cpu" for t in self.tensors):
            return None, "it is for the CPU"
        if name in BY_HAND:
            return self._by_hand(name)
        if name == "compiled":
            from .compiled import missing

            if reason := missing():
                return None, reason
        if name == "threads":
            losses = (self.learner.loss_function, self.learner.inner_loss_function)
            if not hasattr(self.learner.task_loss, "model"):
                return None, "it needs a loss that says which module it calls"
            if structure.shares_state(self.learner.model, *losses):
                return None, "hooks, patches or losses hold what threads would change together"
        draws = self.facts().random
        if draws and name not in ONE_LOOK:
            return None, "the forward pass is not the same twice (dropout?), and it looks twice"
        if draws == "other" and name == "plain":
            return None, "the forward pass draws outside of torch: all tasks would share one draw"
        return None, None

    def _by_hand(self, name):
        learner = self.learner
        if learner.precision == "bf16" or torch.is_autocast_enabled("cpu"):
            return None, "it does not compute in bfloat16"
        if name != "closed" and importlib.util.find_spec("numba") is None:
            return None, NO_NUMBA
        if name == "conv":
            from . import conv

            return conv.network_of(learner, self.tensors)
        from . import perceptron

        network = perceptron.network_of(learner)
        if network is None or not perceptron.fits(network, self.tensors):
            return None, NEEDS_PERCEPTRON
        if name == "native" and max(network.widths) > WIDEST:
            return None, f"a layer is wider than {WIDEST}"
        return network, None


def preferences(learner, tensors):
    """The names to try, in order; "auto" stands for what is known to be fastest, and ends with "textbook"."""
    asked = (learner.engine,) if isinstance(learner.engine, str) else tuple(learner.engine)
    if "auto" not in asked:
        return list(dict.fromkeys(asked))
    large = sum(p.numel() for p in learner.params.values()) > SMALL
    convolves = any(isinstance(m, nn.modules.conv._ConvNd) for m in learner.model.modules())
    suited = [*(["conv"] if convolves else []), *(["threads"] if large or convolves else [])]
    auto = ("native", "closed", *suited, "lean", "plain", "textbook")
    names = [name for entry in asked for name in (auto if entry == "auto" else (entry,))]
    return list(dict.fromkeys(names))


def labels_within(network, tensors):
    """Whether every class label is one of the network's outputs."""
    kinds = (network.support_kind, network.query_kind)
    labels = [y for y, kind in zip(tensors[1::2], kinds, strict=True) if kind == _CROSS_ENTROPY]
    return all(0 <= int(y.min()) and int(y.max()) < network.widths[-1] for y in labels)
