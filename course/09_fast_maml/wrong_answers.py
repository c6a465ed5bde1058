"""Wrong answers that learners give to the exercises of chapter 09, each caught by its words; unusual right ones."""

import math

import numpy as np
import torch
from torch.func import grad, vjp

from maml_edu.checks.exercise import right_answer, wrong_answer

# ---------------------------------------------------------------- 09.1


def one_step(theta, x, y, inner_lr, over, two=2):
    """One step of all tasks, the mean over shots taken as a sum over them divided by `over`."""
    return theta - inner_lr * two / over * np.einsum("tni,tn->ti", x, x @ theta - y)


@wrong_answer("09.adapt_all", says="one φ for all tasks: the sum runs over tasks too")
def all_tasks_in_one_sum(theta, support_x, support_y, inner_lr):
    x, y = support_x.reshape(-1, len(theta)), support_y.reshape(-1)
    return theta - inner_lr * 2 / len(y) * x.T @ (x @ theta - y)


@wrong_answer("09.adapt_all", says="you divide by the number of tasks")
def length_of_the_batch(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, len(support_y))


@wrong_answer("09.adapt_all", says="divide by all examples of all tasks")
def size_of_the_batch(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, support_y.size)


@wrong_answer("09.adapt_all", says="the mean over shots is missing")
def sum_for_mean(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, 1)


@wrong_answer("09.adapt_all", says="you divide by the number of inputs")
def last_axis_of_x(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, support_x.shape[2])


@wrong_answer("09.adapt_all", says="the 2 of the derivative")
def half_the_slope(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, support_y.shape[1], two=1)


@wrong_answer("09.adapt_all", says="inner_lr is missing")
def no_rate_at_all(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, 1.0, support_y.shape[1])


@wrong_answer("09.adapt_all", says="the step goes uphill")
def uphill(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, -inner_lr, support_y.shape[1])


@wrong_answer("09.adapt_all", says="these are the slopes")
def slopes_only(theta, support_x, support_y, inner_lr):
    return theta - one_step(theta, support_x, support_y, 1.0, support_y.shape[1])


@wrong_answer("09.adapt_all", says="θ is missing")
def the_step_alone(theta, support_x, support_y, inner_lr):
    return one_step(theta, support_x, support_y, inner_lr, support_y.shape[1]) - theta


@wrong_answer("09.adapt_all", says="the tasks are chained")
def goes_on_from_the_last(theta, support_x, support_y, inner_lr):
    adapted = []
    for x, y in zip(support_x, support_y, strict=True):
        theta = theta - inner_lr * 2 / len(y) * x.T @ (x @ theta - y)
        adapted.append(theta)
    return np.stack(adapted)


# ---------------------------------------------------------------- 09.2


def places(rounds, risk=0.025):
    """k, by adding up terms."""
    total, k = 0.0, 0
    while total + math.comb(rounds, k) / 2**rounds <= risk:
        total += math.comb(rounds, k) / 2**rounds
        k += 1
    return k


def report(ratios, middle=None, k=None, high_k=None):
    ordered, k = sorted(ratios), k or places(len(ratios))
    low, high = float(ordered[k - 1]), float(ordered[-(high_k or k)])
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return float(np.median(ratios) if middle is None else middle), low, high, verdict


@wrong_answer("09.compare_in_rounds", says="the ratio of the two medians")
def ratio_of_medians(old, new):
    return report(old / new, np.median(old) / np.median(new))


@wrong_answer("09.compare_in_rounds", says="the ratio of the means")
def ratio_of_totals(old, new):
    return report(old / new, old.sum() / new.sum())


@wrong_answer("09.compare_in_rounds", says="the mean of the ratios")
def mean_of_ratios(old, new):
    return report(old / new, np.mean(old / new))


@wrong_answer("09.compare_in_rounds", says="the best round of each")
def best_of_each(old, new):
    return report(old / new, old.min() / new.min())


@wrong_answer("09.compare_in_rounds", says="the ratios are inverted: a speed-up")
def new_over_old_throughout(old, new):
    return report(new / old)


@wrong_answer("09.compare_in_rounds", says="the range of single rounds")
def range_of_rounds(old, new):
    return report(old / new, k=1)


@wrong_answer("09.compare_in_rounds", says="k is the lesson's 4")
def always_the_fourth(old, new):
    return report(old / new, k=min(4, len(old) // 2))


@wrong_answer("09.compare_in_rounds", says="one ratio too far inside")
def counts_from_zero(old, new):
    return report(old / new, k=places(len(old)) + 1)


@wrong_answer(
    "09.compare_in_rounds", says="either k counts the term that passes 0.025, or the index"
)
def counts_the_crossing_term(old, new):
    total, k = 0.0, 0
    while total <= 0.025:
        total += math.comb(len(old), k) / 2 ** len(old)
        k += 1
    return report(old / new, k=k)


@wrong_answer("09.compare_in_rounds", says="one ratio too far outside: either k is one too small")
def one_place_outwards(old, new):
    n, k, ordered = len(old), places(len(old)), np.sort(old / new)
    low, high = float(ordered[k - 2]), float(ordered[n - k + 1])
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return float(np.median(ordered)), low, high, verdict


@wrong_answer("09.compare_in_rounds", says="the geometric mean of the ratios")
def geometric_mean(old, new):
    return report(old / new, np.exp(np.mean(np.log(old / new))))


@wrong_answer("09.compare_in_rounds", says="the upper one of the two middle ratios")
def upper_median(old, new):
    return report(old / new, np.sort(old / new)[len(old) // 2])


@wrong_answer("09.compare_in_rounds", says="the lower one of the two middle ratios")
def lower_median(old, new):
    return report(old / new, np.sort(old / new)[(len(old) - 1) // 2])


@wrong_answer("09.compare_in_rounds", says="the speed-up leaves out the first round")
def warms_up(old, new):
    return report((old / new)[1:])


@wrong_answer("09.compare_in_rounds", says="low and high leave out the first round")
def warms_up_the_interval(old, new):
    return report((old / new)[1:], np.median(old / new))


@wrong_answer("09.compare_in_rounds", says="less than 0.025 is allowed on each side")
def a_fifth_of_the_risk(old, new):
    return report(old / new, k=places(len(old), risk=0.005))


@wrong_answer("09.compare_in_rounds", says='high above 1 is not enough for "new"')
def looks_at_high_only(old, new):
    middle, low, high, _ = report(old / new)
    return middle, low, high, "new" if high > 1 else "old"


@wrong_answer("09.compare_in_rounds", says='low below 1 is not enough for "old"')
def looks_at_low_only(old, new):
    middle, low, high, _ = report(old / new)
    return middle, low, high, "new" if low > 1 else "old"


@wrong_answer("09.compare_in_rounds", says="0.05 is allowed on each side")
def twice_the_risk(old, new):
    return report(old / new, k=places(len(old), risk=0.05))


@wrong_answer("09.compare_in_rounds", says="k heads alone are judged")
def one_term_of_the_sum(old, new):
    k = 0
    while math.comb(len(old), k) / 2 ** len(old) <= 0.025:
        k += 1
    return report(old / new, k=k)


@wrong_answer("09.compare_in_rounds", says="k is one too small (when at most h heads")
def as_many_heads_as_are_rare(old, new):
    return report(old / new, k=places(len(old)) - 1)


@wrong_answer("09.compare_in_rounds", says="low is right, high is one place too far outside")
def minus_k_plus_one(old, new):
    return report(old / new, high_k=places(len(old)) - 1)


@wrong_answer("09.compare_in_rounds", says="high is right, low is one place too far inside")
def low_counts_from_zero(old, new):
    k = places(len(old))
    return report(old / new, k=k + 1, high_k=k)


@wrong_answer("09.compare_in_rounds", says="low and high are exchanged")
def high_first(old, new):
    middle, low, high, verdict = report(old / new)
    return middle, high, low, verdict


@wrong_answer("09.compare_in_rounds", says="where single rounds lie")
def percentiles_of_rounds(old, new):
    low, high = np.percentile(old / new, [2.5, 97.5])
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return float(np.median(old / new)), low, high, verdict


@wrong_answer("09.compare_in_rounds", says="median ± 1.96 standard errors")
def normal_around_the_median(old, new):
    middle, half = np.median(old / new), 1.96 * np.std(old / new) / len(old) ** 0.5
    low, high = middle - half, middle + half
    return middle, low, high, "new" if low > 1 else "old" if high < 1 else "open"


@wrong_answer("09.compare_in_rounds", says="the verdict asks whether all single rounds agree")
def unanimous(old, new):
    middle, low, high, _ = report(old / new)
    return middle, low, high, report(old / new, k=1)[3]


@wrong_answer("09.compare_in_rounds", says="the verdict is never open")
def verdict_of_the_median(old, new):
    middle, low, high, _ = report(old / new)
    return middle, low, high, "new" if middle > 1 else "old"


@wrong_answer("09.compare_in_rounds", says="the verdict names the slower one")
def names_the_slower(old, new):
    *numbers, verdict = report(old / new)
    return (*numbers, {"new": "old", "old": "new", "open": "open"}[verdict])


@wrong_answer("09.compare_in_rounds", says="the times are sorted before they are divided")
def tears_rounds_apart(old, new):
    return report(np.sort(old) / np.sort(new))


@wrong_answer("09.compare_in_rounds", says="mean ± 1.96 standard errors")
def a_normal_interval(old, new):
    ratios = old / new
    half = 1.96 * np.std(ratios, ddof=1) / len(ratios) ** 0.5
    low, high = float(np.mean(ratios) - half), float(np.mean(ratios) + half)
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return float(np.median(ratios)), low, high, verdict


# ---------------------------------------------------------------- 09.3


def summed(means, weights):
    """Each mean that is there times its weight, added up."""
    there = [(w, m) for w, m in zip(weights, means, strict=True) if w]
    return {name: sum(w * m[name] for w, m in there) for name in means[0]}


@wrong_answer("09.all_reduce", says="the mean of the means: it counts")
def mean_of_means(means, counts):
    busy = sum(n > 0 for n in counts)
    return summed(means, [(n > 0) / busy for n in counts])


@wrong_answer("09.all_reduce", says="counts the tasks of a small share more")
def plain_mean_of_means(means, counts):
    return {name: np.mean([mean[name] for mean in means], axis=0) for name in means[0]}


@wrong_answer(
    "09.all_reduce", says="you divide by the number of processes (or of those with tasks)"
)
def mean_of_sums_with_nan(means, counts):
    pairs = list(zip(means, counts, strict=True))
    return {name: np.mean([n * mean[name] for mean, n in pairs], axis=0) for name in means[0]}


@wrong_answer("09.all_reduce", says="each mean is divided by its number of tasks")
def divided_once_more(means, counts):
    return summed(means, [1 / n if n else 0.0 for n in counts])


@wrong_answer("09.all_reduce", says="those of processes without tasks taken for zero")
def zeros_in_the_mean(means, counts):
    return {
        name: np.nansum([mean[name] for mean in means], axis=0) / len(means) for name in means[0]
    }


@wrong_answer("09.all_reduce", says="makes everything NaN")
def nothing_times_nan(means, counts):
    pairs = list(zip(means, counts, strict=True))
    return {name: sum(n * mean[name] for mean, n in pairs) / sum(counts) for name in means[0]}


@wrong_answer("09.all_reduce", says="this is the sum of the means")
def sum_of_means(means, counts):
    return {name: np.nansum([mean[name] for mean in means], axis=0) for name in means[0]}


@wrong_answer("09.all_reduce", says="this is the sum over tasks")
def undivided(means, counts):
    return summed(means, counts)


@wrong_answer("09.all_reduce", says="you divide by the number of processes (or")
def by_processes(means, counts):
    return summed(means, [n / len(counts) for n in counts])


@wrong_answer("09.all_reduce", says="the weights are upside down")
def by_inverse_counts(means, counts):
    inverse = [1 / n if n else 0.0 for n in counts]
    return summed(means, [w / sum(inverse) for w in inverse])


@wrong_answer("09.all_reduce", says="the weights are squared")
def weighed_twice(means, counts):
    return summed(means, [n * n / sum(m * m for m in counts) for n in counts])


@wrong_answer("09.all_reduce", says="the first process's gradient alone")
def nobody_communicates(means, counts):
    return means[0]


@wrong_answer("09.all_reduce", says="the gradient of the largest share alone")
def the_largest_decides(means, counts):
    return means[int(np.argmax(counts))]


# ---------------------------------------------------------------- 09.4


def law(K, P, S, Q):
    return [K * (S + P) + Q, K * P + max(S, Q), max(K * P + Q, (K - 1) * P + S)]


def but(values, **others):
    """The law's three numbers with some replaced: recorded, walked, thrifty."""
    return tuple(
        others.get(n, v) for n, v in zip(("recorded", "walked", "thrifty"), values, strict=True)
    )


@wrong_answer("09.memory_law", says="the recorded loop keeps φ₁ … φ_K, too")
def graphs_hang_on_nothing(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=K * S + Q)


@wrong_answer("09.memory_law", says="each graph hangs on the parameters at which it is built")
def wrong_twice(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=K * S + Q, thrifty=K * P + max(S, Q))


@wrong_answer("09.memory_law", says="θ is there anyway")
def theta_hangs_on_the_first(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=K * S + Q + (K + 1) * P)


@wrong_answer("09.memory_law", says="both graphs are counted")
def sum_for_max(K, P, S, Q):
    return but(law(K, P, S, Q), walked=K * P + S + Q)


@wrong_answer("09.memory_law", says="the query loss has a graph, too")
def no_query_graph(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=K * (S + P))


@wrong_answer("09.memory_law", says="the query's graph is counted once per inner step")
def query_at_every_step(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=K * (S + P + Q))


@wrong_answer("09.memory_law", says="one inner step too many: its last graph is the query's")
def all_graphs_alike(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=(K + 1) * (S + P))


@wrong_answer("09.memory_law", says="one inner step too many: K steps have K graphs")
def counts_the_places(K, P, S, Q):
    return but(law(K, P, S, Q), recorded=(K + 1) * (S + P) + Q)


@wrong_answer("09.memory_law", says="the smaller graph is taken in the back-walk")
def min_for_max(K, P, S, Q):
    return law(K, P, S, Q)[0], K * P + min(S, Q), min(K * P + Q, (K - 1) * P + S)


@wrong_answer("09.memory_law", says="the better of two moments is taken in the thrifty walk")
def the_best_moment(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=min(K * P + Q, (K - 1) * P + S))


@wrong_answer("09.memory_law", says="in the thrifty walk the smaller graph is taken")
def thrift_with_the_smaller(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=K * P + min(S, Q))


@wrong_answer("09.memory_law", says="one set too many beside the query's graph")
def one_more_at_the_query(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=max((K + 1) * P + Q, (K - 1) * P + S))


@wrong_answer("09.memory_law", says="the back-walk's one graph is missing")
def path_alone(K, P, S, Q):
    return but(law(K, P, S, Q), walked=K * P)


@wrong_answer("09.memory_law", says="one set too many: θ is there anyway, and v does not count")
def theta_or_v_counted(K, P, S, Q):
    return law(K, P, S, Q)[0], (K + 1) * P + max(S, Q), max((K + 1) * P + Q, K * P + S)


@wrong_answer("09.memory_law", says="one set too many")
def theta_counted_once(K, P, S, Q):
    return but(law(K, P, S, Q), walked=(K + 1) * P + max(S, Q))


@wrong_answer("09.memory_law", says="one set too few")
def counts_the_steps_between(K, P, S, Q):
    return but(law(K, P, S, Q), walked=(K - 1) * P + max(S, Q))


@wrong_answer("09.memory_law", says="the back-walk has the graph of the query loss, too")
def step_graph_only(K, P, S, Q):
    return but(law(K, P, S, Q), walked=K * P + S)


@wrong_answer("09.memory_law", says="nothing is saved in the thrifty walk")
def thrift_for_nothing(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=K * P + max(S, Q))


@wrong_answer("09.memory_law", says="φ_K is still there while the query's graph is")
def released_too_early(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=(K - 1) * P + max(S, Q))


@wrong_answer("09.memory_law", says="judged at the query loss only")
def the_query_only(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=K * P + Q)


@wrong_answer("09.memory_law", says="missing beside the last step's graph: earlier steps need them")
def the_step_stands_alone(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=max(K * P + Q, S))


@wrong_answer("09.memory_law", says="a set too few beside the last step's graph")
def releases_one_too_many(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=max(K * P + Q, (K - 2) * P + S))


@wrong_answer("09.memory_law", says="missing beside the query's graph: none is released before it")
def the_query_stands_alone(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=max(Q, (K - 1) * P + S))


@wrong_answer("09.memory_law", says="each stays until no later graph is built at it")
def thrift_keeps_no_set(K, P, S, Q):
    return but(law(K, P, S, Q), thrifty=max(Q, S))


@wrong_answer("09.memory_law", says="the back-walk's sets are missing beside the step's graph")
def walks_back_alone(K, P, S, Q):
    return but(law(K, P, S, Q), walked=max(K * P + Q, S))


@wrong_answer("09.memory_law", says="the back-walk's sets are missing beside the query's graph")
def walks_to_the_query_alone(K, P, S, Q):
    return but(law(K, P, S, Q), walked=max(Q, K * P + S))


@wrong_answer("09.memory_law", says="this is the thrifty walk")
def last_two_exchanged(K, P, S, Q):
    recorded, walked, thrifty = law(K, P, S, Q)
    return recorded, thrifty, walked


@wrong_answer("09.memory_law", says="should be made of whole numbers (int), not float")
def real_numbers(K, P, S, Q):
    return tuple(float(number) for number in law(K, P, S, Q))


@wrong_answer("09.memory_law", says="the recorded loop comes first")
def first_two_exchanged(K, P, S, Q):
    recorded, walked, thrifty = law(K, P, S, Q)
    return walked, recorded, thrifty


# ---------------------------------------------------------------- 09.5


def parts(tasks, operations, flops_per_task, start, peak, rest):
    """(starts of one program for all tasks, arithmetic of all tasks, rest)."""
    return operations * start, tasks * flops_per_task / peak, rest


@wrong_answer("09.predict_speed_up", says="the number of tasks is no speed-up")
def as_many_as_tasks(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    return float(tasks), (tasks * starts + arithmetic + rest) / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="divide flops by `peak`: it is flops per second")
def flops_times_peak(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = tasks * flops_per_task * peak
    loop = tasks * operations * start + arithmetic + rest
    return loop / (operations * start + arithmetic + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="Is all else lost in the arithmetic")
def peak_over_flops(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = tasks * peak / flops_per_task
    loop = tasks * operations * start + arithmetic + rest
    return loop / (operations * start + arithmetic + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="has the vectorised program the loop's starts")
def vectorises_nothing(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / loop, loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="one start in all")
def starts_once(tasks, operations, flops_per_task, start, peak, rest):
    starts, arithmetic, rest = parts(tasks, operations, flops_per_task, start, peak, rest)
    loop = tasks * starts + arithmetic + rest
    return loop / (start + arithmetic + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="`operations` is missing")
def a_start_for_each_task(tasks, operations, flops_per_task, start, peak, rest):
    _, arithmetic, rest = parts(tasks, operations, flops_per_task, start, peak, rest)
    loop = tasks * start + arithmetic + rest
    return loop / (start + arithmetic + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="the number of tasks is no limit")
def tasks_are_the_limit(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), float(tasks)


@wrong_answer("09.predict_speed_up", says="you leave `rest` out")
def forgets_amdahl(tasks, *machine):
    starts, arithmetic, _ = parts(tasks, *machine)
    loop = tasks * starts + arithmetic
    return loop / (starts + arithmetic), loop / arithmetic


@wrong_answer("09.predict_speed_up", says="is that of one task")
def arithmetic_for_free(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic / tasks + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="the speed-up is inverted")
def new_over_old(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return (starts + arithmetic + rest) / loop, (arithmetic + rest) / loop


@wrong_answer("09.predict_speed_up", says="the speed-up of the vectorised program comes first")
def limit_first(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (arithmetic + rest), loop / (starts + arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="the limit has only `rest` left")
def limit_without_arithmetic(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), loop / rest


@wrong_answer("09.predict_speed_up", says="the limit leaves `rest` out")
def limit_without_rest(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), loop / arithmetic


@wrong_answer("09.predict_speed_up", says="relative to the vectorised program")
def limit_from_the_second_rung(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    together = starts + arithmetic + rest
    return (tasks * starts + arithmetic + rest) / together, together / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="the limit is inverted")
def limit_upside_down(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), (arithmetic + rest) / loop


@wrong_answer("09.predict_speed_up", says="not of each")
def flops_of_each_operation(tasks, operations, flops_per_task, start, peak, rest):
    starts, arithmetic = operations * start, tasks * operations * flops_per_task / peak
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), loop / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="once per outer step, not once per task")
def rest_for_every_task(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    loop = tasks * (starts + rest) + arithmetic
    return loop / (starts + arithmetic + rest), loop / (arithmetic + rest)


# ---------------------------------------------------------------- 09.6


def walks(early=False, weighed=None, h=True, on_query=False, at=None, sign=1, end=0, late=False,
          overwrites=False, on_support=False, later_on_support=False, curve=None):  # fmt: skip
    """A walk back with a fault, a function like the answer. at: of which k the Hessian is taken.

    weighed(w): the weights that are used; late: dL/dα is taken with the query's gradient at φₖ in v;
    on_support: the gradients that join are the support loss's, later_on_support: those after the first;
    curve(slope, φ, v, the first v): for H v.
    """

    def walk(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
        K, weights = len(path) - 1, weighed(weights) if weighed else weights
        data = (query_x, query_y) if on_query else (support_x, support_y)
        joining, first = (support_x, support_y) if on_support else (query_x, query_y), None
        v, total = {name: torch.zeros_like(p) for name, p in path[0].items()}, 0.0
        for k in range(K, -1, -1):
            of = (support_x, support_y) if later_on_support and k < K else joining
            joins, before = grad(loss)(path[k], *of), v
            if early:
                v = {name: v[name] + weights[k] * joins[name] for name in v}
            if k < K and h and k >= end:
                curved = (curve or hessian_times_v)(
                    lambda p: grad(loss)(p, *data), path[at(k) if at else k], v, first
                )
                v = {name: v[name] - sign * inner_lr * curved[name] for name in v}
            if not early:
                v = {name: v[name] + weights[k] * joins[name] for name in v}
            first = first or v
            if k < K:
                slope = grad(loss)(path[k], support_x, support_y)
                here = -sum(((v if late else before)[name] * slope[name]).sum() for name in v)
                total = here if overwrites else total + here
        return v, float(total)

    return walk


def hessian_times_v(slope, phi, v, first):
    return vjp(slope, phi)[1](v)[0]


def block_by_block(slope, phi, v, first):
    """Each parameter's own second derivatives, without the mixed ones."""
    return {
        name: vjp(lambda p, n=name: slope(phi | {n: p})[n], phi[name])[1](v[name])[0] for name in v
    }


right_walk = walks()


@wrong_answer(
    "09.walk_back", says="those of the support loss: they are to be those of the query loss"
)
def joins_on_support(*problem):
    return walks(on_support=True)(*problem)


@wrong_answer("09.walk_back", says="that join v on the way are those of the support loss")
def joins_later_on_support(*problem):
    return walks(later_on_support=True)(*problem)


@wrong_answer("09.walk_back", says="the weights are in the opposite order")
def weights_from_the_end(*problem):
    return walks(weighed=lambda w: w[::-1])(*problem)


@wrong_answer("09.walk_back", says="the weights that join on the way are in the opposite order")
def later_weights_from_the_end(*problem):
    return walks(weighed=lambda w: [*w[:0:-1], w[-1]])(*problem)


@wrong_answer("09.walk_back", says="H v is subtracted twice")
def two_alpha(*problem):
    return walks(sign=2)(*problem)


@wrong_answer("09.walk_back", says="support and query are exchanged")
def sets_exchanged(*problem):
    return walks(on_support=True, on_query=True)(*problem)


@wrong_answer("09.walk_back", says="applied to the v of the beginning")
def always_the_first_v(*problem):
    return walks(curve=lambda slope, phi, v, first: vjp(slope, phi)[1](first)[0])(*problem)


@wrong_answer("09.walk_back", says="the support gradient stands in the place of H v")
def slope_for_curvature(*problem):
    return walks(curve=lambda slope, phi, v, first: slope(phi))(*problem)


@wrong_answer("09.walk_back", says="lacks the mixed derivatives")
def one_parameter_at_a_time(*problem):
    return walks(curve=block_by_block)(*problem)


@wrong_answer("09.walk_back", says="the tensors have no requires_grad")
def the_lessons_walk(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    def slope_of(value, params, **how):
        grads = torch.autograd.grad(value, list(params.values()), **how)
        return dict(zip(params, grads, strict=True))

    v = slope_of(loss(path[-1], query_x, query_y), path[-1])
    for phi in reversed(path[:-1]):
        slope = slope_of(loss(phi, support_x, support_y), phi, create_graph=True)
        dot = sum((slope[name] * v[name]).sum() for name in v)
        v = {name: v[name] - inner_lr * part for name, part in slope_of(dot, phi).items()}
    return v, 0.0


@wrong_answer("09.walk_back", says="that is first-order MAML")
def leaves_v_alone(*problem):
    return walks(h=False)(*problem)


@wrong_answer("09.walk_back", says="only the last query loss is there")
def as_in_the_lesson(*problem):
    return walks(weighed=lambda w: [0.0] * (len(w) - 1) + w[-1:])(*problem)


@wrong_answer("09.walk_back", says="the weights are left out")
def unweighted(*problem):
    return walks(weighed=lambda w: [1.0] * len(w))(*problem)


@wrong_answer("09.walk_back", says="the last weight is left out")
def begins_unweighted(*problem):
    return walks(weighed=lambda w: [*w[:-1], 1.0])(*problem)


@wrong_answer("09.walk_back", says="the last query loss is left out")
def begins_with_nothing(*problem):
    return walks(weighed=lambda w: [*w[:-1], 0.0])(*problem)


@wrong_answer("09.walk_back", says="the query loss at φ₀ is left out")
def as_in_mamlpp(*problem):
    return walks(weighed=lambda w: [0.0, *w[1:]])(*problem)


@wrong_answer("09.walk_back", says="dL/dα is taken with the query's gradient at φₖ in v")
def rate_pulls_on_too_much(*problem):
    return walks(late=True)(*problem)


@wrong_answer("09.walk_back", says="add up, do not overwrite")
def overwrites_the_rate(*problem):
    return walks(overwrites=True)(*problem)


@wrong_answer("09.walk_back", says="dL/dα has the last step only")
def rate_of_the_last_step(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    data = (support_x, support_y, query_x, query_y)
    v, _ = right_walk(loss, path, *data, weights, inner_lr)
    return v, right_walk(loss, path[-2:], *data, weights[-2:], inner_lr)[1]


@wrong_answer("09.walk_back", says="joins too early")
def joins_before_the_step(*problem):
    return walks(early=True)(*problem)


@wrong_answer("09.walk_back", says="H is that of the query loss")
def curvature_of_the_query(*problem):
    return walks(on_query=True)(*problem)


@wrong_answer("09.walk_back", says="H is taken one step too late")
def one_too_late(*problem):
    return walks(at=lambda k: k + 1)(*problem)


@wrong_answer("09.walk_back", says="every Hessian is taken at φ₀")
def all_at_theta(*problem):
    return walks(at=lambda k: 0)(*problem)


@wrong_answer("09.walk_back", says="the sign is wrong")
def plus_for_minus(*problem):
    return walks(sign=-1)(*problem)


@wrong_answer("09.walk_back", says="at path[0], is left out")
def stops_one_early(*problem):
    return walks(end=1)(*problem)


@wrong_answer("09.walk_back", says="dL/dα has the wrong sign")
def pulls_with_the_slope(*problem):
    v, slope = right_walk(*problem)
    return v, -slope


@wrong_answer("09.walk_back", says="dL/dα is missing")
def alpha_is_constant(*problem):
    return right_walk(*problem)[0], 0.0


@wrong_answer("09.walk_back", says="dL/dα is a mean over the steps")
def mean_over_steps(*problem):
    v, slope = right_walk(*problem)
    return v, slope / (len(problem[1]) - 1)


# ---------------------------------------------------------------- 09.7


def pearlmutter(turn=1.0, input=1.0, curve=1.0, moving=False, forward=1.0, mean=None, passing=1.0,
                chained=True):  # fmt: skip
    """The R-operator of two layers with a fault, a function like the answer: a factor for each term."""

    def hessian_times(weights, x, y, direction):
        (W1, b1, W2, b2), (U1, u1, U2, u2) = weights, direction
        a, over = np.tanh(x @ W1.T + b1), len(x) if mean == "examples" else y.size
        opens = 1 - a**2
        R_x = x if moving else np.zeros_like(x)
        R_z1 = x @ U1.T + u1 + R_x @ W1.T
        R_a = opens * R_z1
        delta2 = 2 / over * (a @ W2.T + b2 - y)
        R_delta2 = 2 / over * (R_a @ W2.T + forward * a @ U2.T + u2)
        R_opens = -curve * 2 * a * (R_a if chained else R_z1)
        R_delta1 = (passing * R_delta2 @ W2 + turn * delta2 @ U2) * opens + R_opens * (delta2 @ W2)
        of_W1 = R_delta1.T @ x + (delta2 @ W2 * opens).T @ R_x
        of_W2 = R_delta2.T @ a + input * delta2.T @ R_a
        return [of_W1, R_delta1.sum(0), of_W2, R_delta2.sum(0)]

    return hessian_times


def gradient_of_two(weights, x, y):
    W1, b1, W2, b2 = weights
    a = np.tanh(x @ W1.T + b1)
    delta2 = 2 / y.size * (a @ W2.T + b2 - y)
    delta1 = delta2 @ W2 * (1 - a**2)
    return [delta1.T @ x, delta1.sum(0), delta2.T @ a, delta2.sum(0)]


def moved(weights, direction, by):
    return [w + by * d for w, d in zip(weights, direction, strict=True)]


@wrong_answer("09.hessian_times", says="this is the gradient")
def gradient_again(weights, x, y, direction):
    return gradient_of_two(weights, x, y)


@wrong_answer("09.hessian_times", says="tanh is curved")
def as_if_relu(*problem):
    return pearlmutter(curve=0.0)(*problem)


@wrong_answer("09.hessian_times", says="the sign is wrong")
def slope_moves_the_other_way(*problem):
    return pearlmutter(curve=-1.0)(*problem)


@wrong_answer("09.hessian_times", says="you take R{z₁} for R{a} in it")
def forgets_the_chain(*problem):
    return pearlmutter(chained=False)(*problem)


@wrong_answer("09.hessian_times", says="the term R{δ₂} W₂ is missing")
def passes_nothing_back(*problem):
    return pearlmutter(passing=0.0)(*problem)


@wrong_answer("09.hessian_times", says="the term δ₂ U₂ is missing")
def weights_stand_still(*problem):
    return pearlmutter(turn=0.0)(*problem)


@wrong_answer("09.hessian_times", says="the term δ₂ᵀ R{a} is missing")
def inputs_stand_still(*problem):
    return pearlmutter(input=0.0)(*problem)


@wrong_answer("09.hessian_times", says="δ itself are missing (Gauss–Newton)")
def no_product_rule(*problem):
    return pearlmutter(turn=0.0, input=0.0, curve=0.0)(*problem)


@wrong_answer("09.hessian_times", says="missing on the way forward: R{z₂}")
def forward_with_one_term(*problem):
    return pearlmutter(forward=0.0)(*problem)


@wrong_answer("09.hessian_times", says="you take R{x} = x")
def inputs_move(*problem):
    return pearlmutter(moving=True)(*problem)


@wrong_answer("09.hessian_times", says="you divide by the examples only")
def mean_over_examples(*problem):
    return pearlmutter(mean="examples")(*problem)


@wrong_answer("09.hessian_times", says="the parts of b are means over examples")
def biases_averaged(weights, x, y, direction):
    of_W1, of_b1, of_W2, of_b2 = pearlmutter()(weights, x, y, direction)
    return [of_W1, of_b1 / len(x), of_W2, of_b2 / len(x)]


@wrong_answer("09.hessian_times", says="not to twelve digits")
def by_differences(weights, x, y, direction, h=1e-5):
    ahead, behind = (gradient_of_two(moved(weights, direction, s * h), x, y) for s in (1, -1))
    return [(one - other) / (2 * h) for one, other in zip(ahead, behind, strict=True)]


@wrong_answer("09.hessian_times", says="(or float32) come no closer")
def in_single_precision(weights, x, y, direction):
    weights, direction = ([w.astype(np.float32) for w in part] for part in (weights, direction))
    return pearlmutter()(weights, x.astype(np.float32), y.astype(np.float32), direction)


# ---------------------------------------------------------------- unusual, and right


@right_answer("09.adapt_all", why="float32 throughout")
def adapt_in_single_precision(theta, support_x, support_y, inner_lr):
    theta, x, y = (part.astype(np.float32) for part in (theta, support_x, support_y))
    return one_step(theta, x, y, np.float32(inner_lr), y.shape[1])


@right_answer("09.adapt_all", why="a list of lists, made in a loop")
def adapt_in_lists(theta, support_x, support_y, inner_lr):
    pairs = zip(support_x, support_y, strict=True)
    return [(theta - inner_lr * 2 / len(y) * x.T @ (x @ theta - y)).tolist() for x, y in pairs]


@right_answer("09.adapt_all", why="vmap of autograd, and a tensor is returned")
def adapt_by_vmap(theta, support_x, support_y, inner_lr):
    theta, x, y = (torch.tensor(part) for part in (theta, support_x, support_y))
    slope = torch.vmap(grad(lambda t, x, y: (x @ t - y).square().mean()), (None, 0, 0))
    return theta - inner_lr * slope(theta, x, y)


@right_answer("09.compare_in_rounds", why="whole numbers for the tosses, and a list is returned")
def compare_without_floats(old, new):
    n, fewer, k = len(old), 1, 0
    while 40 * fewer <= 2**n:
        k += 1
        fewer += math.comb(n, k)
    return list(report(old / new, k=k))


@right_answer("09.compare_in_rounds", why="NumPy's own kinds of numbers and text")
def compare_in_numpy(old, new):
    middle, low, high, verdict = report(old / new)
    return np.float64(middle), np.array(low), np.array(high), np.str_(verdict)


@right_answer("09.compare_in_rounds", why="float32, and partition in place of sort")
def compare_in_single_precision(old, new):
    ratios, k = old.astype(np.float32) / new.astype(np.float32), places(len(old))
    low, high = np.partition(ratios, k - 1)[k - 1], -np.partition(-ratios, k - 1)[k - 1]
    verdict = "new" if low > 1 else "old" if high < 1 else "open"
    return np.median(ratios), low, high, verdict


@right_answer("09.all_reduce", why="the tasks are there again, one by one, and averaged")
def reduce_task_by_task(means, counts):
    pairs = list(zip(means, counts, strict=True))
    return {
        name: np.mean([mean[name] for mean, n in pairs for _ in range(n)], axis=0)
        for name in means[0]
    }


@right_answer("09.all_reduce", why="NaN made to 0 before it is weighed, lists returned")
def reduce_without_nan(means, counts):
    return {
        name: np.average([np.nan_to_num(m[name]) for m in means], axis=0, weights=counts).tolist()
        for name in means[0]
    }


@right_answer("09.all_reduce", why="tensors of float32, keys in another order")
def reduce_in_torch(means, counts):
    shares = [n / sum(counts) for n in counts]
    found = summed([{k: torch.tensor(v).float() for k, v in m.items()} for m in means], shares)
    return {name: found[name] for name in reversed(found)}


@right_answer("09.memory_law", why="every moment of the way back is gone through")
def law_by_simulation(K, P, S, Q):
    moments = [K * P + Q] + [k * P + S for k in range(K)]
    return sum([S + P] * K) + Q, max([K * P + Q] + [K * P + S] * K), max(moments)


@right_answer("09.memory_law", why="a list of NumPy's whole numbers")
def law_in_numpy(K, P, S, Q):
    return [np.int64(number) for number in law(K, P, S, Q)]


@right_answer("09.memory_law", why="whole numbers as tensors")
def law_in_torch(K, P, S, Q):
    return tuple(torch.tensor(number) for number in law(K, P, S, Q))


@right_answer("09.memory_law", why="an array of whole numbers")
def law_in_an_array(K, P, S, Q):
    return np.array(law(K, P, S, Q))


@right_answer("09.memory_law", why="a tensor of whole numbers")
def law_in_a_tensor(K, P, S, Q):
    return torch.tensor(law(K, P, S, Q))


@right_answer("09.predict_speed_up", why="float32 in a list")
def speed_up_in_single_precision(tasks, *machine):
    starts, arithmetic, rest = (np.float32(part) for part in parts(tasks, *machine))
    loop = tasks * starts + arithmetic + rest
    return [loop / (starts + arithmetic + rest), loop / (arithmetic + rest)]


@right_answer("09.predict_speed_up", why="Amdahl's formula, with the share that starts have")
def speed_up_by_amdahl(tasks, *machine):
    starts, arithmetic, rest = parts(tasks, *machine)
    p = tasks * starts / (tasks * starts + arithmetic + rest)
    return 1 / ((1 - p) + p / tasks), 1 / (1 - p)


@right_answer("09.predict_speed_up", why="tensors")
def speed_up_in_torch(tasks, *machine):
    starts, arithmetic, rest = (torch.tensor(part).double() for part in parts(tasks, *machine))
    loop = tasks * starts + arithmetic + rest
    return loop / (starts + arithmetic + rest), loop / (arithmetic + rest)


@right_answer("09.walk_back", why="the whole inner loop is recorded once more from φ₀")
def recorded_again(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    def of_all(phi, rate):
        total = weights[0] * loss(phi, query_x, query_y)
        for weight in weights[1:]:
            slope = grad(loss)(phi, support_x, support_y)
            phi = {name: phi[name] - rate * slope[name] for name in phi}
            total = total + weight * loss(phi, query_x, query_y)
        return total

    return grad(of_all, (0, 1))(path[0], torch.tensor(inner_lr, dtype=torch.float64))


@right_answer("09.walk_back", why="a step pulled back whole, in φ and α at once")
def step_by_step(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    def step(phi, rate):
        slope = grad(loss)(phi, support_x, support_y)
        return {name: phi[name] - rate * slope[name] for name in phi}

    v, total = {name: torch.zeros_like(part) for name, part in path[0].items()}, 0.0
    for k in reversed(range(len(path))):
        if k + 1 < len(path):
            _, pull = vjp(step, path[k], torch.tensor(inner_lr, dtype=torch.float64))
            v, of_rate = pull(v)
            total += of_rate.item()
        joins = grad(loss)(path[k], query_x, query_y)
        v = {name: v[name] + weights[k] * joins[name] for name in v}
    return v, total


@right_answer("09.walk_back", why="torch.autograd on copies that require a gradient")
def walk_on_copies(loss, path, support_x, support_y, query_x, query_y, weights, inner_lr):
    def slope_of(value, params, **how):
        grads = torch.autograd.grad(value, list(params.values()), **how)
        return dict(zip(params, grads, strict=True))

    path = [{n: t.detach().clone().requires_grad_() for n, t in phi.items()} for phi in path]
    v = {name: torch.zeros_like(part) for name, part in path[0].items()}
    total = 0.0
    for k in reversed(range(len(path))):
        if k + 1 < len(path):
            slope = slope_of(loss(path[k], support_x, support_y), path[k], create_graph=True)
            dot = sum((slope[name] * v[name]).sum() for name in v)
            total -= dot.item()
            v = {n: v[n] - inner_lr * part for n, part in slope_of(dot, path[k]).items()}
        joins = slope_of(loss(path[k], query_x, query_y), path[k])
        v = {name: v[name] + weights[k] * joins[name] for name in v}
    return v, total


@right_answer("09.walk_back", why="a list, NumPy arrays in it")
def walk_in_arrays(*problem):
    v, slope = right_walk(*problem)
    return [{name: part.numpy() for name, part in v.items()}, np.float64(slope)]


@right_answer("09.hessian_times", why="a complex step: a difference that subtracts nothing")
def by_a_complex_step(weights, x, y, direction, h=1e-40):
    return [part.imag / h for part in gradient_of_two(moved(weights, direction, 1j * h), x, y)]


@right_answer("09.hessian_times", why="autograd, and a tuple of tensors is returned")
def by_autograd(weights, x, y, direction):
    x, y = torch.tensor(x), torch.tensor(y)
    weights, direction = (tuple(torch.tensor(p) for p in part) for part in (weights, direction))

    def loss(W1, b1, W2, b2):
        return (torch.tanh(x @ W1.T + b1) @ W2.T + b2 - y).square().mean()

    return vjp(grad(loss, (0, 1, 2, 3)), *weights)[1](direction)


@right_answer("09.hessian_times", why="example by example, lists are returned")
def example_by_example(weights, x, y, direction):
    rows = [pearlmutter()(weights, x[i : i + 1], y[i : i + 1], direction) for i in range(len(x))]
    return [np.mean(parts, axis=0).tolist() for parts in zip(*rows, strict=True)]
