"""What the way to a gradient depends on in a model and a loss: `structure_of`, asked for before every step.

Two structures that compare equal mean that nothing has been changed which can be seen from outside: kinds of
modules, their settings, modes, hooks and patches, which parameters are frozen, what a loss was set to.
"""

from __future__ import annotations

import contextlib
import functools
import random
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as torch_module

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OF_EVERY_MODULE = frozenset(vars(nn.Module())) - {"training"}
_PLAIN = (int, float, complex, str, bytes, bool, type(None), torch.dtype, torch.device, torch.Size)
_DEEP = 3  # containers in containers that are looked into
_LONG = 100  # items of one


def structure_of(thing, volatile=frozenset()):
    """A hashable description of a model, a loss, or a learner's loss that holds both.

    volatile: what a forward pass itself changes, which is left out: (id of a module, attribute), or the id of
    a loss.
    """
    if id(thing) in volatile:
        return id(thing)
    if isinstance(thing, nn.Module):
        return (_global_hooks(), _torch_now(), *(_module(m, volatile) for m in thing.modules()))
    return _frozen(thing, volatile, 0)


def _global_hooks():
    hooks = (getattr(torch_module, f"_global{name}") for name in _HOOKS)
    return tuple(hook for each in hooks for hook in each.values())


def _torch_now():
    """What layers are made of, as torch has it now: a profiler or a tracer may have put something in its place."""
    functions = (F.linear, F.relu, F.conv2d, F.batch_norm, F.max_pool2d)
    losses = (F.mse_loss, F.cross_entropy)
    return *functions, *losses, nn.Module.__call__, nn.Module._call_impl, torch.flatten


_TORCH = _torch_now()


def _module(module, volatile):
    """Kind, identity, children, hooks, parameters, buffers and attributes of one module."""
    attributes = vars(module)
    hooks = tuple(h for name in _HOOKS if attributes[name] for h in attributes[name].values())
    parameters = tuple(_tensor(p) for p in module._parameters.values())
    buffers = tuple((name, _tensor(b)) for name, b in module._buffers.items())
    children = tuple(map(id, module._modules.values()))
    rest = tuple(
        (name, _frozen(value, volatile, 0))
        for name, value in attributes.items()
        if name not in _OF_EVERY_MODULE and (id(module), name) not in volatile
    )
    kind = (type(module), type(module).forward, type(module).__call__)
    return kind, id(module), children, hooks, parameters, buffers, rest


def _tensor(tensor):
    if tensor is None:
        return None
    return id(tensor), tensor.shape, tensor.dtype, tensor.requires_grad, bool(tensor._backward_hooks)


def _frozen(value, volatile, depth):
    """A hashable stand-in for a value: equal for equal settings, different for another object."""
    if isinstance(value, _PLAIN) or isinstance(value, type):
        return value
    if isinstance(value, nn.Module):
        return id(value) if depth else structure_of(value, volatile)
    if isinstance(value, torch.Tensor):
        return id(value), value.shape, value.dtype, value._version
    deeper = lambda item: _frozen(item, volatile, depth + 1)
    if isinstance(value, (list, tuple, dict)) and len(value) > _LONG:
        return type(value), id(value)  # data, rather than settings
    if depth < _DEEP and isinstance(value, (list, tuple)):
        return type(value), tuple(map(deeper, value))
    if depth < _DEEP and isinstance(value, dict):
        return tuple((key, deeper(item)) for key, item in value.items())
    if isinstance(value, functools.partial):
        return deeper(value.func), deeper(value.args), deeper(value.keywords)
    if isinstance(value, types.MethodType):
        return value.__func__, deeper(value.__self__)
    if isinstance(value, types.FunctionType):
        cells = [_content(cell) for cell in value.__closure__ or ()]
        return value, tuple(map(deeper, cells)), deeper(value.__defaults__)
    if depth < _DEEP and isinstance(value, random.Random | np.random.Generator):
        return id(value)
    if depth < _DEEP and hasattr(value, "__dict__"):
        return type(value), id(value), deeper(vars(value))
    return type(value), id(value)


def _content(cell):
    with contextlib.suppress(ValueError):  # a cell may still be empty
        return cell.cell_contents


# ------------------------------------------------------------------ layers that are what they seem


def is_untouched(module) -> bool:
    """Whether a layer computes what its class says: nothing hooked, patched or parametrised."""
    attributes = vars(module)
    hooked = any(attributes[name] for name in _HOOKS)
    patched = any(callable(v) for n, v in attributes.items() if n not in _OF_EVERY_MODULE)
    plain = type(module).__call__ is nn.Module.__call__
    parameters = [p for p in module._parameters.values() if p is not None]
    standard = all(type(p) is nn.Parameter and not p._backward_hooks for p in parameters)
    changed = hooked or patched or _global_hooks() or _torch_now() != _TORCH
    return plain and standard and not changed


def flattened(module):
    """The modules of nested nn.Sequentials that call one child after the other, in order."""
    if isinstance(module, nn.Sequential) and _only_chains(type(module)) and is_untouched(module):
        for child in module:
            yield from flattened(child)
    else:
        yield module


def _only_chains(kind):
    """Whether a subclass of nn.Sequential changes nothing but how it is constructed."""
    between = kind.__mro__[: kind.__mro__.index(nn.Sequential)]
    ours = all(c.__module__.startswith("maml_edu.") for c in between)
    harmless = {"__init__", "__module__", "__doc__", "__annotations__", "__static_attributes__"}
    harmless |= {"__firstlineno__", "__parameters__", "__orig_bases__"}
    return ours or all(set(vars(c)) <= harmless for c in between)


# ------------------------------------------------------------------ what a forward pass leaves behind


def attributes_of(model):
    """{module: {attribute: value}} of what is not of every module; lists and dicts as copies."""
    return {
        module: {
            name: value.copy() if isinstance(value, (list, dict)) else value
            for name, value in vars(module).items()
            if name not in _OF_EVERY_MODULE
        }
        for module in model.modules()
    }


def volatile_in(before, after):
    """(id of a module, attribute) of what differs between two looks with `attributes_of`."""
    return {
        (id(module), name)
        for module, now in after.items()
        for name in before.get(module, {}).keys() | now.keys()
        if not _same(before.get(module, {}).get(name), now.get(name))
    }


def _same(a, b):
    return a is b or (_frozen(a, frozenset(), 0) == _frozen(b, frozenset(), 0))


def restore(before, everything=False):
    """Give modules the attributes that they had; only those that hold tensors now, unless `everything`.

    A feature map that was kept under torch.func is a wrapper which nothing can be done with afterwards,
    and one with a graph can be neither copied nor saved.
    """
    for module, attributes in before.items():
        now = vars(module)
        for name in [n for n in now if n not in _OF_EVERY_MODULE]:
            value = now[name]
            changed = name not in attributes or not _unchanged(value, attributes[name])
            if not changed or not (everything or _holds_tensor(value)):
                continue
            if name not in attributes:
                del now[name]
            elif isinstance(value, (list, dict)) and type(value) is type(attributes[name]):
                value.clear()
                value.extend(attributes[name]) if isinstance(value, list) else value.update(
                    attributes[name]
                )
            else:
                now[name] = attributes[name]


def _unchanged(value, before):
    if isinstance(value, (list, dict)) and type(value) is type(before):
        pairs = zip(value.values(), before.values()) if isinstance(value, dict) else zip(value, before)  # noqa: B905
        return len(value) == len(before) and all(a is b for a, b in pairs)
    return value is before


def _holds_tensor(value, depth=0):
    if isinstance(value, torch.Tensor):
        return True
    if depth < _DEEP and isinstance(value, (list, tuple)):
        return any(_holds_tensor(item, depth + 1) for item in value)
    if depth < _DEEP and isinstance(value, dict):
        return any(_holds_tensor(item, depth + 1) for item in value.values())
    return False


@contextlib.contextmanager
def nothing_left_in(model):
    """Tensors that a forward pass leaves in the attributes of modules are taken out again."""
    before = attributes_of(model)
    try:
        yield
    finally:
        restore(before)
