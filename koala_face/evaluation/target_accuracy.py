"""How well a tuned descriptor tells its targets, beside chance and the prior (Section IV)."""

from collections.abc import Sequence

import numpy as np

from koala_face.data.color_clusters import nearest_cluster
from koala_face.evaluation.bootstrap import RESAMPLES, estimate_means

# How many guesses may be made, as is usual for ImageNet's classes.
GUESSES = (1, 5)


def measure_targets(
    probabilities: np.ndarray,
    labels: Sequence[np.ndarray],
    colors: Sequence[np.ndarray] | None = None,
    centers: np.ndarray | None = None,
) -> dict:
    """Both of what follows, for lists of portraits of which the last was held out.

    Args:
        probabilities: (N, K) of the last list.
        labels: (N,) true classes of each list.
        colors: (N, C) of each list, and `centers`, (K, C), of clusters of colours.
    """
    counts = np.bincount(np.concatenate(labels[:-1]), minlength=probabilities.shape[1])
    found = measure_accuracy(probabilities, labels[-1], counts)
    if centers is not None:
        found["colors"] = measure_colors(probabilities, colors[-1], centers)
    return found


def measure_accuracy(
    probabilities: np.ndarray,
    labels: np.ndarray,
    counts: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict:
    """Top-1 and top-5 accuracy with 95 % intervals over portraits, of the head and of the prior.

    The prior always guesses the classes that are most frequent in training; its cross-entropy,
    and the head's, are in nats.

    Args:
        probabilities: (N, K) of portraits that the head never saw.
        labels: (N,) their true classes.
        counts: (K,) portraits of each class in training.

    Returns:
        `top1` and `top5`, each with `accuracy`, `interval`, `prior`, `gain` (accuracy less
        prior), `gain_interval` and `chance`; `cross_entropy` and `prior_cross_entropy`.
    """
    classes = len(counts)
    by_head, by_prior = np.argsort(-probabilities, axis=1, kind="stable"), np.argsort(-counts)
    found = {}
    for guesses in GUESSES:
        hits = (by_head[:, :guesses] == labels[:, None]).any(axis=1)
        prior = np.isin(labels, by_prior[:guesses])
        columns = np.stack([hits, prior, hits.astype(int) - prior], axis=1)
        accuracy, base, gain = estimate_means(columns, resamples, seed)
        found[f"top{guesses}"] = {
            "accuracy": accuracy.value,
            "interval": list(accuracy.interval),
            "prior": base.value,
            "gain": gain.value,
            "gain_interval": list(gain.interval),
            "chance": min(guesses, classes) / classes,
        }
    smoothed = (counts + 1) / (counts + 1).sum()
    own = probabilities[np.arange(len(labels)), labels]
    found["cross_entropy"] = float(-np.log(np.maximum(own, 1e-12)).mean())
    found["prior_cross_entropy"] = float(-np.log(smoothed[labels]).mean())
    return found


def measure_colors(probabilities: np.ndarray, colors: np.ndarray, centers: np.ndarray) -> dict:
    """What part of the colours' variance between portraits the descriptor knows.

    Args:
        colors: (N, C) of the same portraits, `centers`: (K, C) of the clusters.

    Returns:
        `known`: by the mean of the centers under the probabilities; `known_by_oracle`: by the
        center of the true cluster. 1 is all, 0 no more than the portraits' own mean says.
    """
    nearest = np.square(colors - centers[nearest_cluster(colors, centers)]).sum(axis=1)
    error = np.square(colors - probabilities @ centers).sum(axis=1)
    spread = np.square(colors - colors.mean(axis=0)).sum(axis=1).mean()
    return {
        "known": float(1 - error.mean() / spread),
        "known_by_oracle": float(1 - nearest.mean() / spread),
    }


def describe_accuracy(found: dict) -> str:
    """The accuracies in two lines."""
    lines = []
    for guesses in GUESSES:
        one = found[f"top{guesses}"]
        low, high = one["interval"]
        lines.append(
            f"top-{guesses}: {one['accuracy']:.3f} [{low:.3f}, {high:.3f}], "
            f"the most frequent {one['prior']:.3f}, chance {one['chance']:.3f}"
        )
    return "\n".join(lines)
