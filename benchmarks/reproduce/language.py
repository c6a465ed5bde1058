"""Few-shot intents: what is learned from other domains beside what needs no learning, on the same episodes.

    python benchmarks/reproduce/language.py                                  # the course's own sentences
    python benchmarks/reproduce/language.py --source clinc150                # after maml-edu data get clinc150
    python benchmarks/reproduce/language.py --source clinc150 --hold-out intents --mixed --ways 5 --shots 1 5

A seed draws what is held out, the first weights and all episodes. Whatever has a setting chooses it on the
validation classes: logistic regression its penalty; MAML, FOMAML and ANIL their inner rate, the number of steps
and when to stop training (their outer rate is 0.003; "MAML, outer rate chosen" chooses among three); ProtoNet and
the weights their outer rate and when to stop. The networks are 1024-64-ways; each trains up to 300 iterations of
16 episodes with 3 inner steps. Accuracies are means over episodes with 1.96 standard errors, which numbers between
0 and 1 allow; then come the differences from the nearest centroid, episode by episode, and the median of the seeds.
A row is printed as soon as it is measured; with --keep FOLDER it is also stored, and a run that was interrupted
goes on from there.
"""

import argparse
import json
import os
from copy import copy
from functools import partial
from itertools import product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F

from maml_edu.tasks import Intents
from maml_edu.tasks.text import letter_groups

HIDDEN, META_BATCH = 64, 16
STOPS = (50, 100, 200, 300)  # iterations after which training may stop
INNER_STEPS, TEST_STEPS = 3, 20
INNER_RATES, OUTER_RATES, OUTER_RATE = (0.3, 1.0, 3.0, 10.0), (1e-3, 3e-3, 1e-2), 3e-3
LOWER_RATES = (3e-4, 1e-3, 3e-3)  # outer, for MAML that may choose
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
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


def embedding(kind, size, seed, width=HIDDEN):
    """(what is trained, x → f(x)): a linear map to `width` numbers, or one weight per bin."""
    torch.manual_seed(seed)
    if kind == "ProtoNet":
        weight = torch.nn.Linear(size, width, bias=False).weight
        start = weight.detach() * 10  # so that distances are not all 0
        weight = start.clone().requires_grad_()
        return [weight], lambda x: x @ weight.T
    weight, scale = torch.ones(size, requires_grad=True), torch.ones((), requires_grad=True)
    return [weight, scale], lambda x: 3 * scale * normed(x * weight)


# ------------------------------------------------------------------ training and testing


def episodes(tasks, number, seed):
    """Batches of fifty episodes, and the domain of each episode (of its first intent, where they are mixed)."""
    rng, batches, domains = np.random.default_rng(seed), [], []
    for _ in range(-(-number // AT_ONCE)):
        chosen, examples = tasks.draw(rng, AT_ONCE)
        batches.append(tasks.batch(chosen, examples).map(torch.as_tensor))
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


def train(params, loss_of, tasks, rate, seed, stops=STOPS):
    """Adam on `params`; yields the number of iterations at each of the stops."""
    optimiser, rng = torch.optim.Adam(params, rate), np.random.default_rng(1_000 + seed)
    for iteration in range(1, max(stops) + 1):
        optimiser.zero_grad()
        loss_of(tasks.sample(rng, META_BATCH).map(torch.as_tensor)).backward()
        optimiser.step()
        if iteration in stops:
            yield iteration


def best_of_gradients(method, setting, outer_rates=(OUTER_RATE,)):
    """Test accuracies (episodes,) at the settings that are best on the validation episodes, and which."""
    tasks, best = setting.families["train"], (-1.0, None, None, "")
    for rate, outer in product(setting.rates, outer_rates):
        theta = first_weights(tasks.ways, tasks.features.shape[1], setting.seed)

        def loss_of(batch, theta=theta, rate=rate):
            scores = scores_per_step(theta, batch, rate, INNER_STEPS, method)
            return query_loss(scores[-1], batch.query_y)

        for iteration in train(list(theta.values()), loss_of, tasks, outer, setting.seed):
            run = partial(
                scores_per_step, copied(theta), rate=rate, steps=TEST_STEPS, method=method
            )
            on_val = right(run, setting.val).mean(axis=1)[1:]  # after one step at least
            steps = int(on_val.argmax()) + 1
            if on_val.max() > best[0]:
                settings = f"α {rate:g}, {steps} steps, iteration {iteration}"
                settings += f", outer rate {outer:g}" * (len(outer_rates) > 1)
                best = (on_val.max(), run, steps, settings)
    _, run, steps, settings = best
    return right(run, setting.test)[steps], settings


def copied(theta):
    return {name: value.detach().clone() for name, value in theta.items()}


def best_of_embeddings(kind, setting):
    """As `best_of_gradients`, for ProtoNet and the weights."""
    tasks, best = setting.families["train"], (-1.0, None, "")
    for rate in setting.outer_rates:
        params, embed = embedding(kind, tasks.features.shape[1], setting.seed)
        run = partial(prototypes, embed, ways=tasks.ways)
        loss_of = lambda batch, run=run: query_loss(run(batch), batch.query_y)
        for iteration in train(params, loss_of, tasks, rate, setting.seed):
            on_val = right(run, setting.val).mean()
            if on_val > best[0]:
                settings = f"outer rate {rate:g}, iteration {iteration}"
                best = (on_val, right(run, setting.test), settings)
    return best[1:]


def best_penalty(setting):
    ways = setting.families["train"].ways
    on_val = {
        p: right(partial(logistic, ways=ways, penalty=p), setting.val).mean() for p in PENALTIES
    }
    penalty = max(on_val, key=on_val.get)
    return right(
        partial(logistic, ways=ways, penalty=penalty), setting.test
    ), f"penalty {penalty:g}"


def untrained_prototypes(width, setting):
    """ProtoNet's map with its first weights; their scale does not matter, so there is nothing to choose."""
    tasks = setting.families["train"]
    _, embed = embedding("ProtoNet", tasks.features.shape[1], setting.seed, width)
    return right(partial(prototypes, embed, ways=tasks.ways), setting.test), "nothing to set"


def best_of_no_training(setting, method="MAML"):
    """As `best_of_gradients`, with the first weights: only the inner rate and the steps are chosen."""
    tasks = setting.families["train"]
    theta, best = (
        copied(first_weights(tasks.ways, tasks.features.shape[1], setting.seed)),
        (-1.0, 0, ""),
    )
    for rate in setting.rates:
        run = partial(scores_per_step, theta, rate=rate, steps=TEST_STEPS, method=method)
        on_val = right(run, setting.val).mean(axis=1)[1:]
        steps = int(on_val.argmax()) + 1
        if on_val.max() > best[0]:
            best = (on_val.max(), right(run, setting.test)[steps], f"α {rate:g}, {steps} steps")
    return best[1:]


def without_unseen(setting):
    """The centroid on the same episodes, after each letter group that no training sentence has was left out."""
    tasks = copy(setting.families["test"])
    seen = groups_of(setting.families["train"].texts)
    size = tasks.features.shape[1]
    counts = np.zeros(tasks.features.shape, np.float32)
    for row, text in zip(counts, tasks.texts, strict=True):
        for group in letter_groups(text, size):
            row[group.bin] += group.sign * (group.group in seen)
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    tasks.features = counts / np.where(lengths == 0, 1, lengths)
    again, _ = episodes(tasks, len(setting.test) * AT_ONCE, 3_000 + setting.seed)
    return right(partial(centroid, ways=tasks.ways), again), "nothing to set"


def groups_of(texts):
    return {group.group for text in texts for group in letter_groups(text)}


def no_setting(setting):
    ways = setting.families["train"].ways
    return right(partial(centroid, ways=ways), setting.test), "nothing to set"


METHODS = {
    "nearest centroid": no_setting,
    "centroid, unseen groups left out": without_unseen,
    "logistic regression": best_penalty,
    "one weight per bin": partial(best_of_embeddings, "one weight per bin"),
    "ProtoNet": partial(best_of_embeddings, "ProtoNet"),
    "ProtoNet, untrained": partial(untrained_prototypes, HIDDEN),
    "ProtoNet, untrained, 512 numbers": partial(untrained_prototypes, 512),
    "untrained network": best_of_no_training,
    "MAML": partial(best_of_gradients, "MAML"),
    "MAML, outer rate chosen": partial(best_of_gradients, "MAML", outer_rates=LOWER_RATES),
    "FOMAML": partial(best_of_gradients, "FOMAML"),
    "ANIL": partial(best_of_gradients, "ANIL"),
    "ANIL, untrained": partial(best_of_no_training, method="ANIL"),
}


# ------------------------------------------------------------------ one table


class Setting:
    """The families and episodes of one seed, which all methods share."""

    def __init__(self, seed, shots, options):
        names = ("source", "hold_out", "mixed", "data_dir")
        same = {name: getattr(options, name) for name in names} | {"seed": seed} | held_out(options)
        queries = {"train": 5, "val": options.queries, "test": options.queries}
        self.families = {
            split: Intents(split, options.ways, shots, number, **same)
            for split, number in queries.items()
        }
        self.seed, self.rates, self.outer_rates = seed, options.rates, options.outer_rates
        self.val, _ = episodes(self.families["val"], VALIDATION, 2_000 + seed)
        self.test, self.domains = episodes(self.families["test"], options.episodes, 3_000 + seed)
        parts = (options.source, options.hold_out, "mixed" if options.mixed else "one")
        numbers = (options.ways, shots, options.queries, options.episodes, seed)
        lists = {"rates": (self.rates, INNER_RATES), "outer": (self.outer_rates, OUTER_RATES)}
        changed = [(name, *own) for name, (own, usual) in lists.items() if tuple(own) != usual]
        self.name = "-".join(map(str, parts + numbers + sum(changed, ())))

    def row(self, method, folder):
        """(accuracies of the test episodes, settings), measured or read from where it is kept."""
        path = folder and Path(folder) / f"{self.name}-{method.replace(' ', '_')}.json"
        if path and path.exists():
            values, settings = json.loads(path.read_text(encoding="utf-8"))
            return np.array(values), settings
        values, settings = METHODS[method](self)
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps([values.tolist(), settings]), encoding="utf-8")
            part.replace(path)
        return values, settings


def held_out(options):
    """How many domains are held out; or how many intents of each domain: CLINC150 has 15, the course 8.

    An episode of one domain needs five intents of it in each split; mixed ones leave more for training.
    """
    if options.hold_out == "domains":
        return {"test": 3, "val": 2}
    if options.source == "course":
        return {"test": 2, "val": 2}
    return {"test": 5, "val": 3 if options.mixed else 5}


def unseen(families):
    """Domain → the share of its letter groups, each time they occur, that no training sentence has."""
    seen, tasks, shares = groups_of(families["train"].texts), families["test"], {}
    for domain, size, first in zip(tasks.domains, tasks.sizes, tasks.first, strict=True):
        groups = [g.group for t in tasks.texts[first : first + size] for g in letter_groups(t)]
        shares.setdefault(domain, []).extend(group not in seen for group in groups)
    return {domain: float(np.mean(new)) for domain, new in shares.items()}


def likeness(tasks):
    """Mean cosine of two sentences of one intent, of two intents of one domain, and the spread of the latter.

    Each is a mean over the domains; the spread is one standard deviation.
    """
    intent = np.repeat(np.arange(len(tasks.sizes)), tasks.sizes)
    domain, rows = np.repeat(tasks.domains, tasks.sizes), []
    for name in sorted(set(tasks.domains)):
        x, own = tasks.features[domain == name], intent[domain == name]
        cosines, same = x @ x.T, own[:, None] == own
        within = cosines[same & ~np.eye(len(x), dtype=bool)]
        rows.append((within.mean(), cosines[~same].mean(), cosines[~same].std()))
    return np.mean(rows, axis=0)


# ------------------------------------------------------------------ what is printed


def said(values):
    return f"{100 * values.mean():.1f} ± {196 * values.std(ddof=1) / np.sqrt(len(values)):.1f}"


def difference(values, base):
    minus = said(values - base).replace("-", "−")
    return minus.replace("−0.0", "0.0") if minus.startswith(("−", "0.0")) else f"+{minus}"


def table(shots, options):
    """Rows of methods, each printed when it is done: a column per seed, then the differences from the centroid."""
    kind = "mixed domains" if options.mixed else "one domain"
    print(
        f"\n{options.source}, {options.hold_out} held out, {kind}, {options.ways}-way {shots}-shot\n"
    )
    heads = [f"seed {seed}" for seed in options.seeds]
    print(
        "| method |", " | ".join([*heads, "minus centroid", "median of the seeds"]), "| settings |"
    )
    print("| --- " * (len(heads) + 4) + "|")
    settings = [Setting(seed, shots, options) for seed in options.seeds]
    base = [setting.row("nearest centroid", options.keep)[0] for setting in settings]
    rows = {}
    for method in options.methods:
        each, chosen = zip(*(s.row(method, options.keep) for s in settings), strict=True)
        rows[method] = each
        minus = ", ".join(map(difference, each, base)) if method != "nearest centroid" else ""
        middle = f"{100 * np.median([values.mean() for values in each]):.1f}"
        cells = [*map(said, each), minus, middle, "; ".join(dict.fromkeys(chosen))]
        print(f"| {method} |", " | ".join(cells), "|", flush=True)
    by_domain(settings, base, rows, options)
    alike(settings)


def by_domain(settings, base, rows, options):
    """Unseen letter groups, and what was gained or lost, per held-out domain; per seed where domains are mixed."""
    compared = ("centroid, unseen groups left out", "one weight per bin", "ProtoNet", "MAML")
    shown = [method for method in compared if method in rows]
    heads = ["seed", "domain", "unseen letter groups", "centroid"]
    print("\n|", " | ".join(heads + [f"{method} − centroid" for method in shown]), "|")
    print("| --- " * (len(shown) + 4) + "|")
    points = []  # unseen share, then each method's mean difference
    for k, setting in enumerate(settings):
        shares = unseen(setting.families)
        for domain in sorted(shares) if not options.mixed else ["all"]:
            mask = (setting.domains == domain) | options.mixed
            share = shares.get(domain, np.mean(list(shares.values())))
            pairs = [(rows[m][k][mask], base[k][mask]) for m in shown]
            cells = [said(base[k][mask]), *(difference(*pair) for pair in pairs)]
            points.append([share, *(np.mean(a - b) for a, b in pairs)])
            print(f"| {setting.seed} | {domain} | {100 * share:.1f} % |", " | ".join(cells), "|")
    if shown and len(points) > 3:
        for method, r in zip(shown, np.corrcoef(np.transpose(points))[0, 1:], strict=True):
            print(f"correlation of unseen groups with {method} − centroid: {r:.2f}")


def alike(settings):
    """How far apart the sentences of an intent and of other intents of its domain are, per seed."""
    print("\n| seed | cosine within an intent | between intents of a domain | apart by |")
    print("| --- " * 4 + "|")
    for setting in settings:
        within, between, spread = likeness(setting.families["test"])
        apart = f"{(within - between) / spread:.2f} standard deviations"
        print(f"| {setting.seed} | {within:.3f} | {between:.3f} | {apart} |", flush=True)


def options_from(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=("course", "clinc150"), default="course")
    parser.add_argument("--hold-out", choices=("domains", "intents"), default="domains")
    parser.add_argument(
        "--mixed", action="store_true", help="intents of an episode from all domains"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", type=int, default=5)
    parser.add_argument("--shots", type=int, nargs="+", default=[1])
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--episodes", type=int, default=600, help="of the test, in fifties")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--rates", type=float, nargs="+", default=INNER_RATES, help="of inner steps"
    )
    parser.add_argument("--outer-rates", type=float, nargs="+", default=OUTER_RATES)
    parser.add_argument("--keep", help="a folder in which each measured row is stored")
    parser.add_argument("--data-dir", help="where CLINC150 is, as for maml-edu data")
    options = parser.parse_args(words)
    if options.hold_out == "intents" and options.source == "course" and options.ways > 2:
        options.mixed = True  # two intents of a domain make no episode of five
    return options


def main():
    options = options_from()
    for shots in options.shots:
        table(shots, options)


if __name__ == "__main__":
    main()
