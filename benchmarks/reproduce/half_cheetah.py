"""MuJoCo's HalfCheetah, forward or backward: a policy that learns from trajectories which way to run.

    python benchmarks/reproduce/half_cheetah.py --help

A task is a direction. The policy sees the body, not the direction; only rewards tell it: velocity in the direction
minus 0.05 ‖action‖². Each method is trained, and then tested after 0 to 3 steps of policy gradient, with the rates
of the original code and with rates of its own. That is section 5.3 of Finn et al. (2017) with the settings of their
code (github.com/cbfinn/maml_rl), except for four things:

- outer steps by Adam, where the original has TRPO; tanh, where it has ReLU;
- the policy sees 17 numbers; there also the centre of mass, three numbers;
- velocity is that of the torso over a step; there that of the centre of mass after it;
- today's MuJoCo. The body is the same, value by value: gymnasium's half_cheetah.xml.

With --runs an interrupted run (Ctrl-C) goes on where it stopped. Without --iterations and the like the settings are
the published ones, 320,000 steps of simulation for each iteration: see docs/results.md for what that takes.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.func import functional_call

import maml_edu.pytorch as mt
from maml_edu.pytorch.policy import Policy, PolicyGradient, returns_after
from maml_edu.tasks import TaskBatch
from maml_edu.tasks.navigation import Trajectories

METHODS = {
    "MAML": {},
    "FOMAML": {"first_order": True},
    "pretrained": {"inner_steps": 0},
    "untrained": {},
}
# After 0 to 3 steps; means of the files icml/icml_cheetahdirec_results_*.pkl of github.com/cbfinn/maml_rl.
PUBLISHED = {
    "MAML": (-50.69, 293.19, 313.48, 315.65),
    "pretrained": (-43.03, -24.75, -12.85, 19.57),
    "untrained": (-35.73, 21.83, 62.32, 86.18),
}
RATES = {"pretrained": 0.2, "untrained": 0.5}  # of the first step in the original test
TRIED = (0.05, 0.1, 0.2, 0.5, 1.0)
VALIDATION, TEST = 2, 1  # seeds of directions and noise
POSITIONS, SEES, MOTORS = 9, 17, 6  # of nine coordinates the first, how far it has run, is not seen
STARTS = 2 * POSITIONS // MOTORS  # rows of noise that say where a trajectory starts
CONTROL_COST = 0.05


# ------------------------------------------------------------------ the world


def mujoco():
    """(the module mujoco, the file of the body); SystemExit with what to do where they are not installed."""
    try:
        import gymnasium
        import mujoco
        import mujoco.rollout
    except ImportError as error:
        raise SystemExit(
            f"half_cheetah.py simulates a body with MuJoCo, and that cannot be imported here ({error}): "
            f'pip install "maml_edu[mujoco]", in a clone pip install -e ".[mujoco]"'
        ) from error
    return mujoco, Path(gymnasium.__file__).parent / "envs/mujoco/assets/half_cheetah.xml"


class Simulator:
    """Many half-cheetahs at once. A state is (time, 9 positions, 9 velocities); a step takes 0.01 s.

    What follows from a state and an action is a function of these alone, on any number of threads.
    """

    def __init__(self, threads=1):
        module, body = mujoco()
        warn = module.get_mju_user_warning()
        module.set_mju_user_warning(lambda text: None)  # the file has an attribute out of use
        self.model = module.MjModel.from_xml_path(str(body))
        module.set_mju_user_warning(warn)
        self.pool = module.rollout.Rollout(nthread=threads if threads > 1 else 0)
        self.data = [module.MjData(self.model) for _ in range(threads)]

    def start(self, noise):
        """States from standard normal numbers (…, 18): at rest but for a little noise, as published.

        Time begins at 1 s: a body that MuJoCo has to set back, it sets to 0, which `step` looks for.
        """
        at, speeds = np.split(noise.reshape(-1, 2 * POSITIONS).astype(float), 2, axis=1)
        positions = self.model.qpos0 + 0.01 * at
        return np.concatenate([np.ones((len(at), 1)), positions, 0.1 * speeds], axis=1)

    def step(self, states, actions):
        """(states after one step, velocities in m/s), of states (bodies, 19) and actions (bodies, 6) in −1 … 1.

        Raises FloatingPointError for actions or bodies that have left the numbers.
        """
        if not np.isfinite(actions).all():
            raise FloatingPointError(
                "the policy's actions contain NaN or infinity: training has diverged, or a rate of the test "
                "is too large. Try smaller ones: --meta-lr, --inner-lr, --tried."
            )
        control = actions.astype(float)[:, None]  # (bodies, 1 step, motors)
        after, _ = self.pool.rollout(self.model, self.data, states, control)
        after, dt = after[:, 0], self.model.opt.timestep
        if not (np.isfinite(after).all() and (after[:, 0] > states[:, 0] + dt / 2).all()):
            raise FloatingPointError(
                "MuJoCo has lost a body: its state became so large that it was set back to the start."
            )
        return after, (after[:, 1] - states[:, 1]) / dt


class HalfCheetah:
    """Forward (1) or backward (−1), half of the tasks each on average: the family that `meta_train` draws from.

    trajectories: how often a policy runs in each direction. horizon: steps of a trajectory, 0.01 s each.
    """

    def __init__(self, trajectories=20, horizon=200):
        self.trajectories, self.horizon = trajectories, horizon

    def draw_goals(self, rng, tasks):
        """Directions of new tasks, (tasks, 1)."""
        return rng.choice([-1.0, 1.0], (tasks, 1))

    def draw_noise(self, rng, tasks):
        """Standard normal numbers (tasks, trajectories, 3 + horizon, 6): three rows are for the start."""
        return rng.standard_normal((tasks, self.trajectories, STARTS + self.horizon, MOTORS))

    def sample(self, rng, tasks):
        """New tasks: x is the noise, y the direction, once for each trajectory, (tasks, trajectories, 1)."""
        goals = np.repeat(self.draw_goals(rng, tasks)[:, None], self.trajectories, axis=1)
        return TaskBatch(self.draw_noise(rng, tasks), goals, self.draw_noise(rng, tasks), goals)

    def __repr__(self):
        return f"HalfCheetah(trajectories={self.trajectories}, horizon={self.horizon})"


class CheetahGradient(PolicyGradient):
    """`PolicyGradient` whose trajectories come from the simulator. Nothing else differs."""

    def __init__(self, policy, simulator, **options):
        super().__init__(policy, **options)
        self.simulator = simulator

    @torch.no_grad()
    def walk(self, phi, noise, goals):
        """What each task's policy sees, does and earns, (tasks, trajectories, horizon, …); all steps are alive."""
        states = self.simulator.start(noise[..., :STARTS, :].numpy())
        sees, does, speeds = [], [], []
        for shock in noise[..., STARTS:, :].unbind(dim=-2):  # (tasks, trajectories, 6)
            seen = torch.as_tensor(states[:, 2:], dtype=noise.dtype).view(*shock.shape[:-1], SEES)
            mean, log_std = functional_call(self.model, phi, (seen,))
            action = mean + log_std.exp() * shock
            states, speed = self.simulator.step(
                states, action.clamp(-1, 1).view(-1, MOTORS).numpy()
            )
            sees.append(seen)
            does.append(action)
            speeds.append(torch.as_tensor(speed, dtype=noise.dtype).view(shock.shape[:-1]))
        actions = torch.stack(does, dim=-2)
        cost = CONTROL_COST * (actions.clamp(-1, 1) ** 2).sum(dim=-1)
        rewards = goals * torch.stack(speeds, dim=-1) - cost  # (tasks, trajectories, horizon)
        alive = torch.ones_like(rewards, dtype=torch.bool)
        return Trajectories(torch.stack(sees, dim=-2), actions, rewards, alive)


# ------------------------------------------------------------------ training and test


def learner_for(method, options):
    """A policy whose first weights depend on the seed alone. A task at a time fits into a CPU's cache.

    The weights are uniform in ±√(6 / (inputs + outputs)) (Glorot and Bengio 2010), as in the original code: with
    PyTorch's own, which are smaller, a step of the same rate changes much less.
    """
    torch.manual_seed(options.seed)
    policy = Policy(options.hidden, options.log_std, SEES, MOTORS)
    for weight in policy.weights:
        torch.nn.init.xavier_uniform_(weight)
    how = {"inner_lr": options.inner_lr, "engine": "textbook", **METHODS[method]}
    return CheetahGradient(policy, Simulator(options.threads), **how)


def trained(learner, family, method, options):
    """Trains, prints what it took and the returns on the way; SystemExit if Ctrl-C has stopped it."""
    folder = options.runs and options.runs / f"{method}-{options.seed}"
    how = {"meta_batch": options.goals, "meta_lr": options.meta_lr, "seed": options.seed}
    how |= {"schedule": ("cosine", 0.1), "clip": 1, "checkpoint": folder, "checkpoint_every": 10}
    began, before = time.perf_counter(), time.process_time()
    history = mt.meta_train(learner, family, options.iterations, device="cpu", **how)
    if history.interrupted:
        raise SystemExit(
            "Stopped before the test: the same command goes on."
            if folder
            else "Stopped before the test, and nothing is kept: with --runs a run can go on."
        )
    wall, cpu = time.perf_counter() - began, time.process_time() - before
    print(f"{method}, seed {options.seed}: {wall:.0f} s, {cpu:.0f} s of CPU, this call")
    for first, returns in blocks(-np.array(history.loss)):
        print(f"  iterations from {first}: mean return of φ in training {returns.mean():.1f}")


def blocks(returns, parts=10):
    """[(number of its first iteration, returns)] of at most so many parts of a run."""
    edges = np.unique(np.linspace(0, len(returns), min(parts, len(returns)) + 1).astype(int))
    return [(a + 1, returns[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def halved(rate):
    """Rates of three steps: the later ones are half of the first, as in the original test."""
    return rate, rate / 2, rate / 2


def best_rate(learner, family, options):
    """Of the rates tried, that with the best mean return after three steps, in trajectories of their own."""

    def score(rate):
        try:
            result = returns_after(learner, family, halved(rate), options.episodes, VALIDATION)
        except FloatingPointError:  # policies that have left the numbers
            return -np.inf
        return result.mean[-1]

    return max(options.tried, key=score)


def row(method, name, result, directions):
    """A line of the table: mean returns after 0 to 3 steps, and in brackets those forward and backward."""
    cells = [method, name]
    for step, mean in enumerate(result.mean):
        ways = [result.values[directions == way, step] for way in (1, -1)]
        ways = " / ".join(f"{part.mean():.1f}" if len(part) else "none" for part in ways)
        cells.append(f"{mean:.1f} ({ways})")
    return f"| {' | '.join(cells)} |".replace("-", "−")


def tested(learner, family, method, options):
    """Prints a line for the original test's rate, one for its own, and what was published of so long runs.

    The original tests MAML at the rate of its training, and each other method at one of its own.
    """
    rate, own = RATES.get(method, options.inner_lr), best_rate(learner, family, options)
    directions = family.draw_goals(np.random.default_rng(TEST), options.episodes)[:, 0]
    for name, first in ((f"{rate:g}", rate), (f"its own, {own:g}", own)):
        result = returns_after(learner, family, halved(first), options.episodes, TEST)
        print(row(method, name, result, directions), flush=True)
    if method in PUBLISHED and options.horizon == 200:
        cells = " | ".join(map(str, PUBLISHED[method])).replace("-", "−")
        print(f"| *{method}, published* | {RATES.get(method, 0.1)} | {cells} |", flush=True)


def arguments():
    """What the command takes; the defaults are the published settings."""
    whole = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=whole)
    add = parser.add_argument
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="all four by default")
    add("--iterations", type=at_least(1), default=100, help="outer steps (100)")
    add("--goals", type=at_least(1), default=40, help="directions in each outer step (40)")
    add("--trajectories", type=at_least(2), default=20, help="runs in each direction (20)")
    add("--horizon", type=at_least(1), default=200, help="steps of a trajectory, 0.01 s each (200)")
    add("--episodes", type=at_least(2), default=40, help="directions in the test (40)")
    add("--seed", type=int, default=0, help="of first weights and of training tasks (0)")
    add("--hidden", type=at_least(1), nargs="+", default=(100, 100), help="layers of the policy")
    add("--log-std", type=float, default=0.0, help="log σ of the first actions (0)")
    add("--inner-lr", type=float, default=0.1, help="α in training (0.1)")
    add("--meta-lr", type=float, default=0.001, help="of Adam, falling to a tenth (0.001)")
    add("--tried", type=float, nargs="+", default=TRIED, help="rates to choose a method's own from")
    add("--threads", type=at_least(1), default=1, help="threads that simulate (1)")
    add("--runs", type=Path, help="a folder for checkpoints: a later call goes on from them")
    return parser.parse_args()


def at_least(smallest):
    """A type for argparse: a whole number that is not smaller."""

    def number(text):
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number ≥ {smallest}")
        return int(text)

    return number


def main():
    options = arguments()
    torch.set_num_threads(1)
    family = HalfCheetah(options.trajectories, options.horizon)
    for method in options.methods:
        learner = learner_for(method, options)
        try:
            if method != "untrained":
                trained(learner, family, method, options)
            tested(learner, family, method, options)
        except (FloatingPointError, mt.TrainingDiverged) as error:
            raise SystemExit(f"{method}: {error}") from error


if __name__ == "__main__":
    main()
