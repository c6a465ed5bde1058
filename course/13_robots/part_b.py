# %% [markdown]
# # Part (b): a body that changes
#
# A robot that has lost a leg, or carries a load, moves as it never has before. It cannot be trained again for hours, but it can
# move about for two seconds and see what happens. Nagabandi and others (2019) had a legged robot do that. Here it is a
# pendulum: a mass $m$ on a rod of length $l$, turned by a motor at the pivot. θ in this part is its angle, 0 upright and π hanging; ω is how fast
# it turns:
#
# $$\frac{d\theta}{dt} = \omega, \qquad m\,l^2\,\frac{d\omega}{dt} = m\,g\,l\,\sin\theta - b\,\omega + \sigma\,q\,u .$$
#
# The control $u$ is between −1 and 1 and is held for 0.1 s. **A task is a body**: mass 0.5 to 1.5 kg, length 0.7 to 1.3 m, friction $b$ up to
# 0.5, motor $q$ from 8 to 12 N m, and a sign σ. A coin decides whether the motor is connected the right way round. (The
# network's parameters are called `network` here, since θ is taken.)
#
# The support set is twenty **transitions**: a random state, a random control, and what came of it 0.1 s later. A network is to predict
# that: from (cos θ, sin θ, ω/6, $u$) the changes of θ and ω.

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
# The same control turns one body to one side and the other to the other side. Now train two networks on 2,000 batches of 16 bodies: by MAML, with
# three inner steps and an inner rate that is learned with the network (chapter 06), and in the ordinary way.


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
# Chapter 03 said what pretraining learns: the average task. Gravity acts alike on all bodies, more or less. But for every body there is one with the
# opposite sign, so **the average effect of the control is nothing**. Measure it: half the difference between what is predicted for
# $u = 1$ and for $u = -1$, on average over states. First what adapts the networks. Each body gets its own copy of the weights, and
# all copies take their steps together; the sum of the losses has the gradient of each loss in its own copy.


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


models = {"truth": lambda s, u: step(s, u, bodies), "pretrained": network_model(adapted(pretrained, test, 0.0, 0))}  # fmt: skip
for k in (0, 1, 3):
    models[f"MAML, {k} steps"] = network_model(adapted(meta_trained, test, rate, k))
print("effect of the control on the first six bodies")
for name, model in models.items():
    print(f"{name:14}", np.round(effect_of_control(model, test)[:6], 2) + 0.0)

# %% [markdown]
# The pretrained network predicts next to no effect: for it a motor is a thing that does nothing, and so it would be for *any* single
# function. MAML's network believes the same before its first step. (It is one function, too.) The difference is where the first step
# leads: twenty transitions, one step, and every sign is right.
#
# ## Who knows the law
#
# The opponent was told the two equations. Integrate the second one over 0.1 s and divide by $m l^2$:
#
# $$\Delta\omega = a\int\!\sin\theta\,dt \;-\; \beta\,\Delta\theta \;+\; c\,u\,\Delta t,
# \qquad a = \frac gl,\quad \beta = \frac{b}{ml^2},\quad c = \frac{\sigma q}{ml^2} ,$$
#
# for $\int\omega\,dt = \Delta\theta$. That is **linear in three unknown numbers**, and there are twenty equations. Least squares solves them; the
# integral is Simpson's rule. (A mass by itself cannot be told from such data, nor need it be.)

# %%
show_source(fit_law)

# %%
law = fit_law(test.support_x, test.support_y)
print("length, true:   ", np.round(bodies.length[:6], 4))
print("length, fitted: ", np.round(law.length[:6], 4))

# %% [markdown]
# ## To control with a model
#
# What is a model good for? To choose. **Model-predictive control** draws 128 random plans of 12 controls, asks the model what each would lead to,
# adds up the cost $1 - \cos\theta + 0.01\,\omega^2 + 0.001\,u^2$ (0 upright at rest), and takes the cheapest. It executes **the first control only**. Then
# it looks where the body really is, and plans again. So the model has to be right for 1.2 s, and its errors never add up for longer.


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
# The library's `plan` and `drive` do the same and keep the path:


# %%
def driven(model, bodies, seed=0):
    rng = np.random.default_rng((3, seed))  # the same random plans for every model
    return drive(lambda state: plan(model, state, rng)[:, 0], bodies)


own = drive_with(models["truth"], bodies, np.random.default_rng((3, 0)))
print("the same returns:", np.allclose(own, driven(models["truth"], bodies).returns))

# %% [markdown]
# Now all models drive the same fifteen bodies with the same random plans. The pretrained network may have whatever suits it: of SGD and
# Adam, nine rates and up to 1,000 steps, the best on thirty validation bodies
# ([benchmarks/reproduce/pendulum.py](../benchmarks/reproduce/pendulum.py)). It is 500 steps of Adam.


# %%
def table(models, bodies, batch):
    print(f"{'medians of fifteen bodies':26} error   return  upright")
    state, control = states_of(batch.query_x)
    for name, model in models.items():
        wrong = ((outputs(state, model(state, control)) - batch.query_y) ** 2).mean((1, 2))
        done = driven(model, bodies)
        values = np.median(wrong), np.median(done.returns), np.median(done.upright)
        print("{:26} {:.4f} {:8.1f} {:6.0%}".format(name, *values))


models = {"true model": models["truth"], "least squares, law known": lambda s, u: step(s, u, law)}
for k in (0, 1, 3, 10):
    name = f"MAML, {k} step{'s' * (k != 1)}"
    models[name] = network_model(adapted(meta_trained, test, rate, k))
models["pretrained, 3 steps"] = network_model(adapted(pretrained, test, 0.3, 3))
slowly = adapted(pretrained, test, 0.03, 500, torch.optim.Adam)
models["pretrained, 500 of Adam"] = network_model(slowly)
table(models, bodies, test)

# %% [markdown]
# TEXT_TABLE_1
#
# ## Take the physics away
#
# The law above has no springs in it. Hang one onto the mass: a rubber band to a nail at the height of the pivot, which pulls only when it is
# longer than the rod. And let the motor have a **dead zone**: a control up to 0.3 does nothing. Least squares fits its three numbers to this
# body as well as it can. Nobody tells the networks, either. But MAML can be trained again, on *such* bodies, and never needs to be told what is
# special about them.

# %%
strange = {"spring": 8.0, "dead_zone": 0.3}
trained_on_strange, strange_rate = learn(inner_steps=3, **strange)
draws, family = np.random.default_rng((1, 0)), Pendulum(20, queries=200, **strange)
robots = family.draw_bodies(draws, 15)  # the same masses, lengths, … as before
shaken = family.sample_from(draws, robots)
bent = fit_law(shaken.support_x, shaken.support_y)
models = {"true model": lambda s, u: step(s, u, robots), "least squares, law known": lambda s, u: step(s, u, bent)}  # fmt: skip
for k in (3, 10):
    models[f"MAML on usual bodies, {k}"] = network_model(adapted(meta_trained, shaken, rate, k))
    models[f"MAML on such bodies, {k}"] = network_model(
        adapted(trained_on_strange, shaken, strange_rate, k)
    )
table(models, robots, shaken)

# %% [markdown]
# TEXT_TABLE_2
#
# ## Break the robot
#
# TEXT_FIGURE

# %%
break_the_robot(
    {
        "MAML": (meta_trained.arrays(), rate),
        "MAML that has seen springs": (trained_on_strange.arrays(), strange_rate),
        "pretrained network": (pretrained.arrays(), 0.3),
    }
)
