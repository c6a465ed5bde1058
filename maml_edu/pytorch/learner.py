"""`MAML`: a network, a loss and an inner loop, held together for training and evaluation."""

from __future__ import annotations

import contextlib
import copy
import fnmatch
import functools
import inspect
import types

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from . import fast, maml, modes
from .arguments import (
    check_examples,
    checked_steps,
    constructor_of,
    keywords_of,
    refuse_unknown,
)
from .fast import structure, textbook
from .loop import Loop
from .precision import check_precision, forward_in_bf16, in_own_precision


class MAML:
    """Learns an initialisation θ of `model` from which a few gradient steps solve a new task.

    model: any nn.Module that autograd can differentiate twice; its own parameters are θ, so after training
    the model is the meta-trained one. loss(prediction, target): one number for one task, such as F.mse_loss
    or F.cross_entropy. inner_lr, inner_steps, first_order: as in `adapt`.

    adapting: what the inner loop changes, as names of parameters or modules ("head", "1") or patterns
    ("features.conv*"); None: all. learn_inner_lr: the rates become meta-parameters, trained with θ.
    inner_loss: another loss(prediction, target) for the support set. query_weights: as in `meta_loss`.
    inner_optimiser, inner_clip: the rule of an inner step, and what its slopes are cut to; as in `adapt`.
    engine: which way the meta-gradient is computed, "auto" or one or several of `fast.ENGINES` in order of
    preference. All give the same numbers; "auto" ends with "textbook", which runs whatever autograd can.
    `explain(batch)` says which one runs, and why not the others.

    precision: "float32" means what it says: torch is kept from rounding to TF32, which it does in
    convolutions on a GPU unless told otherwise. "tf32" allows it. "bf16" runs the model's forward pass, and
    with it the backward passes through it, in bfloat16 under autocast; parameters, losses, inner steps and
    means over tasks stay float32 (closed forms are not used then). What that costs: `PRECISIONS`.

    Buffers, such as the running statistics of nn.BatchNorm, are read and never written: not by a
    meta-gradient, nor in adaptation or evaluation. Batch norms use the statistics of the batch at hand,
    unless their owner put them into eval mode; then they use what their buffers hold, as in a pretrained
    backbone. Dropout draws in training only.

    Raises ValueError for a model without parameters, for a loss with parameters of its own, which would
    never be trained, and for arguments that make no sense.

        learner = MAML(MLP(1, 40, 40, 1), loss=F.mse_loss, inner_lr=0.01, inner_steps=1)
        value, grads = learner.meta_gradient(Sinusoids(shots=10).sample(rng, tasks=25))
    """

    __signature__: inspect.Signature

    def __new__(cls, *arguments, **options):
        """Before a constructor of the family is called: what is misspelt is answered with what was meant."""
        refuse_unknown(cls, options, keywords_of(cls))
        return super().__new__(cls)

    def __init_subclass__(cls, **options):
        """A class is shown with the arguments of its constructor, not with those of `__new__`."""
        super().__init_subclass__(**options)
        cls.__signature__ = constructor_of(cls)

    def __init__(
        self,
        model,
        loss=F.mse_loss,
        inner_lr=0.01,
        inner_steps=1,
        first_order=False,
        *,
        adapting=None,
        learn_inner_lr=False,
        inner_loss=None,
        query_weights=None,
        inner_optimiser="sgd",
        inner_clip=None,
        engine="auto",
        precision="float32",
    ):
        if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
            raise ValueError(
                f"model must be an nn.Module with parameters that are not frozen; got "
                f"{type(model).__name__}."
            )
        for name, function in (("loss", loss), ("inner_loss", inner_loss or loss)):
            _check_loss(name, function, model)
        self.model, self.loss_function, self.inner_loss_function = model, loss, inner_loss
        self.adapting = names_that_adapt(adapting, dict(model.named_parameters()))
        self.inner_steps = checked_steps(inner_steps)
        if not learn_inner_lr:
            _refuse_rates_nobody_learns(inner_lr)
        self.first_order, self.learn_inner_lr = first_order, learn_inner_lr
        self.query_weights = query_weights
        self.inner_optimiser, self.inner_clip = inner_optimiser, inner_clip
        self.precision = check_precision(precision, self.params)
        self.inner_lr = inner_lr
        self.loop().checked(self.params)
        self.inner_lr = as_leaves(inner_lr, self.params) if learn_inner_lr else inner_lr
        self.engine = fast.check_engine(engine)
        self.ran = ""  # the engine of the last meta-gradient

    @property
    def params(self) -> dict[str, torch.Tensor]:
        """θ: name → the model's own parameter; frozen ones (requires_grad=False) stay what they are."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def meta_params(self) -> dict[str, torch.Tensor]:
        """All that the outer loop trains: θ, and with learn_inner_lr the rates ("inner_lr.…")."""
        return {**self.params, **self.learned_rates()}

    def everything(self) -> dict[str, torch.Tensor]:
        """`meta_params` and the frozen parameters, which the outer loop trains once they are no longer frozen."""
        return {**dict(self.model.named_parameters()), **self.learned_rates()}

    def learned_rates(self) -> dict[str, torch.Tensor]:
        """The inner rates that are meta-parameters: "inner_lr", or "inner_lr.name" for each of a dict."""
        if not self.learn_inner_lr:
            return {}
        if isinstance(self.inner_lr, dict):
            return {f"inner_lr.{name}": rate for name, rate in self.inner_lr.items()}
        return {"inner_lr": self.inner_lr}

    def outer_shares(self) -> dict[str, float]:
        """The outer rates of what does not train at meta_lr itself, as multiples of it, by name."""
        return {}

    def loop(self, steps=None) -> Loop:
        """The inner loop's settings; steps: another number of inner steps than in training."""
        loop = Loop(self.inner_lr, **self._of_loop())
        if self.adapting is not None or isinstance(loop.inner_lr, dict):
            loop = self._without_frozen(loop)
        if steps is None:
            return loop
        loop = loop._replace(query_weights=None).shortened(steps, self.everything())
        return loop._replace(inner_steps=steps)

    def _without_frozen(self, loop):
        """The loop without what has been frozen since the learner was made."""
        moving, rates = self.params, loop.inner_lr
        if self.adapting is not None:
            names = tuple(n for n in self.adapting if n in moving)
            if not names:
                raise ValueError(
                    f"all that adapts is frozen ({', '.join(self.adapting)}): the inner loop has nothing to do."
                )
            loop = loop._replace(adapting=names)
        if isinstance(rates, dict):
            new = [n for n in self.adapting or moving if n in moving and n not in rates]
            if new:
                raise ValueError(
                    f"inner_lr has no rate for {', '.join(new)}. Rates are settled when the learner is made: "
                    "give one for each parameter that moves. What is no longer frozen must be so before the "
                    "learner is made, or be frozen again."
                )
            loop = loop._replace(inner_lr={n: r for n, r in rates.items() if n in moving})
        return loop

    def _of_loop(self):
        return {
            "inner_steps": self.inner_steps,
            "first_order": self.first_order,
            "adapting": self.adapting,
            "inner_loss": self.inner_loss,
            "query_weights": self.query_weights,
            "learn_rates": self.learn_inner_lr,
            "inner_optimiser": self.inner_optimiser,
            "inner_clip": self.inner_clip,
        }

    @property
    def task_loss(self):
        """loss(params, x, y): the loss on one task's examples at the given parameters, one number."""
        return TaskLoss(self.model, self.loss_function, self.precision)

    @property
    def inner_loss(self):
        """The same for the support set; None where it is `task_loss`."""
        function = self.inner_loss_function
        return function and TaskLoss(self.model, function, self.precision)

    def example_losses(self, theta, task):
        """The losses of ONE task at θ, with their graphs: of the support set and of the query set."""
        support_x, support_y, query_x, query_y = task
        support = [(self.inner_loss or self.task_loss)(theta, support_x, support_y)]
        return [*(support if self.inner_steps else []), self.task_loss(theta, query_x, query_y)]

    # -------------------------------------------------------------- the meta-gradient

    @in_own_precision
    def meta_gradient(self, batch):
        """(meta-loss, gradients like `meta_params`) for a batch; see `mt.meta_gradient`.

        batch: a TaskBatch, or a tuple (support_x, support_y, query_x, query_y).
        """
        value, grads, *rate_slopes = fast.meta_gradient(self, batch)
        for slopes in rate_slopes:
            named = slopes.items() if isinstance(slopes, dict) else [("", slopes)]
            grads |= {f"inner_lr.{name}".rstrip("."): slope for name, slope in named}
        return value, grads

    @in_own_precision
    def meta_loss(self, batch):
        """Mean query loss after adaptation over the tasks of a batch (a number without a graph)."""
        theta, loop = self.detached(), self.loop().checked(self.params)

        def mean_loss(tensors):
            self.refuse_recomputation(*(tensor[0] for tensor in tensors[:2]))
            losses = [
                maml.query_loss(self.task_loss, theta, task, loop, textbook.detached_slope_of)
                for task in zip(*tensors, strict=True)
            ]
            return (torch.stack(losses).mean().detach(),)

        with structure.nothing_left_in(self.model):
            return maml.over_groups(mean_loss, batch, theta)[0]

    def explain(self, batch):
        """Which engine computes the meta-gradient of such a batch, and for each of the others why it does not.

        Returns an Explanation: `engine`, `reasons` (by engine); printed, a line for each.
        """
        return fast.explain(self, batch)

    # -------------------------------------------------------------- one task

    @in_own_precision
    def adapt(self, support_x, support_y, steps=None):
        """φ for ONE task: θ after `steps` inner steps (None: as many as in training) on its support set.

        support_x (shots, …), support_y (shots, …): arrays or tensors. The result is free of any graph.
        Nothing is dropped out, and no buffer is written.
        """
        return self._path(support_x, support_y, steps)[-1]

    def _path(self, support_x, support_y, steps):
        """[φ₀ … φ_K] of one task, from what a user gives."""
        steps = self.check_steps(self.inner_steps if steps is None else steps)
        theta = self.detached()
        maml.refuse_bytes("support_x", support_x)
        support_x, support_y = (maml.like_params(a, theta) for a in (support_x, support_y))
        check_examples("support", support_x, support_y)
        modes.refuse_unwritten_statistics(self.model)
        with modes.in_evaluation(self.model), structure.nothing_left_in(self.model):
            if steps:
                self.refuse_recomputation(support_x, support_y)
            path = self.path(theta, support_x, support_y, steps, textbook.detached_slope_of)
        return [maml.detached(phi) for phi in path]

    def refuse_recomputation(self, support_x, support_y):
        """ValueError for a model that would go the way back through ONE task's inner steps with θ in place of φ."""
        fast.refuse_recomputation(self, support_x, support_y)

    def path(self, theta, support_x, support_y, steps, slope_of=maml.slope_of):
        """[φ₀ = θ, φ₁, …, φ_steps] of ONE task; see `maml.adaptation`."""
        loop, loss = self.loop(steps).checked(theta), self.inner_loss or self.task_loss
        return maml.adaptation(loss, theta, support_x, support_y, loop, slope_of)

    @in_own_precision
    def predict(self, params, x, beside=None):
        """The model's output for one task's x at the given parameters; arrays are taken too.

        beside (examples, …): what goes through the model together with x, and whose outputs are left out:
        batch norms then normalise by both. Without it, one example by itself is warned of. Nothing is
        dropped out. Raises ValueError for batch norms in eval mode whose statistics were never written.
        """
        modes.refuse_unwritten_statistics(self.model)
        maml.refuse_bytes("x", x)
        with modes.in_evaluation(self.model):
            output = self.output(params, x, beside)
            if beside is None and len(x) == 1:
                self._warn_of_one_example(params, x, output)
        return output

    def _warn_of_one_example(self, params, x, output):
        """A warning where what comes out for one example depends on what else is in its batch."""
        if structure.made_of_torch(self.model):
            modes.warn_of_one_example(self.model, x)
            return
        x = maml.like_params(x, params)
        if not x.is_floating_point():
            return
        with (
            torch.no_grad(),
            contextlib.suppress(Exception),
        ):  # a model that wants one example at a time
            again = self.output(params, x, beside=x.flip(-1) * 0.5 + 1)
            parts = zip(pytree.tree_leaves(output), pytree.tree_leaves(again), strict=True)
            if not all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in parts):
                modes.warn_of_batch_statistics()

    def output(self, params, x, beside=None):
        """The model's output for x (examples, …), in whatever mode it is; beside: as in `predict`."""
        return Forward(self.model, self.precision).output(params, x, beside)

    def predictors(self, support_x, support_y, steps, slope_of=maml.slope_of):
        """[function (x, beside=None) → output] for ONE task after 0, 1, …, `steps` inner steps."""
        path = self.path(self.detached(), support_x, support_y, steps, slope_of)
        forward = Forward(self.model, self.precision)
        return [functools.partial(forward.output, phi) for phi in path]

    def predictions(self, support_x, support_y, query_x, steps, beside=None):
        """[output for ONE task's query_x after 0, 1, …, `steps` inner steps on its support set].

        beside: as in `predict`.
        """
        return [f(query_x, beside) for f in self.predictors(support_x, support_y, steps)]

    def adapted(self, support_x, support_y, steps=None) -> nn.Module:
        """The model with φ of ONE task in it: an ordinary nn.Module of its own, to be used, saved and loaded.

        In eval mode, but for batch norms that use the statistics of the batch at hand: these go on doing so,
        and want more than one example at a time. Arguments as in `adapt`. Raises ValueError for a model that
        cannot be copied.
        """
        phi = self.at_end(self.adapt(support_x, support_y, steps), steps)
        try:
            module = copy.deepcopy(self.model)
        except Exception as error:
            raise ValueError(
                f"the model cannot be copied ({type(error).__name__}: {error}): use adapt and predict."
            ) from error
        for part in module.modules():
            part.training = part.training and modes.is_norm(part)
        adapted = {name: nn.Parameter(value.clone()) for name, value in phi.items()}
        names = {p: name for name, p in self.params.items()}
        for place, parameter in self.model.named_parameters(remove_duplicate=False):
            if parameter in names:  # where weights are shared, in each of their places
                owner, _, last = place.rpartition(".")
                setattr(module.get_submodule(owner), last, adapted[names[parameter]])
        return module

    def at_end(self, phi, steps=None):
        """φ as the model itself has it: where a variant keeps something for each step, what the last one has."""
        return phi

    def moving_only(self, adapting, inner_lr=None):
        """A learner around the same model, and so the same θ, whose inner loop moves only these parameters.

        To freeze layers at test time, `evaluate(learner.moving_only("head"), tasks, steps=5)`; this learner
        stays as it is. adapting: as for the constructor; it may name what this learner's inner loop does not
        move. inner_lr: another rate; None keeps the rates, of learned ones those that belong to what moves.
        If it is trained, the model is trained. Raises ValueError for names that the model does not have, and for
        learners without an inner loop of this kind.
        """
        if "adapting" not in keywords_of(type(self)):
            raise ValueError(
                f"{type(self).__name__} has no inner loop of which a part can be frozen: make a MAML of its "
                f"model, mt.MAML(learner.model, loss, inner_lr, adapting=…), if plain descent is what you want."
            )
        learner = copy.copy(self)
        learner.adapting = names_that_adapt(adapting, dict(self.model.named_parameters()))
        if inner_lr is not None:
            _refuse_rates_nobody_learns(inner_lr)
            learner.inner_lr, learner.learn_inner_lr = inner_lr, False
        elif isinstance(self.inner_lr, dict):
            moving = learner.adapting or self.inner_lr
            learner.inner_lr = {n: self.inner_lr[n] for n in moving if n in self.inner_lr}
        learner.loop().checked(learner.params)
        return learner

    # -------------------------------------------------------------- θ and its settings

    def detached(self):
        """θ as tensors without a graph."""
        return maml.detached(self.params)

    def check_steps(self, steps):
        """A number of inner steps for evaluation as an int; ValueError where it makes no sense."""
        return self.loop(checked_steps(steps)).checked(self.params).inner_steps

    def before_iteration(self, iteration, iterations):
        """Called before each outer step: where a variant anneals something. A function of its arguments."""

    def to(self, device):
        """The learner with its meta-parameters and buffers on a device; the same tensors stay in use."""
        self.model.to(device)
        for rate in self.learned_rates().values():
            rate.data = rate.data.to(device)
        return self

    def state_dict(self):
        """What training changed: the model's state and the learned rates."""
        return {"model": self.model.state_dict(), "inner_lr": maml.detached(self.learned_rates())}

    def load_state_dict(self, state):
        """Take over what `state_dict` gave. Raises RuntimeError or KeyError where it does not fit."""
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            for name, rate in self.learned_rates().items():
                rate.copy_(state["inner_lr"][name])

    def settings(self):
        """The configuration in plain values: what a run must share with one that it goes on from."""
        plain = isinstance(self.inner_lr, (int, float))
        rule = self.inner_optimiser
        settings = {
            "learner": type(self).__name__,
            "inner_lr": self.inner_lr if plain else "learned or listed",
            "inner_steps": self.inner_steps,
            "first_order": self.first_order,
            "adapting": "all" if self.adapting is None else sorted(self.adapting),
            "query_weights": "last" if self.query_weights is None else list(self.query_weights),
            "precision": self.precision,
        }
        if rule != "sgd" or self.inner_clip is not None:
            settings["inner_optimiser"] = rule if isinstance(rule, str) else rule.__qualname__
            settings["inner_clip"] = self.inner_clip
        return settings

    def __getstate__(self):
        """Without what was found out about engines, which is found out again where it is wanted."""
        return {name: value for name, value in vars(self).items() if name != "_choices"}


MAML.__signature__ = constructor_of(MAML)


class Forward:
    """A model called with given parameters: buffers are read, and what is written to them is thrown away.

    Batch norms in training mode have no running statistics meanwhile, which they would only write.
    """

    def __init__(self, model, precision="float32"):
        self.model, self.precision = model, precision
        names = [id(module) for _, module in model.named_modules(remove_duplicate=False)]
        # Where one module stands in a model twice, functional_call (torch 2.13) would leave plain tensors in
        # the place of its parameters when it looks for shared weights; there is nothing to look for then.
        self.tie = len(names) == len(set(names))
        self.unwritten = {
            f"{prefix}.{name}".lstrip("."): None
            for prefix, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase)
            and module.training
            and type(module).__module__.startswith("torch.nn.")
            and structure.is_untouched(module)
            for name in ("running_mean", "running_var", "num_batches_tracked")
            if name in module._buffers
        }
        self.rest = {
            name: tensor
            for name, tensor in model.named_buffers()
            if name not in self.unwritten and tensor is not None
        }
        self.frozen = {n: p for n, p in model.named_parameters() if not p.requires_grad}
        # a model of one's own may change its input in place, and each look has to find it as it was
        plain = structure.made_of_torch(model)
        self.protects = not plain or any(getattr(m, "inplace", False) for m in model.modules())
        every = sorted(model.parameters(), key=lambda p: not p.requires_grad)  # frozen ones last
        self.dtype = every[0].dtype

    def __call__(self, params, x):
        """The output for x (examples, …); x, and a tensor that comes out, in the parameters' precision."""
        x, dtype = maml.like_params(x, params), next(iter(params.values())).dtype
        x = x.clone() if self.protects else x
        held = {name: tensor.clone() for name, tensor in self.rest.items()}
        if dtype != self.dtype:  # everything in the precision that is asked for
            held = {n: t.to(dtype) if t.dtype == self.dtype else t for n, t in held.items()}
            held |= {n: p.to(dtype) for n, p in self.frozen.items()}
        tensors = {**held, **self.unwritten, **params}
        if self.precision != "bf16":
            return self._call(tensors, x)
        with forward_in_bf16(x.device):
            output = self._call(tensors, x)
        back = lambda part: (
            maml.like_params(part, params) if isinstance(part, torch.Tensor) else part
        )
        return pytree.tree_map(back, output)

    def output(self, params, x, beside=None):
        """The output for x (examples, …) alone; beside (examples, …): what goes through together with it."""
        if beside is None:
            return self(params, x)
        x, beside = maml.like_params(x, params), maml.like_params(beside, params)
        both = self(params, torch.cat([beside, x]))
        return pytree.tree_map(lambda part: _without_first(part, len(beside), len(x)), both)

    def _call(self, tensors, x):
        try:
            return functional_call(self.model, tensors, (x,), tie_weights=self.tie)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"a batch norm is asked about one example at a time, which it cannot normalise ({error}). "
                f"Instead: {modes.BESIDE}; evaluate(…, transductive=False) does so. Tasks need two support "
                f"examples at least, or norms in eval mode, or another norm."
            ) from error


class TaskLoss:
    """loss(params, x, y): a model called with the given parameters, and a loss of what it predicts."""

    def __init__(self, model, function, precision="float32"):
        self.model, self.function, self.precision = model, function, precision

    @functools.cached_property
    def forward(self):
        return Forward(self.model, self.precision)

    @functools.cached_property
    def protects(self):
        """Whether the loss, one of somebody's own, might write into the labels."""
        function = self.function
        kind = function if hasattr(function, "__code__") else type(function)
        return not str(getattr(kind, "__module__", "")).startswith("torch.nn.")

    def __call__(self, params, x, y):
        y = maml.like_params(y, params)
        return self.function(self.forward(params, x), y.clone() if self.protects else y)

    def _key(self):
        return self.model, self.function, self.precision

    def __eq__(self, other):
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())


# ------------------------------------------------------------------ what is asked of the arguments


def names_that_adapt(adapting, params):
    """The names in params that are given: parameters, modules, or patterns with *; None for all.

    "1" means the parameters of the module "1", not those of "10"; "conv*" whatever begins so. ValueError for
    what is not there.
    """
    if adapting is None:
        return None
    given = (adapting,) if isinstance(adapting, str) else adapting
    given = tuple(given) if isinstance(given, (list, tuple, set, dict)) else (given,)
    if not all(isinstance(pattern, str) for pattern in given):
        raise ValueError(
            f'adapting must name parameters or modules, such as "head" or ("conv*", "head.bias"); got '
            f"{adapting!r}."
        )
    chosen = set()
    for pattern in given:
        module = f"{pattern.removesuffix('.')}."
        names = {n for n in params if n == pattern or n.startswith(module)}
        names |= {n for n in params if "*" in pattern and fnmatch.fnmatchcase(n, pattern)}
        if not names:
            raise ValueError(
                f"adapting names {pattern!r}, but the model's parameters are {', '.join(params)}: name "
                f'parameters, modules ("head") or patterns ("conv*").'
            )
        chosen |= names
    return [name for name in params if name in chosen]


def as_leaves(inner_lr, params):
    """Rates as tensors that can be trained, on the device and in the precision of the parameters."""
    example = next(iter(params.values()))

    def leaf(rate):
        values = torch.as_tensor(rate, dtype=example.dtype, device=example.device)
        return values.detach().clone().requires_grad_()

    if isinstance(inner_lr, dict):
        return {name: leaf(rate) for name, rate in inner_lr.items()}
    return leaf(inner_lr)


def _refuse_rates_nobody_learns(inner_lr):
    rates = inner_lr.values() if isinstance(inner_lr, dict) else [inner_lr]
    rates = [r for rate in rates for r in (rate if isinstance(rate, (list, tuple)) else [rate])]
    if any(isinstance(rate, torch.Tensor) and rate.requires_grad for rate in rates):
        raise ValueError(
            "inner_lr is a tensor with requires_grad, which nothing would train: say learn_inner_lr=True, or "
            "give inner_lr.detach()."
        )


def _check_loss(name, function, model):
    """ValueError unless a loss is a function without trainable parameters of its own."""
    if not callable(function) or isinstance(function, type):
        raise ValueError(
            f"{name} must be a function (prediction, target) → number; got {function!r}."
        )
    ours = {id(p) for p in model.parameters()}
    for part in _modules_behind(function):
        for parameter_name, p in part.named_parameters():
            if p.requires_grad and id(p) not in ours:
                raise ValueError(
                    f"{name} has parameters of its own ({parameter_name}), which MAML would never train: "
                    f"requires_grad_(False) keeps them as they are; to train them, use mt.meta_gradient(loss, "
                    f"params, …) with a params dict that holds them, too."
                )


def _modules_behind(function, depth=0):
    """The nn.Modules that a loss is, is a method of, or closes over."""
    if isinstance(function, nn.Module):
        return [function]
    inside = []
    if isinstance(function, types.MethodType):
        inside = [function.__self__]
    elif isinstance(function, functools.partial):
        inside = [function.func, *function.args, *function.keywords.values()]
    elif isinstance(function, types.FunctionType):
        inside = [_content(cell) for cell in function.__closure__ or ()]
    elif hasattr(function, "__dict__") and not isinstance(function, type):
        inside = list(vars(function).values())
    deep = [item for item in inside if depth < 3]
    return [module for item in deep for module in _modules_behind(item, depth + 1)]


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return None


def _without_first(part, first, rest):
    """A part of an output for first + rest examples, without the first ones."""
    if not isinstance(part, torch.Tensor):
        return part
    if part.ndim == 0 or len(part) != first + rest:
        raise ValueError(
            f"the model's output has shape {tuple(part.shape)} for {first + rest} examples: with beside= "
            f"each tensor that comes out must have the examples on its first axis."
        )
    return part[first:]
