"""Wrong answers that learners give to the exercises of chapter 09; each must be caught by its words."""

import numpy as np
from torch.func import grad, vjp

from maml_edu.checks.exercise import wrong_answer

# ---------------------------------------------------------------- 09.1


@wrong_answer("09.adapt_all", says="one φ for all tasks: the sum runs over tasks too")
def all_tasks_in_one_sum(theta, support_x, support_y, inner_lr):
    x, y = support_x.reshape(-1, len(theta)), support_y.reshape(-1)
    return theta - inner_lr * 2 / len(y) * x.T @ (x @ theta - y)


@wrong_answer("09.adapt_all", says="you divide by the number of tasks")
def length_of_the_batch(theta, support_x, support_y, inner_lr):
    error = support_x @ theta - support_y
    slope = 2 / len(support_y) * np.einsum("tni,tn->ti", support_x, error)
    return theta - inner_lr * slope


@wrong_answer("09.adapt_all", says="divide by all examples of all tasks")
def size_of_the_batch(theta, support_x, support_y, inner_lr):
    error = support_x @ theta - support_y
    return theta - inner_lr * 2 / error.size * np.einsum("tni,tn->ti", support_x, error)


@wrong_answer("09.adapt_all", says="the mean over shots is missing")
def sum_for_mean(theta, support_x, support_y, inner_lr):
    error = support_x @ theta - support_y
    return theta - inner_lr * 2 * np.einsum("tni,tn->ti", support_x, error)


# ---------------------------------------------------------------- 09.2


def one_step_back(loss, phi, x, y, v, rate):
    _, pull = vjp(lambda params: grad(loss)(params, x, y), phi)
    (curved,) = pull(v)
    return {name: v[name] - rate * curved[name] for name in v}


@wrong_answer("09.walk_back", says="the walk goes forward")
def forgets_to_reverse(loss, path, support_x, support_y, v, inner_lr):
    for phi in path:
        v = one_step_back(loss, phi, support_x, support_y, v, inner_lr)
    return v


@wrong_answer("09.walk_back", says="every Hessian is taken at φ₀")
def all_at_theta(loss, path, support_x, support_y, v, inner_lr):
    for _ in path:
        v = one_step_back(loss, path[0], support_x, support_y, v, inner_lr)
    return v


@wrong_answer("09.walk_back", says="that is first-order MAML")
def leaves_v_alone(loss, path, support_x, support_y, v, inner_lr):
    return v


@wrong_answer("09.walk_back", says="inner_lr is missing")
def no_rate(loss, path, support_x, support_y, v, inner_lr):
    for phi in reversed(path):
        v = one_step_back(loss, phi, support_x, support_y, v, 1.0)
    return v


@wrong_answer("09.walk_back", says="at path[0], is left out")
def stops_one_early(loss, path, support_x, support_y, v, inner_lr):
    for number in range(len(path) - 1, 0, -1):
        v = one_step_back(loss, path[number], support_x, support_y, v, inner_lr)
    return v


# ---------------------------------------------------------------- 09.3


@wrong_answer("09.predict_speed_up", says="the number of tasks is no speed-up")
def as_many_as_tasks(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = tasks * flops_per_task / peak
    return float(tasks), (tasks * operations * start + arithmetic + rest) / (arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="you leave `rest` out")
def forgets_amdahl(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = tasks * flops_per_task / peak
    loop = tasks * operations * start + arithmetic
    return loop / (operations * start + arithmetic), loop / arithmetic


@wrong_answer("09.predict_speed_up", says="is that of one task")
def arithmetic_for_free(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = flops_per_task / peak
    loop = tasks * (operations * start + arithmetic) + rest
    return loop / (operations * start + arithmetic + rest), loop / (tasks * arithmetic + rest)


@wrong_answer("09.predict_speed_up", says="these are inverted")
def new_over_old(tasks, operations, flops_per_task, start, peak, rest):
    arithmetic = tasks * flops_per_task / peak
    loop = tasks * operations * start + arithmetic + rest
    return (operations * start + arithmetic + rest) / loop, (arithmetic + rest) / loop


# ---------------------------------------------------------------- 09.4


@wrong_answer("09.memory_law", says="both graphs are counted")
def sum_for_max(inner_steps, parameters, step_graph, query_graph):
    recorded = inner_steps * step_graph + query_graph
    return recorded, inner_steps * parameters + step_graph + query_graph


@wrong_answer("09.memory_law", says="the query loss has a graph, too")
def no_query_graph(inner_steps, parameters, step_graph, query_graph):
    walked = inner_steps * parameters + max(step_graph, query_graph)
    return inner_steps * step_graph, walked


@wrong_answer("09.memory_law", says="the back-walk's one graph is missing")
def path_alone(inner_steps, parameters, step_graph, query_graph):
    return inner_steps * step_graph + query_graph, inner_steps * parameters


@wrong_answer("09.memory_law", says="θ itself is counted")
def path_with_theta(inner_steps, parameters, step_graph, query_graph):
    recorded = inner_steps * step_graph + query_graph
    return recorded, (inner_steps + 1) * parameters + max(step_graph, query_graph)
