"""Tensors in and out (chapter 08), and lists, tuples and whole numbers (chapter 10)."""

from __future__ import annotations

from .cases import IMAGES, POINTS, TORCH, answer, cell, solutions


def turned(chapter, key, name, expression, right=True, before="", **more):
    """The right answer r of one exercise, turned into something else on its way out."""
    source = (
        solutions(chapter)[key]
        + f"\n\nright_{key} = {key}\ndef {key}(*args):\n    r = right_{key}(*args)\n"
    )
    points = [
        p if right or k != key else 0
        for k, p in zip(solutions(chapter), POINTS[chapter], strict=True)
    ]
    return answer(f"{chapter[:2]}: {name}", tuple(points), chapter, before=before, **more,
                  **{key: source + f"    return {expression}"})  # fmt: skip


ALL_PARTS = "{k: %s for k, v in r[1].items()}"

TENSORS = [
    turned(TORCH, "all_tasks", "as it is", "r", marks=("ordinary", "given")),
    turned(TORCH, "all_tasks", "with its graph", "(r[0].requires_grad_() * 1, r[1])"),
    turned(TORCH, "all_tasks", "NumPy in place of tensors", f"(r[0].detach().numpy(), {ALL_PARTS % 'v.detach().numpy()'})"),
    turned(TORCH, "all_tasks", "lists in place of tensors", f"(r[0].tolist(), {ALL_PARTS % 'v.tolist()'})"),
    turned(TORCH, "all_tasks", "a list in place of a tuple", "list(r)"),
    turned(TORCH, "meta_gradient", "a number in place of a tensor", "(r[0].item(), r[1])"),
    turned(TORCH, "meta_gradient", "an OrderedDict, in another order",
           "(r[0], __import__('collections').OrderedDict(reversed(r[1].items())))"),
    turned(TORCH, "meta_gradient", "parameters of a module", "(r[0], {k: torch.nn.Parameter(v) for k, v in r[1].items()})"),
    turned(TORCH, "all_tasks", "half precision", "(r[0].half(), r[1])", right=False, says="your answer[0]"),
    turned(TORCH, "all_tasks", "on no device", "(r[0].to('meta'), r[1])", right=False, says="your function raised"),
    turned(TORCH, "all_tasks", "sparse", "(r[0].to_sparse(), r[1])", right=False),
    turned(TORCH, "all_tasks", "complex", "(r[0] + 0j, r[1])", right=False, says="not plain data"),
    turned(TORCH, "all_tasks", "a tensor class that says yes to all", "(torch.ones(4).as_subclass(Yes), r[1])", right=False,
           before="import torch\nclass Yes(torch.Tensor):\n    __torch_function__ = classmethod(lambda c, f, t, a=(), k=None: True)"),
    turned(TORCH, "all_tasks", "a key too many", "(r[0], r[1] | {'w3': r[0]})", right=False, says="a dict with the keys"),
    turned(TORCH, "inner_step", "changes the parameters it is given", "[args[1][k].fill_(7) for k in args[1]] and r", right=False,
           says="changes `params` in place"),
    turned(TORCH, "repaired", "a hook on every operation", "r", before="""
        import torch
        from torch.overrides import TorchFunctionMode
        class Mode(TorchFunctionMode):
            def __torch_function__(self, f, types, args=(), kwargs=None): return f(*args, **(kwargs or {}))
        Mode().__enter__()"""),
    cell("08: threads and a seed", "import torch; torch.set_num_threads(4); torch.manual_seed(0)", chapter=TORCH),
    cell("08: no gradients from here on", "import torch; torch.set_grad_enabled(False)", (0, 4, 4, 0, 6), chapter=TORCH),
    cell("08: memory in tensors", "import torch; hog = [torch.ones(1 << 27) for _ in range(12)]", chapter=TORCH),
    cell("08: a saved program", "import torch; torch.save({'a': 1}, 'x.pt'); torch.load('x.pt'); torch.hub.set_dir('.')", chapter=TORCH),
]  # fmt: skip

NUMBERS = [
    turned(IMAGES, "episode", "as it is", "r"),
    turned(IMAGES, "episode", "lists of Python's numbers", "[part.tolist() for part in r]"),
    turned(IMAGES, "episode", "small whole numbers without a sign", "tuple(p.astype('uint8') for p in r)"),
    turned(IMAGES, "episode", "large whole numbers without a sign", "tuple(p.astype('uint64') for p in r)"),
    turned(IMAGES, "episode", "the other byte order", "tuple(p.astype('>i4') for p in r)"),
    turned(IMAGES, "episode", "floats", "tuple(p.astype(float) for p in r)", right=False, says="whole numbers"),
    turned(IMAGES, "episode", "words", "[['x' * 4000, *[''] * 10**5]] * 4", right=False, says="far larger"),
    turned(IMAGES, "episode", "ragged", "[[[1], [2, 3]]] * 4", right=False, says="return four arrays"),
    turned(IMAGES, "episode", "an object", "object()", right=False, says="not plain data"),
    turned(IMAGES, "episode", "beyond every image", "(r[0] + 10**6, *r[1:])", right=False, says="no image of such an index"),
    turned(IMAGES, "episode", "another one at every call", "right_episode(*args[:4], np.random.randint(10**6))", right=False),
    turned(IMAGES, "compare", "NumPy's numbers in a list", "list(np.float64(r))"),
    turned(IMAGES, "compare", "an array of three", "np.array(r)"),
    turned(IMAGES, "compare", "an array of arrays", "np.array([r, r, r])", right=False, says="return three numbers"),
    turned(IMAGES, "two_ways", "in another memory order", "tuple(np.asfortranarray(p) for p in r)"),
    turned(IMAGES, "two_ways", "single precision at the end", "tuple(p.astype('f4') for p in r)"),
    turned(IMAGES, "class_share", "a list of one number in an array", "np.array([r])", right=False, says="should be a number"),
    turned(IMAGES, "prototype_head", "lists", "[part.tolist() for part in r]"),
    turned(IMAGES, "prototype_head", "tensors", "tuple(map(__import__('torch').tensor, r))"),
    turned(IMAGES, "prototype_head", "true and false", "(r[0] > 0, r[1])", right=False),
    turned(IMAGES, "largest_rate", "a tensor", "__import__('torch').tensor(r)"),
    turned(IMAGES, "convert_rate", "an array of one number", "np.array(r)"),
]  # fmt: skip

CASES = [*TENSORS, *NUMBERS]
