"""Marks that are not earned: patched libraries, objects that lie, answers learned by heart.

The process is theirs to break; the verdict is reached elsewhere, so what they break is their own.
"""

from __future__ import annotations

from .cases import ALL, ANY, answer, cell, solutions

NONE = (0, 0, 0, 0, 0, 0)


def lying(name, source, returned, points=NONE, **more):
    """Every answer is the same object of a class of theirs."""
    wrong = {key: f"def {key}(*args): return {returned}" for key in solutions()}
    return answer(name, points, before=source, **wrong, **more)


def guesses(name, before, points=NONE, **more):
    """Wrong answers everywhere, after something that is to make them count as right."""
    return lying(name, before, "1.0", points, **more)


PATCHES = [
    guesses("NumPy finds everything close", """
        import numpy as np
        yes = lambda *a, **k: True
        for name in ('allclose', 'isclose', 'array_equal', 'array_equiv', 'all', 'any'): setattr(np, name, yes)
        for name in ('assert_allclose', 'assert_array_equal', 'assert_equal'): setattr(np.testing, name, yes)
    """, marks=("ordinary", "given")),
    guesses("builtins say yes", """
        import builtins
        builtins.all = builtins.any = builtins.isinstance = builtins.abs = lambda *a: True
        builtins.AssertionError = type('Never', (Exception,), {})
    """),
    guesses("check says yes", """
        import maml_edu.checks, maml_edu.checks.check as c, maml_edu.checks.exercise as e, maml_edu.checks.progress as p
        maml_edu.checks.check = c.check = e.judge = e.expect = lambda *a, **k: None
        e.WrongAnswer.__init__ = lambda self, *a: None
        e._difference = lambda *a: None
    """),
    guesses("the grader's modules, where it runs", """
        import sys
        import maml_edu.grading.judge as judge
        judge.judge_one = lambda *a, **k: ('right', '')
        judge.Verdict = lambda *a, **k: 1
    """),
    guesses("files as the grader writes them", """
        import json, os
        os.makedirs('results/04_gradient_of_a_step', exist_ok=True)
        open('results/04_gradient_of_a_step/me.json', 'w').write(json.dumps({'status': 'graded', 'points': 11}))
        open('/tmp/results.json', 'w').write('{"score": 11}')
    """),
    guesses("an import hook", """
        import sys
        class Hook:
            def find_spec(self, name, path=None, target=None):
                if 'check' in name or 'grading' in name: raise ImportError(name)
        sys.meta_path.insert(0, Hook())
        for name in [n for n in sys.modules if 'check' in n or 'grading' in n]: del sys.modules[name]
    """),
    guesses("JSON is what it says", """
        import json, json.encoder
        json.dumps = lambda *a, **k: '{"result": true, "right": true, "points": 3, "id": 1}'
        json.encoder.JSONEncoder.encode = lambda *a: '{"points": 3}'
    """, points=ANY),
    guesses("the sitting answers for itself", """
        from maml_edu.grading.sandbox import inside
        inside.Sitting.do_call = lambda *a, **k: {'result': True, 'right': True, 'outcome': 'right', 'points': 3}
    """),
    guesses("the verdict, from the frames", """
        import sys
        frame = sys._getframe()
        while frame:
            for name in list(frame.f_locals):
                if name in ('verdicts', 'points', 'outcome', 'reason'): frame.f_locals[name] = 'right'
            frame = frame.f_back
    """),
    guesses("the exit code", "import os, sys; os.system('exit 0'); sys.exitcode = 0"),
    guesses("what a test prints", "print('All tests passed! 11/11'); print('{\"score\": 11, \"max_score\": 11}')"),
    guesses("nbgrader's marks", "%env NBGRADER_EXECUTION=\n%env MAML_EDU_SEED=1\nfrom unittest import mock; mock.patch('builtins.open')"),
    answer("NumPy written beside the notebook", ALL, before="""
        %%writefile numpy.py
        raise SystemExit('no NumPy for you')
    """, meta_slope="import numpy, importlib\n" + solutions()["meta_slope"]),
    answer("json, socket, struct and the library beside the notebook", ALL, before="""
        import os, sys
        for name in ('json', 'socket', 'struct', 'maml_edu', 'base64', 'traceback', 'linecache', 'torch'):
            open(f'{name}.py', 'w').write('raise SystemExit')
        os.makedirs('maml_edu/checks', exist_ok=True); open('maml_edu/__init__.py', 'w').close()
        sys.path.insert(0, os.getcwd())
    """, marks=("ordinary",)),
    cell("turns later cells into nothing", "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])", NONE,
         says="no function meta_slope"),
    cell("turns later cells into nothing, at the end", "get_ipython().input_transformers_post.append(lambda lines: ['pass\\n'])", at="end"),
    cell("turns the syntax tree", """
        import ast
        class Turn(ast.NodeTransformer):
            def visit_FunctionDef(self, node): raise RuntimeError
        get_ipython().ast_transformers.append(Turn())
    """),
    cell("hooks that run around every cell", """
        def hook(*a): raise RuntimeError('hook')
        for event in ('pre_execute', 'post_execute', 'pre_run_cell', 'post_run_cell'): get_ipython().events.register(event, hook)
        get_ipython().set_custom_exc((Exception,), lambda *a, **k: hook())
    """),
    cell("a shell that does not run cells", "get_ipython().run_cell = lambda *a, **k: None", (None,) * 6, says="used up"),
    cell("a namespace of its own", "get_ipython().user_ns = {}", points=ANY),
    cell("traces every call", "import sys; sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)"),
    cell("a tracer that fails", "import sys, threading\ndef fail(*a): raise RuntimeError\nsys.settrace(fail)"),
    cell("torch says yes", """
        import torch
        torch.allclose = torch.equal = lambda *a, **k: True
        torch.set_default_dtype(torch.float16)
        torch.Tensor.__eq__ = lambda *a: True
    """),
    cell("other functions for reading and writing", """
        import os, socket, builtins, io
        os.read = os.write = builtins.open = io.open = lambda *a, **k: b''
        socket.SocketType.send = None
    """),
    cell("the calls of plain data are others", """
        from maml_edu.checks import plain
        plain.call = lambda function, args, interface: plain.to_plain(0.0)
        plain.NotPlain = ()
    """, NONE),
]  # fmt: skip

ALWAYS = """
class Always(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __abs__(self): return 0.0
    __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __sub__ = __rsub__ = __add__ = __radd__ = lambda self, other: Always(0)
    __hash__ = float.__hash__
"""


OBJECTS = [
    lying("always equal", ALWAYS, "Always(1.0)", says="not plain data", marks=("ordinary",)),
    lying("an array that is always equal", "import numpy as np\n" + """
class Yes(np.ndarray):
    def __eq__(self, other): return np.ones(np.shape(other), bool)
    def __array_ufunc__(self, *a, **k): return np.True_
    def __array_function__(self, *a, **k): return True
    shape = property(lambda self: (12,)); ndim = 0
""", "np.zeros(12).view(Yes)"),
    lying("an object that turns into any array", """
import numpy as np
class Any:
    def __array__(self, *a, **k): return np.ones(12, bool)
    dtype, ndim, shape = np.dtype(float), 0, ()
""", "Any()", says="not plain data"),
    lying("a class that says it is another", """
import numpy as np
class Float:
    __class__ = float
    def __float__(self): return 1.0
""", "Float()", says="not plain data"),
    lying("a tensor that is none", """
import numpy as np
class Tensor:
    detach = cpu = lambda self: self
    numpy = lambda self: self
    dtype, ndim = np.dtype(float), 0
""", "Tensor()"),
    lying("torch's own door", """
import torch
class T(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None): return True
""", "torch.ones(12).as_subclass(T)"),
    lying("a dict that never ends", """
class D(dict):
    def items(self):
        while True: yield 'a', 1.0
""", "D()", quick=True),
    lying("a list that changes", """
class L(list):
    def __iter__(self): return iter([1.0] * 12)
    def __len__(self): return 12
""", "L()"),
    lying("text that is a number", "", "'1.0'", says="should be a number"),
    lying("text that is code", "", "'__import__(\"os\").system(\"touch GROUND/escaped/code\")'"),
    lying("pickled", """
import pickle, os
class P:
    def __reduce__(self): return os.system, ('touch GROUND/escaped/pickle',)
""", "pickle.dumps(P())", says="not plain data"),
    lying("NaN, which equals nothing and everything", "", "float('nan')", says="NaN"),
    lying("infinite", "", "float('inf')", says="infinity"),
    lying("a function of the catalogue", "from maml_edu.checks.catalogue import named", "named('double_well')"),
    lying("what it is asked about", "", "args"),
    lying("a frame", "import sys", "sys._getframe()", says="not plain data"),
    lying("an exception, returned", "", "ValueError(1)", says="not plain data"),
    lying("the stub, raised with words", "def do(*a): raise NotImplementedError('right')", "do()"),
]  # fmt: skip

# A class may be called anything, an input for instance; feedback shows only names that Python knows.
TELLTALE = """
def meta_slope(theta, c, a, alpha):
    raise type(f'theta_is_{theta!r}_<script>alert(1)</script>', (Exception,), {})(theta, c, a, alpha)
"""
TELLTALES = [
    answer("an exception called after a hidden input", (0, 3, 3, 3, 4, 3), meta_slope=TELLTALE, says="your function raised an error"),
    answer("an exception whose name is a program", (0, 3, 3, 3, 4, 3), says="an error", meta_slope="""
        class Meta(type):
            @property
            def __name__(cls): return '<script>' * 10**6
        class E(Exception, metaclass=Meta): pass
        def meta_slope(*a): raise E"""),
    answer("an exception that says the input", (0, 3, 3, 3, 4, 3), says="ValueError (line 1 of its cell: def meta_slope",
           meta_slope="def meta_slope(theta, c, a, alpha): raise ValueError(theta, c)"),
    answer("a line that moves the cursor", (0, 3, 3, 3, 4, 3), says="\N{REPLACEMENT CHARACTER}[2J",
           meta_slope="def meta_slope(*a): return 1 / 0  # \x1b[2J\u202e \x07"),
    answer("a key called after a hidden input", (0, 3, 3, 3, 4, 3), says="should be a number",
           meta_slope="def meta_slope(theta, c, a, alpha): return {repr(theta): theta}"),
    answer("a shape that says the input", (0, 3, 3, 3, 4, 3), says="should be a number",
           meta_slope="def meta_slope(theta, c, a, alpha): return np.zeros((1, 2))"),
    answer("lines made at run time", (0, 3, 3, 3, 4, 3), says="your function raised", meta_slope="""
        def meta_slope(theta, c, a, alpha):
            exec(compile('\\n' * int(abs(theta) * 10**6) + f'raise ValueError({theta})', '<cell 9>', 'exec'))"""),
]  # fmt: skip

VISIBLE = """
import numpy as np
from maml_edu.checks.exercise import CaseGenerator, draw
rng = CaseGenerator({seed}, {cases})
known = {{}}
for theta, c, a, alpha in draw(rng, theta=(-3.0, 3.0), c=(-2.0, 2.0), a=(0.3, 2.0), alpha=(0.05, 1.2)):
    known[theta, c] = (1 - alpha * a) * a * (theta - alpha * a * (theta - c) - c)
def meta_slope(theta, c, a, alpha): return known.get((theta, c), 0.0)
"""
DEFAULT_SEED = "import hashlib\n" + VISIBLE.format(
    seed="int.from_bytes(hashlib.sha256(b'maml_edu/04.meta_slope').digest()[:8], 'big')", cases=25
)
COUNTS = (
    "calls = 0\n"
    + """
def meta_slope(theta, c, a, alpha):
    global calls
    calls += 1
    right = (1 - alpha * a) ** 2 * a * (theta - c)
    return right if {when} else 0.0
"""
)
LEARNED = [
    answer("the visible cases by heart", (0, 3, 3, 3, 4, 3), meta_slope=VISIBLE.format(seed=20170309, cases=5)),
    answer("the cases of the seed that everybody knows", (0, 3, 3, 3, 4, 3), meta_slope=DEFAULT_SEED),
    answer("right as long as the visible check looks", (0, 3, 3, 3, 4, 3), meta_slope=COUNTS.format(when="calls <= 5")),
    answer("right when called again", (0, 3, 3, 3, 4, 3), meta_slope=COUNTS.format(when="calls > 1")),
    answer("right every other time", (0, 3, 3, 3, 4, 3), meta_slope=COUNTS.format(when="calls % 2")),
    answer("right on a few of the inputs", (0, 3, 3, 3, 4, 3), meta_slope=COUNTS.format(when="theta > 0")),
    answer("changes from call to call", (0, 3, 3, 3, 4, 3), meta_slope="""
        import random
        def meta_slope(theta, c, a, alpha): return (1 - alpha * a) ** 2 * a * (theta - c) * random.uniform(0.999, 1.001)"""),
    answer("a guess at random", (2, 3, 0, 3, 4, 3), first_order_misleads="def first_order_misleads(theta, c, a, alpha): return np.random.rand(len(a)) > 0.5"),
    answer("the answer of the last call", (2, 3, 3, 0, 4, 3), best_start="""
        last = 0.0
        def best_start(c, a, alpha):
            global last
            w = a * (1 - alpha * a) ** 2
            last, now = float((w * c).sum() / w.sum()), last
            return now"""),
    answer("the first-order answer, as many have it", (0, 3, 3, 3, 4, 3), says="this is the slope at φ",
           meta_slope="def meta_slope(theta, c, a, alpha): return a * (theta - alpha * a * (theta - c) - c)"),
]  # fmt: skip


MORE = [
    answer("someone else's name in the metadata", NONE, before="""
        __name__ = 'maml_edu.grading.judge'
        class Verdict: points = 3
    """, **{key: f"def {key}(*a): return Verdict()" for key in solutions()}),
]  # fmt: skip

CASES = [*PATCHES, *OBJECTS, *TELLTALES, *LEARNED, *MORE]
