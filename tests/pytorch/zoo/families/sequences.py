"""Recurrent layers and their cells, attention, embeddings."""

import torch.nn.functional as F
from torch import nn

from ..case import SINGLE, in_eval, of_words, real, whole
from ..models import LastOf, OverTime, ScaledDotProduct, SelfAttention, TiedWords

_FIRST_ORDER = {"first_order": True}


def _recurrent(kind, dtype=None, **options):
    make = LastOf(kind(3, 4, batch_first=True, **options), 2)
    return real(make, inputs=(3, 3), **({"dtype": dtype} if dtype else {}))


def _cell(kind, **rest):
    return real(OverTime(kind(3, 4), 2), inputs=(3, 3), **rest)


def _attending(model, **rest):
    return real(model, inputs=(3, 4), **rest)


def _self_attention(need_weights=False, **rest):
    return _attending(SelfAttention(4, 2, 2, need_weights), **rest)


def _transformer(dtype=None, **options):
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True, **options)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))
    return _attending(model, **({"dtype": dtype} if dtype else {}))


def _embedding(**options):
    return nn.Embedding(6, 3, **options), nn.Flatten(), nn.Tanh(), nn.Linear(12, 2)


def _bag(**options):
    # torch has no second derivative of EmbeddingBag
    layers = nn.EmbeddingBag(6, 3, **options), nn.Tanh(), nn.Linear(3, 2)
    return of_words(*layers, options=_FIRST_ORDER)


_RNNS = {
    f"{kind.__name__}{name}": lambda kind=kind, options=options: _recurrent(kind, **options)
    for kind in (nn.RNN, nn.LSTM, nn.GRU)
    for name, options in {
        "": {},
        ", float32": {"dtype": SINGLE},
        ", 2 layers": {"num_layers": 2},
        ", bidirectional": {"bidirectional": True},
    }.items()
}
_CELLS = {
    kind.__name__: lambda kind=kind: _cell(kind) for kind in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
}

CASES = {
    **_RNNS,
    **_CELLS,
    "LSTMCell, float32": lambda: _cell(nn.LSTMCell, dtype=SINGLE),
    "LSTM that projects": lambda: real(
        LastOf(nn.LSTM(3, 4, proj_size=2, batch_first=True), 2, width=2), inputs=(3, 3)
    ),
    "MultiheadAttention with weights": lambda: _self_attention(need_weights=True),
    "MultiheadAttention without weights": lambda: _self_attention(),
    "MultiheadAttention, float32": lambda: _self_attention(dtype=SINGLE),
    "MultiheadAttention, eval": lambda: in_eval(_self_attention()),
    "TransformerEncoderLayer": lambda: _transformer(activation="gelu"),
    "TransformerEncoderLayer, norm first": lambda: _transformer(norm_first=True),
    "TransformerEncoderLayer, eval": lambda: in_eval(_transformer()),
    "TransformerEncoderLayer, float32": lambda: _transformer(dtype=SINGLE),
    "scaled dot product": lambda: _attending(ScaledDotProduct(4, 2, causal=False)),
    "scaled dot product, causal": lambda: _attending(ScaledDotProduct(4, 2, causal=True)),
    "Embedding": lambda: of_words(*_embedding()),
    "Embedding with padding": lambda: of_words(*_embedding(padding_idx=0)),
    "Embedding of a largest norm": lambda: of_words(
        *_embedding(max_norm=1.0), writes=("parameters",)
    ),
    "Embedding, sparse": lambda: of_words(*_embedding(sparse=True)),
    "EmbeddingBag": lambda: _bag(),
    "EmbeddingBag, sum": lambda: _bag(mode="sum"),
    "tied words": lambda: of_words(TiedWords(6, 3), loss=F.cross_entropy, y=whole(6)),
}
