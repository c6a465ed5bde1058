# %% [markdown]
# ## A learner that never takes a step
#
# MAML meets the support points with gradient descent: its weights *change*. There is another way, the black box on the map of
# chapter [00](00_start_here.ipynb): a network that takes the support points as its **input**, together with a query, and
# answers. Its weights stay as they are. Whatever it makes of the points happens on the way through the network, in one pass.
# If the network is a transformer, one speaks of **in-context learning**: the support set is the *context*.
#
# `mt.InContext` is a small one, with three layers. Each pair $(x_i, y_i)$ becomes a **token**, a vector of 64 numbers, and so
# does each query $x$. In each layer every token looks at the pairs. For a token $t$, **attention** computes
#
# $$\sum_i a_i\,V e_i , \qquad a_i = \frac{\exp s_i}{\sum_j \exp s_j} , \qquad s_i = \frac{(Q\,t)\cdot(K e_i)}{\sqrt{16}} ,$$
#
# where $e_i$ are the tokens of the pairs and $K$, $Q$ and $V$ are learned matrices ($K$ and $Q$ are their usual names here;
# in the rest of the course $K$ counts shots or steps). The weights $a_i$ say how much it looks at which pair. The result is
# added to $t$, and a small network of one hidden layer works on it. There are four such looks per layer, each in 16 of the 64
# dimensions, and the 16 under the root is that number. In the end the query's token is turned into an answer.

# %%
torch.manual_seed(0)
transformer = mt.InContext()
torch.manual_seed(0)
learner = mt.MAML(mt.MLP(1, 40, 40, 1), inner_lr=0.01, inner_steps=1)
for name, model in (("transformer", transformer), ("MAML's network", learner.model)):
    print(f"{name}: {sum(p.numel() for p in model.parameters()):,} parameters")

# %% [markdown]
# What may look at what is a decision, and one that can go wrong without a crash. Queries look at the pairs and **not at each
# other**; otherwise the answer to one would depend on which others are asked, as with batch norm in chapter
# [10](10_few_shot_images.ipynb). And nothing tells the network which pair came first. Both can be tested before any training:

# %%
x, y, asked, _ = Sinusoids(10, queries=5).sample(np.random.default_rng(3), tasks=1).arrays
with torch.no_grad():
    answers = transformer(x, y, asked)  # (1, 5, 1)
    alone = transformer(x, y, asked[:, :1])
    turned = transformer(x[:, ::-1].copy(), y[:, ::-1].copy(), asked)
    weights = transformer.attention(x, y, asked)  # (1, 5, 10)
print("a query asked alone gets the same answer:", torch.allclose(answers[:, :1], alone, atol=1e-5))
print("so does each with the pairs backwards:", torch.allclose(answers, turned, atol=1e-5))
print("attention of the first query:", np.round(weights[0, 0].numpy(), 2))

# %% [markdown]
# Both learners now train on the same family. MAML trains as always: 10 points, one inner step. The transformer is given 25
# waves per iteration and a random number of points, from 1 to 10; it answers 10 queries of each wave, and Adam lowers the
# squared error of the answers. That is all: **no inner loop, no derivative of a derivative**. Learning to learn has become
# ordinary supervised learning, whose examples are whole tasks. (About 30 seconds for the transformer, and less than 10 for
# MAML, on an idle core.)

# %%
family = Sinusoids(shots=10)
losses = mt.train_in_context(transformer, family, iterations=2_000, progress=False)
mt.meta_train(learner, family, iterations=15_000, device="cpu", progress=False)
for k, loss in enumerate(losses.reshape(4, 500).mean(axis=1)):
    print(f"transformer, iterations {500 * k} to {500 * k + 500}: mean loss {loss:.2f}")

# %% [markdown]
# ## The bet, first half: new waves
#
# Now 600 waves that neither has seen. MAML may choose its α for each number of points and steps, on validation waves. The
# transformer has nothing to choose. And least squares with two numbers, the **oracle** of chapter [03](03_many_tasks.ipynb),
# is there to say how much there was to win.


# %%
def errors_of_reading(family):
    """Squared errors (600,) of the transformer, on the waves that mt.evaluate draws."""
    rng, errors = np.random.default_rng(1), []
    for _ in range(6):
        batch = family.sample(rng, tasks=100)
        with torch.no_grad():
            answers = transformer(*batch.arrays[:3]).numpy()  # (100, queries, 1)
        errors.append(np.square(answers - batch.query_y).mean(axis=(1, 2)))
    return np.concatenate(errors)


def errors_of_steps(family, steps):
    """Those of MAML, with the α that is best on validation waves for so many points and steps."""
    medians, validation = {}, Sinusoids(family.shots, queries=50)
    for learner.inner_lr in (0.005, 0.01, 0.02, 0.05):
        medians[learner.inner_lr] = mt.evaluate(learner, validation, 100, steps, seed=2).median[-1]
    learner.inner_lr = min(medians, key=medians.get)
    return mt.evaluate(learner, family, 600, steps).values[:, steps]


def two_numbers(support_x, support_y, query_x):
    """The wave a sin x + b cos x that fits the support points best, at query_x."""
    waves = lambda x: np.hstack([np.sin(x), np.cos(x)])  # (n, 1) → (n, 2)
    return waves(query_x) @ np.linalg.lstsq(waves(support_x), support_y, rcond=None)[0]


# %%
def compared(name, family):
    """Prints the medians of all learners in one family."""
    rng, oracle = np.random.default_rng(1), []
    for _ in range(6):
        batch = family.sample(rng, tasks=100)
        oracle += [np.mean((two_numbers(*task[:3]) - task[3]) ** 2) for task in batch]
    reading, steps = errors_of_reading(family), [errors_of_steps(family, k) for k in (1, 10)]
    medians = [f"{np.median(e):>10.3f}" for e in (reading, *steps, oracle)]
    print(f"{name:<18}", *medians)


print("median error         transformer  MAML, 1   MAML, 10   two numbers")
for shots in (1, 2, 5, 10, 20):
    compared(f"{shots} points", Sinusoids(shots, queries=50))

# %% [markdown]
# From two points on least squares is right up to rounding, and neither learner comes near. With a single point the
# transformer is *below* it: it has learned which heights and phases are likely, while least squares takes the lowest wave.
# Between the two learners, **reading beats stepping on the family that both were trained on**, and by most with few points.
# At 20 points, which training never had, the transformer still gets better, and MAML's ten steps draw level.
#
# Is it one lucky run, and did MAML train too little? `benchmarks/reproduce/in_context.py` has three seeds and takes the time:
# 70,000 iterations of MAML, and up to 6,000 of the transformer. Its median errors on ten points, a number per seed:
#
# | | 2 points | 5 points | 10 points | 50 points | training |
# | :- | :- | :- | :- | :- | :- |
# | transformer, 2,000 iterations | 0.24, 0.22, 0.24 | 0.067, 0.054, 0.070 | 0.037, 0.024, 0.036 | 0.023, 0.014, 0.021 | 33 s |
# | transformer, 6,000 iterations | 0.10, 0.097, 0.10 | 0.024, 0.022, 0.021 | 0.012, 0.011, 0.011 | 0.0059, 0.0053, 0.0060 | 88 s |
# | MAML, 1 step | 0.70, 0.71, 0.68 | 0.40, 0.36, 0.37 | 0.21, 0.20, 0.20 | 0.089, 0.078, 0.074 | 38 s |
# | MAML, 10 steps | 0.57, 0.56, 0.56 | 0.16, 0.16, 0.16 | 0.049, 0.052, 0.047 | 0.013, 0.012, 0.013 | the same |
# | MAML, 50 steps | 0.56, 0.56, 0.55 | 0.15, 0.15, 0.15 | 0.039, 0.043, 0.041 | 0.0076, 0.0071, 0.0078 | the same |
#
# In the time of MAML's training the transformer gets a little more than 2,000 iterations. With 2,000 it is ahead of MAML's ten
# steps up to ten points, and behind them at 50.
#
# (Training in seconds of processor time, one thread of a busy machine: only the ratio says something. The pretrained network
# of chapter [07](07_maml_in_numpy.ipynb) has 0.60 after ten steps on ten points.) Two things must be said for MAML: it has 64
# times fewer parameters, and it was trained with ten points throughout, the transformer with 1 to 10. MAML trained with fewer
# points, or with a larger network in it, we have not measured.

# %%
three_learners(learner, transformer)  # FIGURE

# %% [markdown]
# Drag the points. On the left MAML takes steps; in the middle the transformer reads, and the lines say how much the query
# looks at which pair; on the right least squares solves for two numbers. Try the four prompts:
#
# 1. **One point.** Nobody can know the wave. What does each answer far away from the point?
# 2. **Two points half a period apart.** Their $y$ are opposite numbers, whatever the wave. Least squares finds the lowest
#    wave; what do the others do?
# 3. **A wave twice as tall.** Who stops at the heights that training had?
# 4. **Points of two waves.** There is no right answer. Whose answer is a compromise, and whose is a wave?
#
# ## The bet, second half: outside the family
#
# Training taught both learners what waves are like: heights from 0.1 to 5, phases from 0 to π, one frequency, no noise. What
# if that changes afterwards, and nobody says so? α stays as it was chosen, since whoever uses the learner doesn't know
# either.


# %%
class OtherWaves(Sinusoids):
    """Waves of other heights, phases or frequency; some support points noisy, or of another wave."""

    def __init__(self, *, times=1.0, turn=0.0, frequency=1.0, noise=0.0, strangers=0):
        super().__init__(shots=10, queries=50)
        self.times, self.turn, self.frequency = times, turn, frequency
        self.noise, self.strangers = noise, strangers

    def sample(self, rng, tasks=25):
        x = rng.uniform(-5, 5, (tasks, self.shots + 50, 1))
        own, other = (self.wave(x, *self.draw_waves(rng, tasks)) for _ in range(2))
        k, n = self.shots, self.strangers
        seen = np.concatenate([other[:, :n], own[:, n:k]], axis=1)
        seen = seen + rng.normal(0, self.noise, seen.shape)
        return TaskBatch(x[:, :k], seen, x[:, k:], own[:, k:])

    def wave(self, x, height, phase):
        height, phase = height[:, None, None], phase[:, None, None]  # (tasks, 1, 1)
        return self.times * height * np.sin(self.frequency * x - phase - self.turn)


# %%
print("median error         transformer  MAML, 1   MAML, 10   two numbers")
compared("as in training", OtherWaves())
compared("heights times 2", OtherWaves(times=2.0))
compared("phases π to 2π", OtherWaves(turn=np.pi))
compared("frequency 1.5", OtherWaves(frequency=1.5))
compared("noise 0.5", OtherWaves(noise=0.5))
compared("3 of 10 strangers", OtherWaves(strangers=3))

# %% [markdown]
# The picture turns. Look at the phases from π to 2π: these are our waves upside down, no taller and no noisier than before,
# but training never showed them. A wave of another frequency the transformer takes for one of *its* waves, and its error is
# larger than that of a learner that does nothing. MAML's steps go downhill on whatever loss they are given: ten are better
# than one in both. And least squares with two numbers, our oracle so far, has the wrong law at another frequency: there MAML
# beats it.
#
# Three seeds of the script, ten points, median errors (*before*: MAML's network before any step):
#
# | | before | transformer, 6,000 | MAML, 1 | MAML, 10 | MAML, 50 | two numbers |
# | :- | :- | :- | :- | :- | :- | :- |
# | as in training | 1.94, 1.93, 1.95 | 0.012, 0.011, 0.011 | 0.21, 0.20, 0.20 | 0.049, 0.052, 0.047 | 0.039, 0.043, 0.041 | 0 |
# | heights times 2 | 8.51, 8.53, 8.60 | 0.045, 0.050, 0.040 | 0.95, 0.90, 0.89 | 0.31, 0.34, 0.32 | 0.20, 0.22, 0.22 | 0 |
# | heights plus 5 | 21.8, 21.6, 22.0 | 2.74, 2.78, 3.39 | 5.18, 4.59, 4.73 | 2.42, 2.54, 3.13 | 1.44, 1.41, 1.75 | 0 |
# | phases π to 2π | 7.10, 7.03, 6.78 | 2.02, 1.92, 2.53 | 1.65, 1.73, 1.69 | 0.56, 0.46, 0.43 | 0.37, 0.28, 0.25 | 0 |
# | x to ± 7.5 | 2.68, 2.91, 3.91 | 1.53, 1.34, 1.38 | 3.16, 2.83, 3.01 | 1.40, 1.57, 2.09 | 1.29, 1.35, 1.82 | 0 |
# | frequency 1.25 | 2.71, 2.70, 2.67 | 1.91, 1.84, 1.98 | 1.26, 1.36, 1.39 | 0.43, 0.50, 0.53 | 0.34, 0.35, 0.40 | 1.47 |
# | frequency 1.5 | 3.89, 3.84, 3.87 | 5.53, 7.50, 6.18 | 2.78, 2.80, 2.92 | 1.40, 1.51, 1.67 | 1.15, 1.23, 1.42 | 3.45 |
# | noise 0.5 | 2.10, 2.17, 2.12 | 0.13, 0.12, 0.11 | 0.26, 0.26, 0.25 | 0.18, 0.18, 0.18 | 0.20, 0.21, 0.21 | 0.038 |
# | 3 of 10 strangers | 1.88, 1.83, 1.82 | 0.60, 0.46, 0.43 | 0.61, 0.62, 0.59 | 0.63, 0.63, 0.64 | 0.71, 0.70, 0.74 | 0.34 |
#
# *Heights times 2* is a trap for whoever reads medians alone. About half of the doubled waves are no taller than 5, and
# nothing about them is new to the transformer. Its *mean* error there is 3.53, 2.97 and 3.27. And MAML after ten steps
# has no mean to speak of: with the α that suits ordinary waves, the steps ran away on 1.0 %, 0.7 % and 2.8 % of the
# tall ones, to infinity. In the next row all waves are taller than any in training, and nothing is left to hide behind.
# Stretched $x$ is beyond both, and noise, and points of a stranger, hurt everybody.
#
# Where the world has changed, α could be chosen anew, if somebody noticed. For waves of heights 5.1 to 10, α = 0.005 is best
# for ten steps on validation waves of that kind. Then none diverges: the mean after ten steps is 3.53, 3.14 and 3.39, and that of
# the transformer, in which there is nothing to choose, 6.81, 5.66 and 6.44.

# %% [markdown]
# ## What each of them costs
#
# A fair comparison also counts the cost. Multiplications are a fair measure of a network's work; a gradient step on ten
# points costs about three passes of ten points (one forward, about two backward). An attention layer multiplies each token by
# its matrices, and each token with each pair.

# %%
points, width, hidden, layers = 10, 64, 160, 3
network = 40 + 40 * 40 + 40  # one example through 1-40-40-1
per_layer = (points + 1) * (2 * width**2 + 2 * width * hidden) + points * 2 * width**2
per_layer += 2 * (points + 1) * points * width  # scores, and the sums that they weigh
reading = layers * per_layer + points * 2 * width + width + width
print(f"to answer one query after {points} points, multiplications:")
print(f"  transformer          {reading:>9,}")
for steps in (1, 10):
    total = 3 * points * network * steps + network
    print(f"  MAML, {steps:2} steps       {total:>9,}   ({reading / total:.1f} times fewer)")

# %% [markdown]
# | | MAML | transformer |
# | :- | :- | :- |
# | parameters | 1,761 | 113,313: 64 times as many |
# | a training iteration of 25 waves | a gradient through a gradient step; 0.5 ms with the native engine | ordinary backpropagation; 14.6 ms |
# | a new task needs | the loss, its gradient, an α | one pass |
# | more points than in training | one more term in the loss | no promise, and here it works: see the table |
# | more computation for a better answer | more steps | none: its depth is fixed |
# | another loss at test time | any that has a gradient | none: the loss went into training |
# | what limits it on the family | the number of steps, α, what the network can represent | how long it trains, and on what |
#
# (The milliseconds are processor time of one core, from the script's three seeds.) MAML pays for its steps only when a *task*
# is new: afterwards a query costs one pass of the adapted network, 1,680 multiplications. (A transformer that keeps what its
# layers have made of the pairs saves on further queries, too; ours reads the pairs again.)
#
# ## One layer of attention *is* one gradient step
#
# Reading and stepping look like opposites. They are not. Take away the softmax, so that the weight of pair $i$ is simply
# $s_i$. That is **linear attention**. And take linear regression, $\hat y = w\cdot x$ with the loss $\frac1N\sum_i (w\cdot
# x_i - y_i)^2$. One gradient step from $w = 0$ with the rate α leads to
#
# $$w = \frac{2\alpha}{N}\sum_i y_i\,x_i , \qquad\text{so the answer at } x \text{ is}\qquad
# w\cdot x = \frac{2\alpha}{N}\sum_i y_i\,(x_i\cdot x) .$$
#
# Read the last sum again. For each pair there is a scalar product with the query; it weighs the pair's $y$; the results are
# added. That *is* linear attention, with $x_i$ as key, $x$ as query and $y_i$, times $2\alpha/N$, as value. Von Oswald et al.
# (2023) wrote down the matrices. A token is $(x_i, y_i)$, and the query's is $(x, 0)$. $K$ and $Q$ pick out the $x$, and $V$
# turns $y$ into $-\frac{2\alpha}N y$. Why the minus? Because a layer *adds* to its tokens, and all of them look at the pairs.
# The pairs' $y_i$ thus become $y_i - w\cdot x_i$: **what the step has not yet explained**. The query's 0 becomes $-w\cdot x$,
# and the answer is read with the opposite sign.


# %%
def attend(pairs, asked, keys, queries, values):
    """Pairs (N, d + 1) and queries (Q, d + 1) after one layer of linear attention to the pairs."""
    look = lambda tokens: (tokens @ queries.T) @ (pairs @ keys.T).T @ (pairs @ values.T)
    return pairs + look(pairs), asked + look(asked)


rng, N, d, alpha = np.random.default_rng(0), 10, 3, 0.5
x, asked = rng.uniform(-1, 1, (N, d)), rng.uniform(-1, 1, (4, d))
y = x @ rng.normal(size=(d, 1))
select = np.diag([1.0] * d + [0.0])  # keys and queries: the x of a token
value = np.zeros((d + 1, d + 1))
value[d, d] = -2 * alpha / N  # values: its y, times −2α/N

pairs, tokens, w = np.hstack([x, y]), np.hstack([asked, np.zeros((4, 1))]), np.zeros((d, 1))
for layer in range(1, 21):
    pairs, tokens = attend(pairs, tokens, select, select, value)
    w = w - alpha * 2 / N * x.T @ (x @ w - y)  # a step on the mean squared error
    assert np.allclose(pairs[:, d:], y - x @ w, rtol=0, atol=1e-12)  # what is left to explain
    assert np.allclose(-tokens[:, d:], asked @ w, rtol=0, atol=1e-12)  # the answers
    if layer in (1, 5, 20):
        both = f"{-tokens[0, d]:.6f} and {(asked @ w)[0, 0]:.6f}"
        print(f"{layer:2} layers, {layer:2} steps: first answer {both}")

# %% [markdown]
# One layer is one step, and twenty layers with the *same* matrices are twenty steps, to 12 decimal places. Why do the later
# layers agree, when the formula was that of a step from zero? After a layer the pairs hold the residuals $y_i - w\cdot x_i$.
# The gradient at $w$ is that of a regression *on the residuals* at zero, so the next layer takes its step from zero on the
# new data, and the query's token adds the steps up. (The article's GD++ also lets a layer change the $x_i$. That is no plain
# gradient descent any more: it changes the conditioning of the problem, and goes faster.)
#
# So such a transformer *can* do gradient descent. **Does training find it?** Start from random matrices, and train one layer
# on random linear regressions in five dimensions, ten pairs each. Its rival is a single step with the best α.


# %%
def regressions(rng, tasks):
    """Pairs (tasks, 10, 6), queries (tasks, 1, 6) whose y is 0, and the true y (tasks, 1, 1)."""
    x, w = rng.uniform(-1, 1, (tasks, 11, 5)), rng.normal(size=(tasks, 5, 1))
    tokens = torch.as_tensor(np.concatenate([x, x @ w], axis=2), dtype=torch.float32)
    hidden = tokens[:, 10:] * torch.tensor([1.0] * 5 + [0.0])
    return tokens[:, :10], hidden, tokens[:, 10:, 5:]


def answers_of(matrices, pairs, asked):
    keys, queries, values, out = matrices  # (16, 6) three times, (6, 16)
    scores = (asked @ queries.T) @ (pairs @ keys.T).mT  # (tasks, 1, 10)
    return -(asked + scores @ (pairs @ values.T) @ out.T / 10)[..., 5:]


torch.manual_seed(0)
matrices = [(torch.randn(s) / 4).requires_grad_() for s in [(16, 6)] * 3 + [(6, 16)]]
optimiser, rng = torch.optim.Adam(matrices, lr=0.01), np.random.default_rng(0)
for done in range(1500):
    optimiser.param_groups[0]["lr"] = 0.01 * (1 - done / 1500)
    pairs, asked, wanted = regressions(rng, tasks=64)
    optimiser.zero_grad()
    (answers_of(matrices, pairs, asked) - wanted).square().mean().backward()
    optimiser.step()

# %%
pairs, asked, wanted = regressions(np.random.default_rng(1), tasks=20_000)
with torch.no_grad():
    learned = answers_of(matrices, pairs, asked)
    step = 2 / 10 * asked[..., :5] @ (pairs[..., :5].mT @ pairs[..., 5:])  # with α = 1
    best = (step * wanted).sum() / (step * step).sum()  # the best α, on these very tasks
    mse = lambda a, b: (a - b).square().mean().item()
    print(f"no step {mse(0 * step, wanted):.3f}, one step of the best α = {best:.2f}", end=" ")
    print(f"{mse(best * step, wanted):.3f}, attention {mse(learned, wanted):.3f}")
    print(f"attention and the step from each other: {mse(learned, best * step):.4f}")

# %% [markdown]
# Training found the step. Its error is the step's, within half a percent, and the two give nearly the same answers. The
# script has three seeds, and a longer training: 0.5340, 0.5335 and 0.5341 for attention, 0.5326 for the step. If the five inputs are scaled
# differently (by 2, 1, 1, ½ and ½), a single α has to serve all of them, and its error is 0.7277. Attention does better
# there: 0.5349, 0.5333 and 0.5356. That is the error of a step with a *matrix* of rates, 0.5328; the matrix in $K$ and $Q$ has become a
# preconditioner, as in Meta-SGD, which learns a rate for each parameter. So training does not find "gradient descent" as
# such. It finds the best that such a layer can do on its *family*; where all directions are alike, that is the plain step.
#
# And the **softmax** that we took away? It makes the weights positive and lets them sum to 1. The answer then is a *weighted
# mean* of the values, and with these matrices no answer can be above the largest $y$ or below the smallest. It looks for
# pairs that are like the query, as a nearest neighbour does, only softly.

# %%
x, asked = rng.uniform(-1, 1, (N, d)), rng.uniform(-1, 1, (4, d))
y, scores = x @ rng.normal(size=(d, 1)), asked @ x.T  # (4, 10)


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


print(f"y from {y.min():.2f} to {y.max():.2f}")
for sharpness in (1, 10, 100):
    answers = (softmax(sharpness * scores) @ y)[:, 0]
    print(f"softmax, scores times {sharpness:3}:", np.round(answers, 2))
small = 1e-4
heads = (softmax(small * scores) @ y - softmax(-small * scores) @ y) / (2 * small)
step = asked @ (x.T @ (y - y.mean())) / N
print("two heads, one minus the other, are a step on y minus its mean:", np.allclose(heads, step))

# %% [markdown]
# Nothing is lost, though. For small scores the softmax is nearly linear, $a_i \approx \frac1N(1 + s_i - \bar s)$, and a
# second head with the opposite sign removes the constant. What remains is the gradient step again, with the mean of the $y$
# taken off. Our `InContext` has four heads per layer, a hidden layer after each, and three layers. What it computes on sine
# waves nobody has shown here. That it *could* be steps of gradient descent on features that it has learned is what the
# construction says, and no more.
#
# ## What came after
#
# **In-context learning as the thing to explain.** Garg et al. (2022) trained transformers from scratch on pairs $(x, y)$ of
# linear functions, and found them about as good as least squares on new ones; they also did it for sparse linear functions,
# two-layer networks and decision trees. Akyürek et al. (2023) showed by construction that a transformer can carry out
# gradient descent or the closed-form ridge solution of a linear regression, and found that trained ones change from one such
# algorithm to another with depth and noise. Von Oswald et al. (2023) wrote the matrices above. Mahankali, Hashimoto and Ma
# (2023) proved for one layer of linear attention and normally distributed data that one step of gradient descent is not only
# possible but *optimal*.
#
# **Learned optimisers.** MAML learns where descent starts. One can also learn how it moves. The smallest learned optimiser of
# this course is in chapter [06](06_many_inner_steps.ipynb), "The rate learns itself": one number, α, trained by
# the meta-gradient together with θ. Andrychowicz et al. (2016) replaced the rule by a recurrent network that reads gradients
# and writes updates. VeLO (Metz et al. 2022) took that idea to a large scale: about four thousand TPU-months of meta-training
# on many kinds of tasks, for an optimiser that needs no tuning of its rate. The authors say themselves where it fails, among
# others on models much larger, and training much longer, than it was trained for. It is the lesson of the table above, once
# more: a *learned* rule is good where its training tasks were.
#
# **Foundation models.** A large language model was trained on no family of tasks that anybody wrote down, and yet learns from
# a few examples in its prompt (Brown et al. 2020). In the words of this course: the prompt is the support set, the answer the
# query, and pretraining on text the outer loop, which nobody designed as one. Adapters such as LoRA (Hu et al. 2021) are the
# other half, gradient steps on few numbers: an inner loop, whose start comes from ordinary pretraining. Both are strong
# where a model knows the domain. What they do not replace is the way to *judge* them: tasks kept apart, a baseline that was
# tuned as hard, an interval over tasks, and a test outside the family.
#
# ## Which one, then?
#
# Not one of them wins everywhere, and the tables say where which is strong.
#
# - **Read**, if you can draw as many training tasks as you like, if those to come are like them, and if there is no time to
#   choose an α. Then reading is more exact, most of all with few points. But the family is its prior: outside it, the
#   transformer answers as if it were inside, and nothing in the answer tells.
# - **Step**, if tasks may be of another kind than in training, if the loss may be another, or if it pays to compute longer
#   for a better answer. MAML's inner loop accepts any loss that has a gradient and any number of steps; its α must be right.
# - **Write it down**, if you know the law. From two points on, two numbers beat both, with no training, as long as the law is right.
#
# And these are sentences about two small learners on sine waves. A larger transformer, more families in its training, or a
# MAML that was trained with noise may move the borders. Where to, one would have to measure: that is what the rest of this
# chapter is about.
#
# *Read more:* Garg et al. (2022), *What can transformers learn in-context?*, arXiv
# [2208.01066](https://arxiv.org/abs/2208.01066). Akyürek et al. (2023), *What learning algorithm is in-context learning?*,
# arXiv [2211.15661](https://arxiv.org/abs/2211.15661). Von Oswald et al. (2023), *Transformers learn in-context by gradient
# descent*, arXiv [2212.07677](https://arxiv.org/abs/2212.07677). Mahankali et al. (2023), arXiv
# [2307.03576](https://arxiv.org/abs/2307.03576). Metz et al. (2022), *VeLO*, arXiv
# [2211.09760](https://arxiv.org/abs/2211.09760).
