"""Checks of chapter 04: one function per exercise, for the learner and for the grader."""

import numpy as np

from maml_edu.checks.exercise import draw, exercise, expect, named


def step(theta, c, a, alpha):
    """φ, one gradient step from θ on ½a(θ − c)²."""
    return theta - alpha * a * (theta - c)


@exercise("04.meta_slope", points=3, minutes=10, difficulty=2)
def meta_slope(answer, rng):
    """The meta-gradient by hand"""
    inputs = {"theta": (-3.0, 3.0), "c": (-2.0, 2.0), "a": (0.3, 2.0), "alpha": (0.05, 1.2)}
    for theta, c, a, alpha in draw(rng, **inputs):
        phi = step(theta, c, a, alpha)
        expect(
            answer(theta, c, a, alpha),
            (1 - alpha * a) * a * (phi - c),
            mistakes={
                "this is the slope at φ: the path from θ to φ has a slope too (the factor 1 − αa; mind "
                "that (1 − αa) times the slope at θ is the slope at φ)": (a * (phi - c)),
                "this is the slope at θ, before the step": a * (theta - c),
                "the factor 1 − αa belongs here once: φ already contains the step": (
                    (1 - alpha * a) ** 2 * a * (phi - c)
                ),
                "the step goes downhill, so dφ/dθ is 1 − αa, not 1 + αa": (
                    (1 + alpha * a) * a * (phi - c)
                ),
                "the slope of the loss at φ is a(φ − c): the curvature a is missing": (
                    (1 - alpha * a) * (phi - c)
                ),
                "this is how φ follows θ; it still has to be multiplied by the slope at φ": (
                    1 - alpha * a
                ),
            },
        )


def double_well_after_step(theta, alpha):
    """(θ² − 1)² / 4 after one step of gradient descent with its slope θ³ − θ."""
    phi = theta - alpha * (theta**3 - theta)
    return (phi**2 - 1) ** 2 / 4


@exercise("04.numeric_meta_slope", points=3, minutes=10, difficulty=2)
def numeric_meta_slope(answer, rng):
    """The meta-gradient by finite differences"""
    well = named("double_well")
    inputs = {"theta": (-1.8, 1.8), "alpha": (0.1, 0.6), "h": [0.1, 0.05, 0.02]}
    for theta, alpha, h in draw(rng, **inputs):
        ahead, here, behind = (
            double_well_after_step(start, alpha) for start in (theta + h, theta, theta - h)
        )
        phi = theta - alpha * (theta**3 - theta)
        expect(
            answer(well, theta, alpha, h),
            (ahead - behind) / (2 * h),
            mistakes={
                "this is a one-sided difference: go to both sides of θ, by +h and by −h": (
                    (ahead - here) / h
                ),
                "the points are 2h apart, so divide by 2h and not by h": (ahead - behind) / h,
                "you moved φ by ±h: move θ, and take the inner step anew from there": (
                    _difference(well.numpy, phi, h)
                ),
                "this is the exact slope: give the central difference with the h that you are given": (
                    (phi**3 - phi) * (1 - alpha * (3 * theta**2 - 1))
                ),
                "this is the slope of the loss before the step: the inner step is missing": (
                    _difference(well.numpy, theta, h)
                ),
                "the inner step goes uphill: φ = θ − α · slope, with a minus": _difference(
                    lambda start: double_well_after_step(start, -alpha), theta, h
                ),
            },
        )


def _difference(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


@exercise("04.first_order_misleads", points=2, minutes=5, difficulty=2)
def first_order_misleads(answer, rng):
    """The sign flip"""
    for a, alpha in draw(rng, a=lambda rng: rng.uniform(0.2, 3.0, 12), alpha=(0.7, 1.2)):
        expect(
            answer(a, alpha),
            alpha * a > 1,
            mistakes={
                "αa > 2 is where descent itself blows up; the signs part earlier": alpha * a > 2,
                "this is where the two agree: the question is where they point opposite ways": (
                    alpha * a < 1
                ),
                "the curvature alone does not decide, the inner rate matters too": a > 1,
                "compare the product αa with 1, not α with a": a > alpha,
            },
        )


@exercise("04.best_start", points=3, minutes=15, difficulty=3)
def best_start(answer, rng):
    """The best place to start from"""
    inputs = {
        "c": lambda rng: rng.uniform(-3.0, 3.0, 4),
        "a": lambda rng: rng.uniform(0.3, 2.0, 4),
        "alpha": (0.1, 0.45),
    }
    for c, a, alpha in draw(rng, **inputs):
        follows = 1 - alpha * a  # how φ follows θ, (tasks,)
        expect(
            answer(c, a, alpha),
            _weighted_mean(a * follows**2, c),
            mistakes={
                "this is the plain mean of the minima: steep tasks must count differently": np.mean(
                    c
                ),
                "this minimises the mean loss before the step: after it each weight has (1 − αa)²": (
                    _weighted_mean(a, c)
                ),
                "this is where the first-order gradients cancel: 1 − αa enters once more": (
                    _weighted_mean(a * follows, c)
                ),
                "a weighted mean is divided by the sum of the weights, not by the number of tasks": (
                    np.mean(a * follows**2 * c)
                ),
                "the weights lack the curvature a: the slope at φ is a(φ − c)": (
                    _weighted_mean(follows**2, c)
                ),
            },
        )


def _weighted_mean(weight, values):
    return float(np.sum(weight * values) / np.sum(weight))
