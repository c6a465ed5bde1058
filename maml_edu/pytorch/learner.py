"""`MAML`: a network, a loss and an inner loop, held together for training and evaluation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from . import fast, maml
from .precision import check_precision, forward_in_bf16, kept


class MAML:
    """Learns an initialisation θ of `model` from which a few gradient steps solve a new task.

    model: any nn.Module without data-dependent control flow; its own parameters are θ, so after
    training the model is the meta-trained one. loss(prediction, target): one number for one task, such
    as F.mse_loss or F.cross_entropy. inner_lr, inner_steps, first_order: as in `adapt`.

    adapting: names of the parameters that the inner loop changes, or what they begin with ("head.");
    None: all. learn_inner_lr: the rates become meta-parameters, trained with θ. inner_loss: another
    loss(prediction, target) for the support set. query_weights: as in `meta_loss`. engine: which way the
    meta-gradient is computed, "auto" or one or several of `maml_edu.pytorch.fast.ENGINES` in order of
    preference; "plain" switches every fast path off. All give the same numbers.

    precision: "float32" means what it says: torch is kept from rounding to TF32, which it does in
    convolutions on a GPU unless told otherwise. "tf32" allows it. "bf16" runs the model's forward pass, and
    with it the backward passes through it, in bfloat16 under autocast; parameters, losses, inner steps and
    means over tasks stay float32 (closed forms are not used then). What that costs: `PRECISIONS`.

    Raises ValueError for a model without parameters, or with layers whose second derivatives torch gets
    wrong (nn.BatchNorm: use mt.BatchNorm; nn.LayerNorm: use mt.LayerNorm). Layers that torch.func cannot
    run (cuDNN-style recurrent layers, buffers changed in place) end in torch's own error.

        learner = MAML(MLP(1, 40, 40, 1), loss=F.mse_loss, inner_lr=0.01, inner_steps=1)
        value, grads = learner.meta_gradient(Sinusoids(shots=10).sample(rng, tasks=25))
    """

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
        engine="auto",
        precision="float32",
    ):
        if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
            raise ValueError(
                f"model must be an nn.Module with parameters that are not frozen; got "
                f"{type(model).__name__}."
            )
        for function in (loss, inner_loss or loss):
            if not callable(function):
                raise ValueError(
                    f"loss must be a function (prediction, target) → number; got {function!r}."
                )
        refuse_inexact_layers(model)
        self.model, self.loss_function, self.inner_loss_function = model, loss, inner_loss
        self.adapting = names_that_adapt(adapting, self.params)
        self.inner_steps = maml.check_inner_loop(self.params, inner_lr, inner_steps, self.adapting)
        self.inner_lr = as_leaves(inner_lr, self.params) if learn_inner_lr else inner_lr
        self.first_order, self.learn_inner_lr = first_order, learn_inner_lr
        self.query_weights = query_weights
        maml.check_query_weights(query_weights, self.inner_steps)
        self.engine = fast.check_engine(engine)
        self.precision = check_precision(precision, self.params)

    def __init_subclass__(cls, **options):
        """What a variant computes in its own way is computed in the learner's precision, too."""
        super().__init_subclass__(**options)
        for name in {"meta_gradient", "meta_loss", "adapt", "predict", "predictions"} & vars(
            cls
        ).keys():
            setattr(cls, name, kept(vars(cls)[name]))

    @property
    def params(self) -> dict[str, torch.Tensor]:
        """θ: name → the model's own parameter; frozen ones (requires_grad=False) stay what they are."""
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    @property
    def meta_params(self) -> dict[str, torch.Tensor]:
        """All that the outer loop trains: θ, and with learn_inner_lr the rates ("inner_lr.…")."""
        return {**self.params, **self.learned_rates()}

    def learned_rates(self) -> dict[str, torch.Tensor]:
        """The inner rates that are meta-parameters: "inner_lr", or "inner_lr.name" for each of a dict."""
        if not self.learn_inner_lr:
            return {}
        if isinstance(self.inner_lr, dict):
            return {f"inner_lr.{name}": own for name, own in self.inner_lr.items()}
        return {"inner_lr": self.inner_lr}

    @property
    def loss(self):
        """loss(params, x, y): the loss on one task's examples at the given parameters, one number."""
        return TaskLoss(self.model, self.loss_function, self.precision)

    @property
    def inner_loss(self):
        """The same for the support set; None where it is `loss`."""
        function = self.inner_loss_function
        return function and TaskLoss(self.model, function, self.precision)

    @kept
    def predict(self, params, x):
        """The model's output for one task's x at the given parameters; arrays are taken too."""
        return call(self.model, params, x, self.precision)

    @kept
    def predictions(self, support_x, support_y, query_x, steps, beside=None):
        """[output for ONE task's query_x after 0, 1, …, `steps` inner steps on its support set].

        beside (examples, …): what goes through the model together with query_x, and whose outputs are
        left out: batch norms then normalise by both.
        """
        loop = (self.inner_lr, steps, False, self.adapting)
        loss = self.inner_loss or self.loss
        path = maml.adaptation(loss, self.detached(), support_x, support_y, *loop)
        return [self.predict_beside(phi, query_x, beside) for phi in path]

    def predict_beside(self, params, x, beside):
        """`predict` for x in one batch with the examples `beside`; None: alone."""
        if beside is None:
            return self.predict(params, x)
        return self.predict(params, torch.cat([maml.like_params(beside, params), x]))[len(beside) :]

    @kept
    def meta_loss(self, batch):
        """Mean query loss after adaptation over the tasks of a batch (a number without a graph)."""
        loop = (self.detached(), batch, self.inner_lr, self.inner_steps)
        with torch.no_grad():
            return maml.meta_loss(self.loss, *loop, **self.options())

    @kept
    def meta_gradient(self, batch):
        """(meta-loss, gradients like `meta_params`) for a batch; see `mt.meta_gradient`."""
        value, grads, *rate_slopes = fast.meta_gradient(self, batch)
        for slopes in rate_slopes:
            rates = slopes.values() if isinstance(slopes, dict) else [slopes]
            grads = grads | dict(zip(self.learned_rates(), rates, strict=True))
        return value, grads

    @kept
    def adapt(self, support_x, support_y, steps=None):
        """φ for ONE task: θ after `steps` inner steps (None: as many as in training) on its support set.

        support_x (shots, …), support_y (shots, …): arrays or tensors. The result is free of any graph.
        """
        steps = self.inner_steps if steps is None else steps
        arguments = (self.detached(), support_x, support_y, self.inner_lr, steps)
        params = maml.adapt(self.inner_loss or self.loss, *arguments, adapting=self.adapting)
        return maml.detached(params)

    def detached(self):
        """θ as tensors without a graph."""
        return maml.detached(self.params)

    def options(self):
        """What `mt.meta_loss` and `mt.meta_gradient` take by keyword."""
        return {
            "adapting": self.adapting,
            "inner_loss": self.inner_loss,
            "query_weights": self.query_weights,
        }

    def check_steps(self, steps):
        """A number of inner steps for evaluation as an int; ValueError where it makes no sense."""
        return maml.check_inner_loop(self.params, self.inner_lr, steps, self.adapting)

    # -------------------------------------------------------------- what meta_train asks for

    def before_iteration(self, iteration, iterations):
        """Called before each outer step: where a variant anneals something. A function of its arguments."""

    def to(self, device):
        """The learner with its meta-parameters and buffers on a device; the same tensors stay in use."""
        self.model.to(device)
        for own in self.learned_rates().values():
            own.data = own.data.to(device)
        return self

    def state_dict(self):
        """What training changed: the model's state and the learned rates."""
        return {"model": self.model.state_dict(), "inner_lr": maml.detached(self.learned_rates())}

    def load_state_dict(self, state):
        """Take over what `state_dict` gave. Raises RuntimeError or KeyError where it does not fit."""
        self.model.load_state_dict(state["model"])
        with torch.no_grad():
            for name, own in self.learned_rates().items():
                own.copy_(state["inner_lr"][name])

    def settings(self):
        """The configuration in plain values: what a run must share with one that it goes on from."""
        plain = isinstance(self.inner_lr, (int, float))
        return {
            "learner": type(self).__name__,
            "inner_lr": self.inner_lr if plain else "learned or listed",
            "inner_steps": self.inner_steps,
            "first_order": self.first_order,
            "adapting": "all" if self.adapting is None else sorted(self.adapting),
            "query_weights": "last" if self.query_weights is None else list(self.query_weights),
            "precision": self.precision,
        }


def call(model, params, x, precision="float32"):
    """The model's output for x at the given parameters; x, and a tensor that comes out, in their precision.

    Where one module stands in a model twice, functional_call (torch 2.13) would leave plain tensors in the
    place of its parameters when it looks for shared weights; there is nothing to look for then.
    """
    names = [id(own) for _, own in model.named_modules(remove_duplicate=False)]
    once = len(names) == len(set(names))
    x = maml.like_params(x, params)
    if precision != "bf16":
        return functional_call(model, params, (x,), tie_weights=once)
    with forward_in_bf16(x.device):
        output = functional_call(model, params, (x,), tie_weights=once)
    return maml.like_params(output, params) if isinstance(output, torch.Tensor) else output


class TaskLoss:
    """loss(params, x, y): a model called with the given parameters, and a loss of what it predicts."""

    def __init__(self, model, function, precision="float32"):
        self.model, self.function, self.precision = model, function, precision

    def __call__(self, params, x, y):
        prediction = call(self.model, params, x, self.precision)
        return self.function(prediction, maml.like_params(y, params))

    def __eq__(self, other):
        return isinstance(other, TaskLoss) and vars(self) == vars(other)

    def __hash__(self):
        return hash((self.model, self.function, self.precision))


def names_that_adapt(adapting, params):
    """The names in params that are given, or begin with what is given; None for all. ValueError if unknown."""
    if adapting is None:
        return None
    given = (adapting,) if isinstance(adapting, str) else tuple(adapting)
    for own in given:
        if not any(name == own or name.startswith(own) for name in params):
            raise ValueError(
                f"adapting names {own!r}, but the model's parameters are {', '.join(params)}."
            )
    return [n for n in params if any(n == own or n.startswith(own) for own in given)]


def as_leaves(inner_lr, params):
    """Rates as tensors that can be trained, on the device and in the precision of the parameters."""
    example = next(iter(params.values()))

    def leaf(own):
        values = torch.as_tensor(own, dtype=example.dtype, device=example.device)
        return values.detach().clone().requires_grad_()

    return (
        {n: leaf(v) for n, v in inner_lr.items()} if isinstance(inner_lr, dict) else leaf(inner_lr)
    )


def refuse_inexact_layers(model):
    """ValueError for normalisation layers whose second derivatives are silently wrong under vmap.

    Measured with torch 2.13 in float64 against double backward without vmap: relative error 1e-3 to
    2e-2 for these, below 1e-13 for GroupNorm, RMSNorm and layers written from elementary operations.
    """
    for name, module in model.named_modules():
        use = None
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            use = f"maml_edu.pytorch.BatchNorm({module.num_features})"
        elif isinstance(module, nn.LayerNorm) and module.elementwise_affine:
            use = f"maml_edu.pytorch.LayerNorm({tuple(module.normalized_shape)})"
        elif isinstance(module, nn.modules.instancenorm._InstanceNorm) and module.affine:
            use = f"torch.nn.GroupNorm({module.num_features}, {module.num_features})"
        if use:
            raise ValueError(
                f"{name or 'model'} is {type(module).__name__}: under torch.func.vmap its second-order "
                f"gradient is silently wrong. Use {use} in its place."
            )
