"""Groups that must stay on one side of a split, and folds of them that are alike.

Letters in shapes: N samples, G groups, n classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def linked_groups(subjects: Sequence[str], keys: Sequence[str]) -> np.ndarray:
    """(N,) int64 number of each sample's group: samples of one subject or one video are in the same one.

    Subjects who share a video are therefore in one group. Groups are numbered by their first subject's name.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, subject = np.unique(np.asarray(subjects, dtype=str), return_inverse=True)  # (N,)
    contents, content = np.unique(np.asarray(keys, dtype=str), return_inverse=True)
    size = len(names) + len(contents)
    links = coo_array((np.ones(len(subject)), (subject, len(names) + content)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    # Sorted names come first among the nodes, so the first node of a component is its first subject.
    _, first, group = np.unique(component, return_index=True, return_inverse=True)
    number: np.ndarray = np.argsort(np.argsort(first))[group][subject].astype(np.int64)
    return number


def balanced_folds(group: np.ndarray, target: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """(G,) int64 fold of each group, so that each class is spread over the folds as evenly as groups allow.

    group: (N,) int64, every number below G at least once. target: (N, n) class probabilities. Each fold gets
    a group, so `num_folds` must be at most G. The largest groups are dealt first, each to the fold where it
    evens out the classes best; equals are in an order drawn by the seed.
    """
    num_groups = int(group.max()) + 1
    assert 1 <= num_folds <= num_groups, (num_folds, num_groups)
    counts = np.zeros((num_groups, target.shape[1]))
    np.add.at(counts, group, target)
    share = counts / np.maximum(counts.sum(axis=0), 1e-12)  # (G, n) of all samples of a class
    order = np.random.default_rng(seed).permutation(num_groups)
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    held = np.zeros((num_folds, target.shape[1]))  # shares in each fold so far
    num_held = np.zeros(num_folds)
    fold = np.full(num_groups, -1, dtype=np.int64)
    for place in order:
        # The increase of the sum of squares, least where the group's classes are still rare. An empty fold
        # has none but the group's own, and of equal ones the emptiest comes first: no fold stays empty.
        overlap = np.round(held @ share[place], 12)
        chosen = np.lexsort((num_held, overlap))[0]
        fold[place] = chosen
        held[chosen] += share[place]
        num_held[chosen] += counts[place].sum()
    return fold
