"""The samples of a `SampleDataset` through Ray Data: read by actors anywhere in a cluster.

Row r is exactly item `items[r]` of the torch data set, in this order, with the same columns: what is drawn
depends on the item alone. Each actor opens the store for itself, so it must lie where all nodes see it.

    rows = to_ray(dataset, items=[i for batch in sampler for i in batch], num_actors=8)
    for batch in rows.iter_torch_batches(batch_size=32): ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videofer.data.dataset import SampleDataset

if TYPE_CHECKING:
    import ray.data

ROWS_PER_TASK = 32  # read by an actor at once: some MB, and far more work than a task costs


def to_ray(
    dataset: SampleDataset, items: Sequence[int] | None = None, *, num_actors: int = 1
) -> ray.data.Dataset:
    """Items of a data set, all by default, as a Ray Dataset of as many rows; nothing is read yet.

    The epoch is the one that is set now. num_actors: processes that read, of one core each. Ray must run.
    Raises ValueError for more actors than cores, and for a data set that keeps crops in memory: every actor
    would get a copy of them.
    """
    import pandas as pd
    import ray
    import ray.data

    if dataset.crops is not dataset.reader:
        raise ValueError("a data set with a CropCache cannot be read through Ray Data: make it without one")
    cores = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
    if not 1 <= num_actors <= cores:  # Ray would wait for more cores, without end
        raise ValueError(f"num_actors must be between 1 and the cluster's {cores} cores, not {num_actors}")
    wanted = np.arange(len(dataset)) if items is None else np.asarray(items, dtype=np.int64)
    if not len(wanted):
        raise ValueError("there are no items to read")
    parts = [wanted[first : first + ROWS_PER_TASK] for first in range(0, len(wanted), ROWS_PER_TASK)]
    # Blocks that are there already: tasks that make them would compete with the actors for the cores.
    rows: ray.data.Dataset = ray.data.from_blocks(
        [pd.DataFrame({"item": part}) for part in parts]
    ).map_batches(
        _ReadItems,
        batch_size=None,  # a block
        fn_constructor_args=(ray.put(dataset),),
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=1,
    )
    rows.context.execution_options.preserve_order = True
    return rows


class _ReadItems:
    """Makes items, in an actor."""

    def __init__(self, dataset: Any) -> None:
        """dataset: reference of a SampleDataset."""
        import cv2
        import ray

        cv2.setNumThreads(1)  # the actors are what runs side by side
        self._dataset: SampleDataset = ray.get(dataset)

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`item` (m,) -> each array of these items with m in front."""
        items = [self._dataset[item] for item in rows["item"].tolist()]
        return {name: np.stack([item[name] for item in items]) for name in items[0]}
