# ruff: noqa: E402, E501, F821
# %% [markdown]
# # Part (b): a body that changes
#
# A robot that has lost a leg, or carries a load, moves as it never has before. It cannot be trained for hours again. But it can
# move about for two seconds, and see what happens: Nagabandi and others (2019) did that with a small robot on legs. Here the robot is a
# pendulum, a mass $m$ at the end of a rod of length $l$, turned by a motor at the pivot. In this part θ is its angle, 0 if it stands
# upright and π if it hangs, and ω says how fast it turns:
#
# $$\frac{d\theta}{dt} = \omega, \qquad m\,l^2\,\frac{d\omega}{dt} = m\,g\,l\,\sin\theta - b\,\omega + \sigma\,q\,u .$$
#
# The control $u$ lies between −1 and 1 and is held for 0.1 s. **A task is a body**: a mass from 0.5 to 1.5 kg, a length from 0.7 to 1.3 m,
# friction $b$ up to 0.5 N m s, a motor $q$ of 8 to 12 N m, and a sign σ, 1 or −1: a coin decides whether the motor is connected the
# right way round.
#
# The support set is twenty **shakes**: a random state, a random control, and what came of them 0.1 s later. A network is to predict
# that. It gets (cos θ, sin θ, ω/6, $u$) and returns the changes of θ and ω, scaled so that both vary by about 1.

# %%
from maml_edu.figures import break_the_robot
from maml_edu.tasks.pendulum import Body, Pendulum, fit_law, inputs, moved, outputs, states_of, step
from maml_edu.tasks.planning import cost, drive, plan

two = Body(mass=[1.0, 1.4], length=[1.0, 0.8], damping=[0.1, 0.1], gain=[10.0, 9.0], sign=[1, -1])
level = np.tile([np.pi / 2, 0.0], (2, 1))  # θ and ω of both: the rod is level, at rest
for u in (-1.0, 0.0, 1.0):
    after = step(level, np.full(2, u), two)
    print(f"u = {u:+.0f}: ω after 0.1 s is {after[0, 1]:+.2f} and {after[1, 1]:+.2f} rad/s")
batch = Pendulum(shots=20).sample(np.random.default_rng(0), tasks=5)
print("x", batch.support_x.shape, " y", batch.support_y.shape)

# %% [markdown]
# The same control turns one body to one side and the other body to the other side. Now train two networks, each on 2,000 batches of 16
# bodies: one by MAML, with three inner steps and an inner rate that is learned together with θ (chapter 06), the other in the ordinary
# way. (If a fast engine has to be compiled first, this cell takes half a minute longer, once.)


# %%
def learn(inner_steps, seed=0, **world):
    """A network 4-64-64-2 that has seen 2,000 batches of 16 bodies, and its inner rate."""
    torch.manual_seed(seed)
    how = {"inner_lr": 0.1, "learn_inner_lr": True} if inner_steps else {}
    learner = mt.MAML(mt.MLP(4, 64, 64, 2), inner_steps=inner_steps, **how)
    # What MAML sees of a body is 20 transitions to adapt to and 20 to be judged by; pretraining uses all 40.
    tasks = Pendulum(20, queries=20 if inner_steps else 40, **world)
    settings = {"meta_batch": 16, "meta_lr": 1e-2, "schedule": ("cosine", 0.05), "seed": seed}
    mt.meta_train(learner, tasks, 2_000, device="cpu", progress=False, **settings)
    return learner.model, float(torch.as_tensor(learner.inner_lr).detach())


meta_trained, rate = learn(inner_steps=3)
pretrained, _ = learn(inner_steps=0)
print(f"MAML's inner rate, learned: {rate:.3f}")

# %% [markdown]
# ## What one function can know of all bodies
#
# Chapter 03 said what pretraining learns: the average task. Gravity pulls at all bodies, more or less alike. But for every body there is an
# equally likely one with the opposite sign, so **the average effect of the control is nothing**. Let us measure it: half the difference
# between what is predicted for $u = 1$ and for $u = -1$, averaged over states.
#
# First, the inner loop. Each body gets its own copy of the weights, and all copies take their steps at once: the sum of all losses has, in
# each copy, the gradient of that body's loss.


# %%
def adapted(network, batch, rate, steps, rule=torch.optim.SGD):
    """Weights of each body, [(bodies, 4, 64), (bodies, 1, 64), …], after some steps on its support set."""
    parts = [p.T if p.ndim == 2 else p[None] for p in network.parameters()]
    weights = [p.detach().repeat(len(batch.support_x), 1, 1).requires_grad_() for p in parts]
    x, y = (torch.as_tensor(part).float() for part in (batch.support_x, batch.support_y))
    optimiser = rule(weights, lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        (predict(weights, x) - y).square().mean((1, 2)).sum().backward()
        optimiser.step()
    return [w.detach() for w in weights]


def predict(weights, x):
    """Scaled changes (bodies, n, 2) of inputs (bodies, n, 4)."""
    w1, b1, w2, b2, w3, b3 = weights
    return torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3


def network_model(weights):
    """A function (states, controls) → states 0.1 s later."""
    return lambda state, control: moved(
        state, predict(weights, torch.as_tensor(inputs(state, control)).float()).numpy()
    )


# %%
draws, family = np.random.default_rng((1, 0)), Pendulum(20, queries=200)
bodies = family.draw_bodies(draws, 15)  # fifteen new ones, which all methods get
test = family.sample_from(draws, bodies)


def effect_of_control(model, batch):
    """By how much u = 1 in place of 0 changes ω in 0.1 s, in rad/s: the mean over states, (bodies,)."""
    state, _ = states_of(batch.query_x)
    one = np.ones(state.shape[:2])
    return (model(state, one) - model(state, -one))[..., 1].mean(1) / 2


true_model = lambda state, control: step(state, control, bodies)
effects = {"truth": true_model, "pretrained": network_model(adapted(pretrained, test, 0.0, 0))}
for k in (0, 1, 3):
    effects[f"MAML, {k} steps"] = network_model(adapted(meta_trained, test, rate, k))
effects = {name: effect_of_control(model, test) for name, model in effects.items()}
for name, values in effects.items():
    right = np.sum(np.sign(values) == bodies.sign)
    print(f"{name:14} {right:2} of 15 signs right; the first six:", np.round(values[:6], 2) + 0.0)

# %% [markdown]
# To the pretrained network a motor is a thing that does nothing, and so it is to *any* single function that has learned from all bodies.
# MAML's network believes the same before its first step. (It is one function, too.) The difference is where a step leads: after
# twenty shakes and one step, every sign is right.
#
# ## The opponent knows the law
#
# Least squares is told the two equations, and looks for the numbers in them. Integrate the second one over 0.1 s and divide it by $m l^2$:
#
# $$\Delta\omega = a\int\!\sin\theta\,dt \;-\; \beta\,\Delta\theta \;+\; c\,u\,\Delta t,
# \qquad a = \frac gl,\quad \beta = \frac{b}{ml^2},\quad c = \frac{\sigma q}{ml^2} ,$$
#
# since $\int\omega\,dt = \Delta\theta$. That is **linear in three unknown numbers**, and there are twenty equations. The integral that is left is
# computed by Simpson's rule. (What $m$ is, such data cannot tell; $a$, β and $c$ are all that matters.)

# %%
show_source(fit_law)

# %%
law = fit_law(test.support_x, test.support_y)
print("length, true:   ", np.round(bodies.length[:6], 4))
print("length, fitted: ", np.round(law.length[:6], 4))

# %% [markdown]
# Right to about four digits, from twenty shakes.
#
# ## To control with a model
#
# What is a model good for? For choosing. **Model-predictive control** draws 128 random plans of 12 controls, asks the model where each
# would lead, and adds up the cost of every step, $1 - \cos\theta + 0.01\,\omega^2 + 0.001\,u^2$, which is 0 for a rod that stands still, upright.
# It executes **the first control of the cheapest plan, and no more**. Then it sees where the body really is, and plans again. So the
# model must be right for 1.2 s at a time, and its errors never add up for longer ([exercise 13.6](../exercises/13_robots.ipynb)).


# %%
def drive_with(model, bodies, rng, steps=80, plans=128, horizon=12):
    """Returns, minus the sum of the costs, of bodies that hang at first: (bodies,)."""
    state, total = np.tile([np.pi, 0.0], (len(bodies), 1)), np.zeros(len(bodies))
    for _ in range(steps):
        # each control is kept for three steps: (bodies, plans, horizon)
        u = np.repeat(rng.uniform(-1, 1, (len(bodies), plans, horizon // 3)), 3, axis=2)
        imagined, costs = np.repeat(state[:, None], plans, axis=1), 0.0
        for t in range(horizon):
            imagined = model(imagined, u[..., t])
            costs = costs + cost(imagined, u[..., t])
        first = u[np.arange(len(bodies)), costs.argmin(1), 0]
        state = step(state, first, bodies)  # the real body
        total -= cost(state, first)
    return total


# %% [markdown]
# At first the rod hangs. For nearly half of all bodies the motor is too weak to lift them in one go: they must be swung up. The
# library's `plan` and `drive` do the same as this function, and keep the path:


# %%
def driven(model, bodies, seed=0):
    rng = np.random.default_rng((3, seed))  # the same random plans for every model
    return drive(lambda state: plan(model, state, rng)[:, 0], bodies)


own = drive_with(true_model, bodies, np.random.default_rng((3, 0)))
print("the same returns:", np.allclose(own, driven(true_model, bodies).returns))
heavy = bodies.mass * 9.81 * bodies.length > bodies.gain
print(f"too heavy for their motor: {heavy.sum()} of {len(bodies)}")

# %% [markdown]
# Now every model drives the same fifteen bodies for eight seconds, with the same random plans. The **return** is minus the sum of the costs,
# and a body counts as **upright** while θ is within 26 degrees of 0.
#
# Two more learners get what suits *them*, of nine rules and rates and up to 500 steps, chosen by the error on validation bodies
# ([benchmarks/reproduce/pendulum.py](../benchmarks/reproduce/pendulum.py)): the pretrained network, and one **from scratch** that has never
# seen a pendulum and has twenty shakes, no more. Both take 500 steps of Adam.


# %%
def table(models, bodies, batch):
    print(f"{'medians of fifteen bodies':26} error   return  upright")
    state, control = states_of(batch.query_x)
    for name, model in models.items():
        wrong = ((outputs(state, model(state, control)) - batch.query_y) ** 2).mean((1, 2))
        done = driven(model, bodies)
        values = np.median(wrong), np.median(done.returns), np.median(done.upright)
        print("{:26} {:.4f} {:8.1f} {:6.0%}".format(name, *values))


models = {"true model": true_model, "least squares, law known": lambda s, u: step(s, u, law)}
for k in (0, 1, 3, 10):
    name = f"MAML, {k} step{'s' * (k != 1)}"
    models[name] = network_model(adapted(meta_trained, test, rate, k))
models["pretrained, 3 steps"] = network_model(adapted(pretrained, test, 0.3, 3))
torch.manual_seed(0)
for name, start, own_rate in (("pretrained", pretrained, 0.03), ("scratch", mt.MLP(4, 64, 64, 2), 0.003)):  # fmt: skip
    slowly = adapted(start, test, own_rate, 500, torch.optim.Adam)
    models[f"{name}, 500 of Adam"] = network_model(slowly)
table(models, bodies, test)

# %% [markdown]
# **Knowing the physics wins.** Least squares has the returns of the true model, with three numbers per body and no training. MAML's network
# has 4,610 and has seen 32,000 bodies. After three steps it has about the same returns. (Where it is a little ahead of the true model, that
# is the luck of the random plans.) Its predictions remain far worse than those of least squares, but to choose among 128 plans they
# suffice.
#
# **And the body can be learned without any of this.** A network from scratch is nearly as good, if it may take 500 steps. In this
# experiment the pretrained start is no better than a random one. Three steps of it are worth much less than MAML's; nobody asked where its
# slope leads. So what MAML buys is three steps in place of 500, and predictions with about a third of the error. The same for three seeds
# with fifteen bodies each, medians with 95 % intervals ([docs/results.md](../docs/results.md) has all rows):
#
# | | error | return | upright | return − that of least squares |
# | :- | :- | :- | :- | :- |
# | true model | 0 (0 to 0) | −14.0 (−15.4 to −13.0) | 0.86 (0.84 to 0.88) | 0.0 (0.0 to 0.0) |
# | least squares, law known | 8e−11 (4.5e−11 to 1.1e−10) | −14.0 (−15.4 to −13.0) | 0.86 (0.84 to 0.88) |  |
# | MAML, 0 steps | 0.21 (0.16 to 0.32) | −143.0 (−149.9 to −107.8) | 0.00 (0.00 to 0.12) | −119.5 (−130.1 to −94.8) |
# | MAML, 1 step | 0.038 (0.023 to 0.05) | −15.6 (−17.6 to −14.8) | 0.84 (0.80 to 0.85) | −0.2 (−0.9 to +0.1) |
# | MAML, 3 steps | 0.0065 (0.0036 to 0.01) | −14.1 (−16.5 to −13.3) | 0.86 (0.82 to 0.88) | +0.1 (0.0 to +0.2) |
# | MAML, 10 steps | 0.0015 (0.0009 to 0.0023) | −14.0 (−15.1 to −13.3) | 0.86 (0.82 to 0.88) | +0.1 (0.0 to +0.2) |
# | pretrained, its best 10 steps | 0.12 (0.11 to 0.19) | −23.7 (−30.7 to −18.9) | 0.75 (0.62 to 0.81) | −6.9 (−11.4 to −3.3) |
# | pretrained, its best 200 to 500 | 0.024 (0.021 to 0.029) | −15.5 (−18.1 to −13.9) | 0.85 (0.81 to 0.88) | −0.9 (−1.4 to −0.7) |
# | from scratch, its best 500 | 0.02 (0.018 to 0.022) | −14.7 (−16.8 to −13.6) | 0.85 (0.84 to 0.86) | −0.3 (−0.8 to −0.1) |
#
# ## Take the physics away
#
# There is no spring in the law above. Now there is one on the body: a rubber band from the mass to a nail at the height of the pivot, which
# pulls whenever it is longer than the rod. The motor, too, has something of its own, a **dead zone**: a control up to 0.3 does nothing. Least squares
# fits its three numbers to such bodies as well as they will fit. MAML meets them in two states: trained on the usual bodies, as
# above, and trained again on bodies with spring and dead zone. Nobody writes down an equation for it; it has only seen how they move.

# %%
strange = {"spring": 8.0, "dead_zone": 0.3}
trained_on_strange, strange_rate = learn(inner_steps=3, **strange)
draws, family = np.random.default_rng((1, 0)), Pendulum(20, queries=200, **strange)
robots = family.draw_bodies(draws, 15)  # the same masses, lengths, … as before
shaken = family.sample_from(draws, robots)
bent = fit_law(shaken.support_x, shaken.support_y)
models = {"true model": lambda s, u: step(s, u, robots)}
models["least squares, law known"] = lambda s, u: step(s, u, bent)
for k in (3, 10):
    models[f"MAML on usual bodies, {k}"] = network_model(adapted(meta_trained, shaken, rate, k))
    models[f"MAML on such bodies, {k}"] = network_model(
        adapted(trained_on_strange, shaken, strange_rate, k)
    )
table(models, robots, shaken)

# %% [markdown]
# Least squares has lost its lead: what it fits is not the law of these bodies. MAML *that was trained on such bodies* is back at the true
# model. MAML from the usual bodies is no better than least squares after three steps, and hardly after ten. So it is not the gradient steps
# as such that help, but having seen bodies of this kind. Nobody had to say what is special about them. (Whoever knows that there is a
# spring adds a fourth column to the least squares.) Three seeds again:
#
# | | error | return | upright | return − that of least squares |
# | :- | :- | :- | :- | :- |
# | true model | 0 (0 to 0) | −29.3 (−33.3 to −17.2) | 0.75 (0.72 to 0.82) | +6.6 (+4.2 to +10.8) |
# | least squares, law known | 0.028 (0.02 to 0.035) | −33.6 (−40.0 to −28.9) | 0.71 (0.68 to 0.78) |  |
# | MAML on such bodies, 3 steps | 0.0066 (0.0043 to 0.0099) | −31.2 (−34.5 to −26.7) | 0.74 (0.70 to 0.78) | +4.0 (+1.4 to +7.1) |
# | MAML on such bodies, 10 steps | 0.0022 (0.0018 to 0.0041) | −30.5 (−33.6 to −17.1) | 0.74 (0.71 to 0.82) | +6.6 (+4.0 to +10.5) |
# | MAML on usual bodies, 3 steps | 0.036 (0.025 to 0.043) | −33.3 (−40.3 to −30.2) | 0.72 (0.69 to 0.76) | −0.7 (−2.3 to +0.8) |
# | MAML on usual bodies, 10 steps | 0.027 (0.023 to 0.035) | −33.9 (−37.6 to −30.6) | 0.72 (0.71 to 0.76) | +1.3 (−0.6 to +2.6) |
# | pretrained on such bodies, its best 500 | 0.027 (0.021 to 0.038) | −30.7 (−34.8 to −27.8) | 0.71 (0.69 to 0.74) | +4.0 (+0.8 to +7.1) |
# | from scratch, its best 100 to 500 | 0.033 (0.027 to 0.037) | −31.9 (−35.7 to −25.0) | 0.72 (0.69 to 0.76) | +2.1 (+0.6 to +6.8) |
#
# Here MAML leads: in three steps it has what the pretrained network has in 500, and in ten it controls as the true model
# does. A network from scratch is ahead of least squares, too. With a spring alone MAML leads as well, and by less; a dead zone alone costs
# least squares only 0.7.
#
# ## Break the robot
#
# Now the body is yours: its mass, length, motor, friction, the sign, and a spring. Each body is shaken twenty times, the model that you
# choose takes its steps, and the pendulum is driven with it, next to a drive with the true model. Press ▶ to watch.
#
# 1. Begin with MAML and 0 steps. What does it do with the motor, and why? Then go up to 1 step, and to 3.
# 2. Choose the pretrained network with 10 steps, and try other shakes. Then do the same with MAML.
# 3. Set the spring to 16 and compare least squares with the three networks.
# 4. Build a body that breaks every network but not least squares.
# 5. Build one that even the true model keeps upright for less than a third of the time. Is it the model that fails then?

# %%
break_the_robot(
    {
        "MAML": (meta_trained.arrays(), rate),
        "MAML that has seen springs": (trained_on_strange.arrays(), strange_rate),
        "pretrained network": (pretrained.arrays(), 0.3),
    }
)

# %% [markdown]
# <details><summary>What there is to find</summary>
#
# 1. It expects nothing of the motor, so to it all plans are nearly alike, and the mass stays low. After one step it swings up, and
#    after three its return is 2 behind that of the true model.
# 2. It depends on the shakes: with number 0 the pretrained network is upright for 69 % of the time, with number 1 never. MAML is upright for 75 %
#    with both.
# 3. Least squares is upright for 19 % of the time, MAML from bodies without springs for 21 to 25 %, MAML that has seen springs for 70 %
#    after three steps, as the true model. (It has seen springs of 8 N m, and none of 16.) The pretrained network gets 29 % after 3 steps
#    and 69 % after 10, which again depends on the shakes.
# 4. Very light and short with a strong motor (0.3 kg, 0.5 m, 16 N m): that is far from all bodies on which the networks were trained, and
#    up to ten steps do not help. Least squares has no such limits: a law holds outside the range of the examples.
# 5. Long, with a weak motor (1.8 m, 6 N m): it needs so many swings that it is upright for a quarter of the eight seconds. No model can
#    help there. Nor does it help to plan 24 steps ahead in place of 12: with the same 128 random plans that makes it 9 %, since among
#    longer random plans good ones are rarer.
# </details>

# %% [markdown]
# PIECES FOR THE FRAME: not a cell of the lesson
#
# Answer to the third bet:
#
# Both as well as the true model, and so **least squares wins**: it needs no training. It loses its lead on bodies with a spring and a dead
# zone, of which its law knows nothing: there a network that was meta-trained on such bodies is ahead by 4.0 after three steps (median of 45
# bodies, 1.4 to 7.1). And if it may take hundreds of steps in place of three, an ordinary network that learns from scratch is not far
# behind, on all bodies.
#
# What you should have seen, of part (b):
#
# - One function for all bodies, which believes that motors do nothing, and one gradient step that gives every motor its sign.
# - Twenty shakes, three steps, and a pendulum that swings up as with the true model.
# - Least squares with the law known, which is exact and needs no training; and a network from scratch that comes close in 500 steps.
# - A spring and a dead zone that are not in the law, and a network that has met such bodies and is ahead.
# - A body far from all others that breaks every network, and not the law.
#
# Summary:
#
# 5. A body that changes: $\hat s_{t+1} = s_t + f_\varphi(s_t, u_t)$ with $\varphi = \theta - \alpha\nabla L(\theta)$, three times, on
#    twenty shakes; then the first control of the cheapest of 128 plans, again and again. Least squares on $\Delta\omega =
#    a\int\sin\theta\,dt - \beta\Delta\theta + cu\Delta t$ is as good as the true model while that is the law, and MAML is ahead of it once
#    the law lacks something that MAML has seen.
#
# Further reading:
#
# - Nagabandi, Clavera, Liu, Fearing, Abbeel, Levine & Finn (2019), *Learning to adapt in dynamic, real-world environments through
#   meta-reinforcement learning*, arXiv 1803.11347: part (b) with simulated bodies and a real robot on legs, one of them lost; also with a
#   recurrent network in place of gradient steps.
#
# A question:
#
# **3.** Before its first step MAML's network is one function, too: on average over states it predicts an effect of 0.01 rad/s of the
# control, for every body. Where, then, is what meta-training has taught it about motors?
#
# <details><summary>A · In its predictions: they are better than those of the pretrained network.</summary>
# No. Before any step both have about the same error, and both are of no use for control.
# </details>
# <details><summary>B · In its slope: a step on twenty shakes moves the effect of the control to where it belongs.</summary>
# Right. $\nabla L(\theta)$ depends on the shakes, and meta-training has arranged θ so that this gradient, times α, turns the effect of the
# control to one side or to the other. The pretrained network also has a slope, but nobody has asked where it leads.
# </details>
# <details><summary>C · In the inner rate, which was learned, too.</summary>
# Part of it; but a rate is one number and says nothing of motors. The pretrained network could choose among nine rules and rates, and still needs
# hundreds of steps.
# </details>
