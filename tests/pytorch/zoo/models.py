"""Models that a plain nn.Sequential cannot say: what people write in `forward`."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class Calls(nn.Module):
    """function(module, x), with parts and settings as attributes of the module."""

    def __init__(self, function, **attributes):
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.function(self, x)


def linear(before, **attributes):
    """A linear layer of before(module, x)."""
    return Calls(lambda m, x: m.layer(before(m, x)), layer=nn.Linear(4, 2), **attributes)


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, *layers):
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.branch(x)


# ------------------------------------------------------------------ sequences


class LastOf(nn.Module):
    """A linear layer on the last output of a recurrent layer; x (examples, length, features)."""

    def __init__(self, recurrent, outputs, width=None):
        super().__init__()
        self.recurrent = recurrent
        directions = 2 if recurrent.bidirectional else 1
        self.head = nn.Linear(width or recurrent.hidden_size * directions, outputs)

    def forward(self, x):
        return self.head(self.recurrent(x)[0][:, -1])


class OverTime(nn.Module):
    """A recurrent cell that is called for each place of a sequence."""

    def __init__(self, cell, outputs):
        super().__init__()
        self.cell, self.head = cell, nn.Linear(cell.hidden_size, outputs)

    def forward(self, x):
        state = None
        for place in range(x.shape[1]):
            state = self.cell(x[:, place], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class SelfAttention(nn.Module):
    """nn.MultiheadAttention of a sequence with itself, its mean, and a linear layer."""

    def __init__(self, width, heads, outputs, need_weights, dropout=0.0):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.head, self.need_weights = nn.Linear(width, outputs), need_weights

    def forward(self, x):
        attended, _ = self.attention(x, x, x, need_weights=self.need_weights)
        return self.head(attended.mean(1))


class ScaledDotProduct(nn.Module):
    """F.scaled_dot_product_attention by hand."""

    def __init__(self, width, outputs, causal):
        super().__init__()
        self.project, self.head = nn.Linear(width, 3 * width), nn.Linear(width, outputs)
        self.causal = causal

    def forward(self, x):
        query, key, value = self.project(x).chunk(3, -1)
        out = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.head(out.mean(1))


class TiedWords(nn.Module):
    """A decoder that shares its weights with the embedding: tokens (examples, length) → scores."""

    def __init__(self, words, width):
        super().__init__()
        self.encoder = nn.Embedding(words, width)
        self.decoder = nn.Linear(width, words)
        self.decoder.weight = self.encoder.weight

    def forward(self, tokens):
        return self.decoder(torch.tanh(self.encoder(tokens)).mean(1))


# ------------------------------------------------------------------ Sequentials that are none


class Shifts(nn.Sequential):
    """A Sequential with a forward of its own."""

    def forward(self, x):
        return super().forward(x) + 0.5 * x.mean(1, keepdim=True)


class Doubles(nn.Sequential):
    """A Sequential with a __call__ of its own."""

    def __call__(self, *arguments, **options):
        return 2 * super().__call__(*arguments, **options)


# ------------------------------------------------------------------ what modules hold


class Keeps(nn.Module):
    """Keeps its feature map, and a list of all that were ever kept."""

    def __init__(self, convolves=False):
        super().__init__()
        self.features = nn.Conv2d(2, 3, 3) if convolves else nn.Linear(4, 5)
        self.head, self.map, self.all = nn.Linear(12 if convolves else 5, 2), None, []

    def forward(self, x):
        self.map = torch.tanh(self.features(x))
        self.all.append(self.map)
        return self.head(self.map.flatten(1))


class CannotBeCopied(nn.Module):
    """Holds a lock, or whatever else copy.deepcopy refuses."""

    def __init__(self, thing, convolves):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(2, 3, 3) if convolves else nn.Linear(4, 12), nn.Flatten()
        )
        self.head, self.thing = nn.Linear(12, 2), thing

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)))


class IsItsOwnCopy(nn.Module):
    """Says that a copy of it is itself."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv2d(2, 3, 3), nn.Linear(12, 2)

    def __deepcopy__(self, memo):
        return self

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)).flatten(1))


class InACircle(nn.Module):
    """Attributes that lead back to themselves."""

    def __init__(self):
        super().__init__()
        self.layer, self.all, self.settings = nn.Linear(4, 2), [self], {}
        self.settings["settings"] = self.settings

    def forward(self, x):
        return self.layer(x)


class PassesOn(nn.Module):
    """A wrapper that passes on what it does not have."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, x):
        return self.inner(x)


class HiddenParts(nn.Module):
    """Frozen modules in a plain list and in a closure, where nn.Module does not see them."""

    def __init__(self, first, second):
        super().__init__()
        self.head, self.parts = nn.Linear(5, 2), [first]
        self.closure = lambda x: second(x)

    def forward(self, x):
        return self.head(self.closure(torch.tanh(self.parts[0](x))))


class CountsInBuffer(nn.Module):
    """A counter that each forward pass raises, and reads."""

    def __init__(self, reassigns=False):
        super().__init__()
        self.layer, self.reassigns = nn.Linear(4, 2), reassigns
        self.register_buffer("count", torch.tensor(1.0))

    def forward(self, x):
        if self.reassigns:
            self.count = self.count + 1
        else:
            self.count += 1
        return self.layer(x) / self.count


class SharesBuffer(nn.Module):
    """One buffer in two modules: written by way of one, read by way of the other."""

    def __init__(self):
        super().__init__()
        self.layer, self.one, self.other = nn.Linear(4, 2), nn.Module(), nn.Module()
        shared = torch.rand(2)
        for part in (self.one, self.other):
            part.register_buffer("shared", shared)

    def forward(self, x):
        self.one.shared.add_(1)
        return self.layer(x) * self.other.shared


class SwitchesModes(nn.Module):
    """Is in eval mode while it computes, and puts its mode back."""

    def __init__(self):
        super().__init__()
        self.layer, self.dropout = nn.Linear(4, 2), nn.Dropout()

    def forward(self, x):
        self.eval()
        out = self.layer(self.dropout(x))
        self.train()
        return out


class Parametric(nn.Module):
    """Parameters directly on the model, in a list and in a dict; one is a scalar, one is never used."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 2))
        self.scale = nn.Parameter(torch.tensor(0.7))
        self.biases = nn.ParameterList([nn.Parameter(torch.randn(2)) for _ in range(2)])
        self.named = nn.ParameterDict({"slope": nn.Parameter(torch.randn(2))})
        self.idle = nn.Parameter(torch.randn(3))

    def forward(self, x):
        out = torch.tanh(self.scale * (x @ self.weight) + self.biases[0])
        return out * self.named["slope"] + self.biases[1]


# ------------------------------------------------------------------ control flow, outputs


class Branches(nn.Module):
    """One of two layers, which the data decide."""

    def __init__(self):
        super().__init__()
        self.layer, self.other = nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        return self.layer(x).tanh() if x.sum() > 0 else self.other(x)


class Halting(nn.Module):
    """As many passes through one layer as its outputs ask for."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        passes = 0
        while passes < 5 and float(x.detach().norm()) > 1.5:
            x, passes = torch.tanh(self.layer(x)), passes + 1
        return self.head(x)


class Energy(nn.Module):
    """The force −dE/dx of a network's energy: autograd inside forward."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x):
        x = x.detach().requires_grad_()
        return -torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]


@dataclass
class Answer:
    scores: torch.Tensor
    features: torch.Tensor


class Returns(nn.Module):
    """Scores and features in a tuple, a dict or a dataclass; or the mean as one number."""

    def __init__(self, form):
        super().__init__()
        self.features, self.head, self.form = nn.Linear(4, 5), nn.Linear(5, 2), form

    def forward(self, x):
        features = torch.tanh(self.features(x))
        scores = self.head(features)
        if self.form == "dict":
            return {"scores": scores, "features": features, "note": "as it is"}
        if self.form == "dataclass":
            return Answer(scores, features)
        return (scores, features) if self.form == "tuple" else scores.mean()
