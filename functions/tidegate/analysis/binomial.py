"""The binomial distribution, exactly."""

from __future__ import annotations

import math


def upper_tail(count: int, trials: int, probability: float) -> float:
    """P(X >= count) for X ~ Binomial(trials, probability), for a count above the mean.

    Summed upwards from `count`, where every term is smaller than the one before.
    """
    if count <= 0:
        return 1.0
    if probability <= 0:
        return 0.0
    if probability >= 1:
        return 1.0
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(probability)
        + (trials - count) * math.log1p(-probability)
    )
    odds = probability / (1 - probability)
    term = total = 1.0
    for successes in range(count, trials):
        term *= (trials - successes) / (successes + 1) * odds
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, math.exp(log_term) * total)
