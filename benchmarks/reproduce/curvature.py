"""How curved the support losses of a batch of tasks are, at θ and along the inner path: start with `curvatures`.

λmax is the largest eigenvalue of the Hessian of one task's support loss: the algebraically largest, not the one of
largest size. Gradient descent with rate α shrinks the error along its eigenvector while αλmax < 2, and makes it
grow beyond. It is found by Lanczos' method from Hessian-vector products, for all tasks side by side, in float64;
tests compare it with the eigenvalues of the full Hessian.
"""

import torch
from torch.func import functional_call, grad, jvp, vmap

LANCZOS = 10  # Hessian-vector products for one λmax; 8 give six digits here


def flat(params):
    """A dict of parameters as one vector, in float64."""
    return torch.cat([p.detach().reshape(-1).double() for p in params.values()])


def unflat(vector, like):
    """The vector as a dict of parameters shaped like `like`."""
    parts = torch.split(vector, [p.numel() for p in like.values()])
    return {
        name: part.reshape(p.shape) for (name, p), part in zip(like.items(), parts, strict=True)
    }


def loss_of(model):
    """(vector of parameters, x, y) → mean squared error of the model for ONE task."""
    like = dict(model.named_parameters())

    def loss(vector, x, y):
        return (functional_call(model, unflat(vector, like), (x,)) - y).square().mean()

    return loss


def curvatures(loss, vectors, x, y, products=LANCZOS):
    """λmax of each task: vectors (tasks, parameters), x and y (tasks, shots, 1) → (tasks,).

    Lanczos with full reorthogonalisation: the largest eigenvalue of the small tridiagonal matrix. Not a number
    where the parameters are not finite.
    """

    def product(vector, v, x, y):
        return jvp(lambda at: grad(loss)(at, x, y), (vector,), (v,))[1]

    times_h = vmap(product)
    fine = torch.isfinite(vectors).all(1)
    vectors = torch.where(fine[:, None], vectors, 0.0)
    generator = torch.Generator().manual_seed(0)
    start = vmap(grad(loss))(vectors, x, y)
    noise = torch.randn(vectors.shape, generator=generator, dtype=vectors.dtype)
    q = unit(unit(start) + 0.1 * unit(noise))
    basis, diagonal, off = [q], [], []
    for _ in range(products):
        w = times_h(vectors, basis[-1], x, y)
        diagonal.append((w * basis[-1]).sum(1))
        stacked = torch.stack(basis, 1)  # (tasks, so far, parameters)
        for _ in range(2):
            w = w - torch.einsum("tk,tkp->tp", torch.einsum("tkp,tp->tk", stacked, w), stacked)
        off.append(w.norm(dim=1))
        basis.append(unit(w))
    small = torch.diag_embed(torch.stack(diagonal, 1))
    below = torch.diag_embed(torch.stack(off[:-1], 1), offset=-1)
    largest = torch.linalg.eigvalsh(torch.nan_to_num(small + below + below.mT))[:, -1]
    return torch.where(fine, largest, torch.nan)


def unit(v):
    return v / v.norm(dim=1, keepdim=True).clamp(min=1e-30)


def inner_path(loss, theta, x, y, inner_lr, inner_steps):
    """θ and φ after each inner step, for every task: [(tasks, parameters)] inner_steps + 1 times."""
    slope = vmap(grad(loss))
    path = [theta.expand(len(x), -1)]
    for _ in range(inner_steps):
        path.append(path[-1] - inner_lr * slope(path[-1], x, y))
    return path


def both_gradients(loss, theta, batch, inner_lr, inner_steps):
    """(full meta-gradient, first-order one), each (parameters,), means over the tasks of a batch."""

    def task_loss(theta, x, y, query_x, query_y):
        for _ in range(inner_steps):
            theta = theta - inner_lr * grad(loss)(theta, x, y)
        return loss(theta, query_x, query_y)

    full = vmap(grad(task_loss), in_dims=(None, 0, 0, 0, 0))(theta, *batch).mean(0)
    x, y, query_x, query_y = batch
    phi = inner_path(loss, theta, x, y, inner_lr, inner_steps)[-1]
    return full, vmap(grad(loss))(phi, query_x, query_y).mean(0)


def bend(loss, theta, direction, batch, length=1e-4):
    """The derivative of the mean λmax over tasks along a direction of length one, by central differences."""
    x, y = batch[:2]
    direction = direction / direction.norm()

    def mean(at):
        return curvatures(loss, at.expand(len(x), -1), x, y).mean()

    forth, back = mean(theta + length * direction), mean(theta - length * direction)
    return float((forth - back) / (2 * length))
