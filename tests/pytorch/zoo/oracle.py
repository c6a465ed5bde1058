"""The meta-gradient as a user of PyTorch would write it by hand, without the library: `meta_gradient`.

One task after the other, torch.func.functional_call, torch.autograd.grad with create_graph. Each forward
pass gets copies of the buffers, so that none is written.
"""

import contextlib

import numpy as np
import torch
from torch import nn
from torch.func import functional_call


def meta_gradient(case):
    """(meta-loss, {name: gradient}) as tensors; the names are those of a learner's `meta_params`."""
    options = case.options
    theta = {n: p for n, p in case.model.named_parameters() if p.requires_grad}
    rates = options.get("inner_lr", 0.01)
    learned = _leaves_of(rates, theta) if options.get("learn_inner_lr") else {}
    if learned:
        rates = learned.get(
            "inner_lr", {n.removeprefix("inner_lr."): r for n, r in learned.items()}
        )
    wanted = {**theta, **learned}
    values, total = [], {name: torch.zeros_like(leaf) for name, leaf in wanted.items()}
    with torch.inference_mode(False), torch.enable_grad(), _second_derivatives():
        for task in tasks_of(case.batch, theta):
            value = _query_loss(case, theta, rates, task)
            slopes = _slopes(value, wanted, create_graph=False)
            total = {name: total[name] + slopes[name] for name in wanted}
            values.append(value.detach())
    mean = {name: slope.detach() / len(values) for name, slope in total.items()}
    return torch.stack(values).mean(), mean


def _query_loss(case, theta, rates, task):
    support_x, support_y, query_x, query_y = task
    options, steps = case.options, case.options.get("inner_steps", 1)
    inner_loss = options.get("inner_loss") or case.loss
    moving = options.get("adapting") or list(theta)
    weights = options.get("query_weights") or [0.0] * steps + [1.0]
    path, state = [dict(theta)], None
    for step in range(steps):
        phi = path[-1]
        value = inner_loss(_output(case.model, phi, support_x), support_y)
        adapting = {name: phi[name] for name in moving}
        slopes = _slopes(value, adapting, create_graph=True)
        if options.get("first_order"):
            slopes = {name: slope.detach() for name, slope in slopes.items()}
        slopes = _clipped(slopes, options.get("inner_clip"))
        rate = {name: _rate(rates, name, theta[name], step, steps) for name in moving}
        rate = rate if isinstance(rates, dict) else rate[moving[0]]
        moved, state = _stepped(
            options.get("inner_optimiser", "sgd"), adapting, slopes, state, rate
        )
        path.append({**phi, **moved})
    return sum(
        weight * case.loss(_output(case.model, phi, query_x), query_y)
        for phi, weight in zip(path, weights, strict=True)
        if weight
    )


def _output(model, phi, x):
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    places = [module for _, module in model.named_modules(remove_duplicate=False)]
    # functional_call (torch 2.13) does not put everything back where it ties a module that occurs twice
    tie = len(places) == len(set(places))
    return functional_call(model, {**buffers, **phi}, (x,), tie_weights=tie)


def _slopes(value, wanted, create_graph):
    if not value.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in wanted.items()}
    slopes = torch.autograd.grad(
        value, list(wanted.values()), create_graph=create_graph, allow_unused=True
    )
    pairs = zip(wanted.items(), slopes, strict=True)
    return {name: torch.zeros_like(p) if slope is None else slope for (name, p), slope in pairs}


# ------------------------------------------------------------------ the inner step


def _stepped(rule, params, slopes, state, rate):
    if callable(rule):
        return rule(params, slopes, state, rate)
    rate = rate if isinstance(rate, dict) else dict.fromkeys(params, rate)
    if rule == "momentum":
        state = slopes if state is None else {n: 0.9 * state[n] + g for n, g in slopes.items()}
        return {n: p - rate[n] * state[n] for n, p in params.items()}, state
    if rule == "adam":
        count, first, second = state or (0, dict.fromkeys(slopes, 0.0), dict.fromkeys(slopes, 0.0))
        count += 1
        first = {n: 0.9 * first[n] + 0.1 * g for n, g in slopes.items()}
        second = {n: 0.999 * second[n] + 0.001 * g**2 for n, g in slopes.items()}
        direction = {
            n: (first[n] / (1 - 0.9**count)) / (_root(second[n] / (1 - 0.999**count)) + 1e-8)
            for n in slopes
        }
        return {n: p - rate[n] * direction[n] for n, p in params.items()}, (count, first, second)
    return {n: p - rate[n] * slopes[n] for n, p in params.items()}, state


def _root(values):
    """√values, and 0 at 0 with slope 0, where a unit is dead."""
    return torch.where(values > 0, torch.where(values > 0, values, 1.0).sqrt(), 0.0)


def _clipped(slopes, limit):
    if limit is None:
        return slopes
    if isinstance(limit, tuple):
        return {n: g.clamp(-limit[1], limit[1]) for n, g in slopes.items()}
    norm = torch.stack([(g**2).sum() for g in slopes.values()]).sum().sqrt()
    return {n: g * (limit / (norm + 1e-6)).clamp(max=1.0) for n, g in slopes.items()}


def _rate(rates, name, parameter, step, steps):
    rate = rates[name] if isinstance(rates, dict) else rates
    if not isinstance(rate, torch.Tensor):
        return rate
    per_element = isinstance(rates, dict) and rate.shape == parameter.shape
    return rate if rate.ndim == 0 or per_element else rate[step]


def _leaves_of(rates, theta):
    like = next(iter(theta.values()))
    leaf = lambda rate: torch.as_tensor(rate, dtype=like.dtype).clone().requires_grad_()
    if isinstance(rates, dict):
        return {f"inner_lr.{name}": leaf(rate) for name, rate in rates.items()}
    return {"inner_lr": leaf(rates)}


# ------------------------------------------------------------------ tasks, and torch's settings


def tasks_of(batch, theta):
    """Support x and y, query x and y of one task after the other, as tensors; without padding."""
    dtype = next(iter(theta.values())).dtype
    masks = [getattr(batch, f"{role}_mask", None) for role in ("support", "query")]
    fields = [batch.support_x, batch.support_y, batch.query_x, batch.query_y]
    for number in range(len(fields[0])):
        task = []
        for field, mask in zip(fields, [masks[0]] * 2 + [masks[1]] * 2, strict=True):
            values = _tensor(field[number])
            values = values if mask is None else values[torch.as_tensor(np.asarray(mask[number]))]
            task.append(values.to(dtype) if values.is_floating_point() else values)
        yield task


def _tensor(values):
    if isinstance(values, torch.Tensor):
        return values.detach().clone()
    return torch.as_tensor(np.array(values))


@contextlib.contextmanager
def _second_derivatives():
    """The forms of attention and recurrent layers that torch can differentiate twice."""
    math = nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH)
    with math, torch.backends.mkldnn.flags(enabled=False):
        yield
