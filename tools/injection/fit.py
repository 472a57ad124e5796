"""Logistic regression over sparse rows, by L-BFGS with double precision: no randomness, no threads, no BLAS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MEMORY = 8
"""Steps that the curvature is estimated from."""


@dataclass(frozen=True)
class Rows:
    """Sparse rows one after the other: `columns` and `values`, and where each row begins."""

    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    begins: NDArray[np.int64]

    def times(self, weights: Vector) -> Vector:
        """One sum a row; no row is empty."""
        return np.add.reduceat(weights[self.columns] * self.values, self.begins)

    def back(self, errors: Vector, width: int) -> Vector:
        """The gradient of all columns from the errors of all rows."""
        lengths = np.diff(np.append(self.begins, len(self.columns)))
        summed: Vector = np.bincount(self.columns, np.repeat(errors, lengths) * self.values, width).astype(np.float64)
        return summed


def fit(rows: Rows, labels: Vector, importance: Vector, width: int, decay: float, steps: int) -> Vector:
    """Weights of the columns, then the offset; `decay` is the weight of the squared weights against the mean loss."""
    total = importance.sum()

    def loss(weights: Vector) -> tuple[float, Vector]:
        scores = rows.times(weights[:-1]) + weights[-1]
        signed = np.where(labels > 0, scores, -scores)
        losses = np.logaddexp(0, -signed)
        errors = importance / total * (1 / (1 + np.exp(-np.clip(scores, -60, 60))) - labels)
        gradient = np.append(rows.back(errors, width) + decay * weights[:-1], errors.sum())
        value = (importance * losses).sum() / total + decay / 2 * np.square(weights[:-1]).sum()
        return float(value), gradient

    return _descend(loss, np.zeros(width + 1), steps)


def _descend(loss: Callable[[Vector], tuple[float, Vector]], weights: Vector, steps: int) -> Vector:
    """L-BFGS with halving steps (Nocedal and Wright, algorithm 7.4)."""
    value, gradient = loss(weights)
    history: list[tuple[Vector, Vector, float]] = []
    for _ in range(steps):
        direction = -_curved(gradient, history)
        slope, length = float((direction * gradient).sum()), 1.0 if history else 1.0 / np.abs(gradient).sum()
        for _ in range(20):
            step = length * direction
            new_value, new_gradient = loss(weights + step)
            if new_value <= value + 1e-4 * length * slope:
                break
            length /= 2
        change = new_gradient - gradient
        product = float((step * change).sum())
        if product > 1e-12:
            history = [*history[-MEMORY + 1 :], (step, change, 1 / product)]
        weights, value, gradient = weights + step, new_value, new_gradient
    return weights


def _curved(gradient: Vector, history: list[tuple[Vector, Vector, float]]) -> Vector:
    direction = gradient.copy()
    shares = []
    for step, change, inverse in reversed(history):
        share = inverse * float((step * direction).sum())
        direction -= share * change
        shares.append(share)
    if history:
        step, change, inverse = history[-1]
        direction *= 1 / (inverse * float((change * change).sum()))
    for (step, change, inverse), share in zip(history, reversed(shares), strict=True):
        direction += (share - inverse * float((change * direction).sum())) * step
    return direction
