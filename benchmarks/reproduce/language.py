"""Few-shot intents: what is learned from other domains beside what needs no learning, on the same episodes.

    python benchmarks/reproduce/language.py                                  # the course's own sentences
    python benchmarks/reproduce/language.py --source clinc150                # after maml-edu data get clinc150
    python benchmarks/reproduce/language.py --hold-out intents --shots 1 5

A seed draws what is held out, the first weights and all episodes. Whatever has a setting chooses it on the
validation domains: logistic regression its penalty; MAML, FOMAML and ANIL their inner rate, the number of steps
and when to stop training; ProtoNet and the weights their outer rate and when to stop. The networks are
1024-64-ways; each trains 300 iterations of 16 episodes with 3 inner steps. Accuracies are means over episodes with
1.96 standard errors, which numbers between 0 and 1 allow; the last columns are the differences from the nearest
centroid, episode by episode, and the middle of the seeds.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F

from maml_edu.tasks import Intents
from maml_edu.tasks.text import letter_groups

HIDDEN, META_BATCH, ITERATIONS, EVERY = 64, 16, 300, 100
INNER_STEPS, TEST_STEPS = 3, 10
INNER_RATES, OUTER_RATES, OUTER_RATE = (0.3, 1.0, 3.0), (1e-3, 3e-3, 1e-2), 3e-3
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
VALIDATION, AT_ONCE = 200, 50  # episodes


# ------------------------------------------------------------------ what needs no training


def normed(x):
    return x / x.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def means(x, ways):
    """Support x (tasks, ways · shots, size), ordered by class → class means (tasks, ways, size)."""
    return x.reshape(len(x), ways, -1, x.shape[-1]).mean(2)


def centroid(batch, ways):
    """Scores (tasks, queries, ways): the cosine with each class mean."""
    return batch.query_x @ normed(means(batch.support_x, ways)).transpose(1, 2)


def logistic(batch, ways, penalty, iterations=300):
    """Scores of logistic regression, all tasks at once: weights are sums of support vectors, W = Xᵀ A.

    The loss is the mean cross-entropy + penalty/2 · ‖W‖²; Nesterov's gradient descent in A.
    """
    x, y = batch.support_x, F.one_hot(batch.support_y, ways).float()
    gram = x @ x.transpose(1, 2)  # (tasks, n, n)
    a = before = torch.zeros_like(y)
    for k in range(iterations):
        ahead = a + k / (k + 3) * (a - before)
        slope = ((gram @ ahead).softmax(-1) - y) / y.shape[1] + penalty * ahead
        before, a = a, ahead - slope / (0.5 + penalty)
    return batch.query_x @ x.transpose(1, 2) @ a


# ------------------------------------------------------------------ MAML, FOMAML, ANIL


def first_weights(ways, size, seed):
    """θ of a network size-64-ways with PyTorch's own initialisation."""
    torch.manual_seed(seed)
    body, head = torch.nn.Linear(size, HIDDEN), torch.nn.Linear(HIDDEN, ways)
    theta = {"w1": body.weight, "b1": body.bias, "w2": head.weight, "b2": head.bias}
    return {name: value.detach().clone().requires_grad_() for name, value in theta.items()}


def scores_per_step(theta, batch, rate, steps, method):
    """[scores (tasks, queries, ways)] after 0, …, steps inner steps: exactly what plain MAML computes.

    The first layer is never adapted as such: after inner steps it is w₁ − α Σ δᵀX, so that what it makes of x is
    w₁x − α Σ δ ⟨X, x⟩, for which the inner products of the sentences suffice.
    """
    sx, qx, y = batch.support_x, batch.query_x, batch.support_y
    tasks, n = y.shape
    gram, cross = sx @ sx.transpose(1, 2), qx @ sx.transpose(1, 2)
    hidden, query_hidden = sx @ theta["w1"].T, qx @ theta["w1"].T
    phi = {name: theta[name].expand(tasks, *theta[name].shape) for name in ("b1", "w2", "b2")}
    moved = torch.zeros(tasks, n, HIDDEN)  # −α Σ δ
    target, scores = F.one_hot(y, theta["b2"].numel()).float(), []
    for step in range(steps + 1):
        query = (query_hidden + cross @ moved + phi["b1"][:, None]).relu()
        scores.append(query @ phi["w2"].transpose(1, 2) + phi["b2"][:, None])
        if step == steps:
            return scores
        before = hidden + gram @ moved + phi["b1"][:, None]
        after = before.relu()
        p = (after @ phi["w2"].transpose(1, 2) + phi["b2"][:, None]).softmax(-1)
        out = (p - target) / n  # (tasks, n, ways)
        delta = (out @ phi["w2"]) * (before > 0)
        slopes = {"w2": out.transpose(1, 2) @ after, "b2": out.sum(1), "b1": delta.sum(1)}
        if method == "FOMAML":
            slopes, delta = {k: v.detach() for k, v in slopes.items()}, delta.detach()
        if method == "ANIL":
            slopes.pop("b1")
        else:
            moved = moved - rate * delta
        phi = phi | {name: phi[name] - rate * slope for name, slope in slopes.items()}


def query_loss(scores, y):
    return F.cross_entropy(scores.flatten(0, 1), y.flatten())


# ------------------------------------------------------------------ ProtoNet, weights


def prototypes(embed, batch, ways):
    """−‖f(x) − c‖² (tasks, queries, ways) of a prototypical network."""
    keys, queries = means(embed(batch.support_x), ways), embed(batch.query_x)
    return -torch.cdist(queries, keys).square()


def embedding(kind, size, seed):
    """(what is trained, x → f(x)): a linear map to 64 numbers, or one weight per bin."""
    torch.manual_seed(seed)
    if kind == "ProtoNet":
        weight = torch.nn.Linear(size, HIDDEN, bias=False).weight
        start = weight.detach() * 10  # so that distances are not all 0
        weight = start.clone().requires_grad_()
        return [weight], lambda x: x @ weight.T
    weight, scale = torch.ones(size, requires_grad=True), torch.ones((), requires_grad=True)
    return [weight, scale], lambda x: 3 * scale * normed(x * weight)


# ------------------------------------------------------------------ training and testing


def tensors(batch):
    for name in ("support_x", "support_y", "query_x", "query_y"):
        object.__setattr__(batch, name, torch.as_tensor(getattr(batch, name)))
    return batch


def episodes(tasks, number, seed):
    """Batches of fifty episodes, and the domain of each episode."""
    rng, batches, domains = np.random.default_rng(seed), [], []
    for _ in range(-(-number // AT_ONCE)):
        chosen, examples = tasks.draw(rng, AT_ONCE)
        batches.append(tensors(tasks.batch(chosen, examples)))
        domains += [tasks.domains[first] for first in chosen[:, 0]]
    return batches, np.array(domains)


def right(scores_of, batches):
    """The share of right answers in each episode, (episodes,), or (steps + 1, episodes) of lists of scores."""
    parts = []
    with torch.no_grad():
        for batch in batches:
            scores = scores_of(batch)
            scores = torch.stack(scores) if isinstance(scores, list) else scores
            parts.append((scores.argmax(-1) == batch.query_y).float().mean(-1).numpy())
    return np.concatenate(parts, axis=-1)


def train(params, loss_of, tasks, rate, seed, after):
    """Adam on `params`; calls after() every hundredth iteration."""
    optimiser, rng = torch.optim.Adam(params, rate), np.random.default_rng(1_000 + seed)
    for iteration in range(1, ITERATIONS + 1):
        optimiser.zero_grad()
        loss_of(tensors(tasks.sample(rng, META_BATCH))).backward()
        optimiser.step()
        if iteration % EVERY == 0:
            after(iteration)


def best_of_gradients(method, tasks, val, test, ways, seed):
    """Test accuracies (episodes,) at the settings that are best on the validation episodes, and which."""
    best = (-1.0,)
    for rate in INNER_RATES:
        theta = first_weights(ways, tasks.features.shape[1], seed)

        def loss_of(batch, theta=theta, rate=rate):
            return query_loss(
                scores_per_step(theta, batch, rate, INNER_STEPS, method)[-1], batch.query_y
            )

        def after(iteration, theta=theta, rate=rate):
            nonlocal best
            run = lambda batch: scores_per_step(theta, batch, rate, TEST_STEPS, method)
            on_val = right(run, val).mean(axis=1)[1:]  # after one step at least
            steps = int(on_val.argmax()) + 1
            if on_val.max() > best[0]:
                settings = f"α {rate}, {steps} steps, iteration {iteration}"
                best = (on_val.max(), right(run, test)[steps], settings)

        train(list(theta.values()), loss_of, tasks, OUTER_RATE, seed, after)
    return best[1:]


def best_of_embeddings(kind, tasks, val, test, ways, seed):
    """As `best_of_gradients`, for ProtoNet and the weights."""
    best = (-1.0,)
    for rate in OUTER_RATES:
        params, embed = embedding(kind, tasks.features.shape[1], seed)
        run = lambda batch, embed=embed: prototypes(embed, batch, ways)
        loss_of = lambda batch, run=run: query_loss(run(batch), batch.query_y)

        def after(iteration, run=run, rate=rate):
            nonlocal best
            on_val = right(run, val).mean()
            if on_val > best[0]:
                best = (on_val, right(run, test), f"outer rate {rate}, iteration {iteration}")

        train(params, loss_of, tasks, rate, seed, after)
    return best[1:]


def best_penalty(val, test, ways):
    on_val = {p: right(lambda b, p=p: logistic(b, ways, p), val).mean() for p in PENALTIES}
    penalty = max(on_val, key=on_val.get)
    return right(lambda batch: logistic(batch, ways, penalty), test), f"penalty {penalty}"


def one_seed(seed, shots, options):
    """Method → (accuracy of each test episode, settings); the domains of the episodes; unseen groups."""
    ways, same = options.ways, options_of(options, seed)
    families = {
        split: Intents(split, ways, shots, queries, **same)
        for split, queries in (("train", 5), ("val", options.queries), ("test", options.queries))
    }
    val, _ = episodes(families["val"], VALIDATION, 2_000 + seed)
    test, domains = episodes(families["test"], options.episodes, 3_000 + seed)
    rows = {
        "nearest centroid": (right(lambda batch: centroid(batch, ways), test), "nothing to set")
    }
    rows["logistic regression"] = best_penalty(val, test, ways)
    for method in ("MAML", "FOMAML", "ANIL"):
        rows[method] = best_of_gradients(method, families["train"], val, test, ways, seed)
    for kind in ("ProtoNet", "one weight per bin"):
        rows[kind] = best_of_embeddings(kind, families["train"], val, test, ways, seed)
    return rows, domains, unseen(families["train"], families["test"])


def options_of(options, seed):
    held = {"test": 3, "val": 2}
    if (
        options.hold_out == "intents"
    ):  # so many of each domain: 15 intents in CLINC150, 8 in the course
        held = {"test": 5, "val": 5} if options.source == "clinc150" else {"test": 2, "val": 2}
    names = ("source", "hold_out", "mixed", "data_dir")
    return {name: getattr(options, name) for name in names} | {"seed": seed} | held


def unseen(train_tasks, test_tasks):
    """Domain → the share of its letter groups, each time they occur, that no training sentence has."""
    seen = {g.group for text in train_tasks.texts for g in letter_groups(text)}
    shares = {}
    for domain, size, first in zip(
        test_tasks.domains, test_tasks.sizes, test_tasks.first, strict=True
    ):
        groups = [g.group for t in test_tasks.texts[first : first + size] for g in letter_groups(t)]
        shares.setdefault(domain, []).extend(group not in seen for group in groups)
    return {domain: float(np.mean(new)) for domain, new in shares.items()}


# ------------------------------------------------------------------ tables


def said(values):
    return f"{100 * values.mean():.1f} ± {196 * values.std(ddof=1) / np.sqrt(len(values)):.1f}"


def table(results, options, shots):
    """Rows of methods: a column per seed, then the paired differences from the centroid."""
    print(f"\n{options.source}, {options.hold_out} held out, {'mixed' if options.mixed else 'one domain'}, "
          f"{options.ways}-way {shots}-shot")  # fmt: skip
    heads = [f"seed {seed}" for seed in options.seeds] + ["− centroid" for _ in options.seeds]
    print("| method |", " | ".join([*heads, "median of the seeds"]), "|")
    print("| --- " * (len(heads) + 2) + "|")
    for method in results[0][0]:
        each = [rows[method][0] for rows, _, _ in results]
        minus = [
            values - rows["nearest centroid"][0]
            for values, (rows, _, _) in zip(each, results, strict=True)
        ]
        middle = 100 * np.median([values.mean() for values in each])
        cells = [*map(said, each), *map(said, minus), f"{middle:.1f}"]
        print(f"| {method} |", " | ".join(cells), "|")
    for method in results[0][0]:
        print(f"  settings of {method}:", "; ".join(rows[method][1] for rows, _, _ in results))
    if not options.mixed:
        by_domain(results)


def by_domain(results):
    print(
        "| domain | letter groups unseen in training | centroid | MAML − centroid | ProtoNet − centroid |"
    )
    print("| --- | --- | --- | --- | --- |")
    for rows, domains, shares in results:
        base = rows["nearest centroid"][0]
        for domain in sorted(set(domains)):
            mask = domains == domain
            cells = [said(base[mask])] + [
                said((rows[m][0] - base)[mask]) for m in ("MAML", "ProtoNet")
            ]
            print(f"| {domain} | {100 * shares[domain]:.1f} % |", " | ".join(cells), "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=("course", "clinc150"), default="course")
    parser.add_argument("--hold-out", choices=("domains", "intents"), default="domains")
    parser.add_argument(
        "--mixed", action="store_true", help="intents of an episode from all domains"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=600, help="of the test, in fifties")
    parser.add_argument("--data-dir", help="where CLINC150 is, as for maml-edu data")
    options = parser.parse_args()
    if options.hold_out == "intents" and options.source == "course":
        options.mixed = True  # two intents of a domain make no episode of five
    for shots in options.shots:
        table([one_seed(seed, shots, options) for seed in options.seeds], options, shots)


if __name__ == "__main__":
    main()
