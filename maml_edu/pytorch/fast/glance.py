"""Whether a learner is as it was: `Glance`, for those who ask more often than `structure_of` is worth."""

from __future__ import annotations

import operator
import types
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

_PLAIN = (int, float, str, bool, type(None))
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = [getattr(torch_module, f"_global{name}") for name in _HOOKS]


class Glance:
    """What a choice of engine was made from, as it was; `holds()` says whether all of it is still there.

    It compares identities, in a few microseconds, and takes any doubt for a change: what it was made for is
    then to be asked for again. Only learners whose settings are numbers, names and functions, and modules that
    have nothing but such settings (multilayer perceptrons, say) can be told so: see `of`.
    """

    @classmethod
    def of(cls, learner) -> Glance | None:
        """The Glance of a learner as it is now; None for one that could change without being seen."""
        settings = [value for name, value in vars(learner).items() if name != "_choices"]
        modules = [m for value in settings if isinstance(value, nn.Module) for m in value.modules()]
        of_modules = [v for m in modules for n, v in vars(m).items() if n not in _OF_EVERY_MODULE]
        if all(map(_is_setting, settings)) and all(isinstance(v, _PLAIN) for v in of_modules):
            return cls(learner, modules)
        return None

    def __init__(self, learner, modules):
        own = ("_parameters", "_buffers", "_modules", *_HOOKS)
        tables = [vars(module)[name] for module in modules for name in own]
        full = [vars(learner), *map(vars, modules), *filter(None, tables)]
        self.learner, self.kind = learner, type(learner)
        self.classes = [(module, type(module), type(module).forward) for module in modules]
        self.tables = [(table, list(table.values())) for table in full]
        self.empty = [table for table in tables if not table] + _GLOBAL_HOOKS
        self.parameters = [(p, _of_parameter(p)) for m in modules for p in m.parameters(False)]

    def holds(self) -> bool:
        """Whether nothing has been changed since."""
        return (
            type(self.learner) is self.kind
            and not any(self.empty)
            and not torch.is_autocast_enabled("cpu")
            and all(type(m) is kind and kind.forward is f for m, kind, f in self.classes)
            and all(_same(table.values(), values) for table, values in self.tables)
            and all(_of_parameter(p) == known for p, known in self.parameters)
        )


def _same(values: Any, before) -> bool:
    """Whether these are the very objects that they were."""
    return len(values) == len(before) and all(map(operator.is_, values, before))


def _of_parameter(p):
    return p.requires_grad, p.dtype, p.shape, p.device, bool(p._backward_hooks)


def _is_setting(value):
    """Whether it cannot be changed from within, or is a module, which is looked at."""
    free = isinstance(value, types.FunctionType) and not value.__closure__
    return free or isinstance(value, (*_PLAIN, nn.Module))
