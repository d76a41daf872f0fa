"""Files of torch.export (.pt2): writing a graph as one, and running it through torch.

torch.export unrolls an LSTM over its example's steps, unless it is told to take the form with a loop; then it
keeps the operator whole, for any number of steps. The guards that it writes into a program are Python code,
and stricter on shapes than the graph is (three instants at least): they are left out, and `ExportedModel`
checks shapes by what export.json says.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from videofer.export.archive import checked_archive, plain_archive
from videofer.export.graphs import Graph


def write_program(graph: Graph, path: Path) -> None:
    """Writes a graph as a program of torch.export, without traces of the code it comes from."""
    from torch.export._patches import register_lstm_while_loop_decomposition

    axes = {name: dict.fromkeys(graph.axes[name], torch.export.Dim.DYNAMIC) for name in graph.inputs}
    with torch.no_grad(), warnings.catch_warnings(), register_lstm_while_loop_decomposition():
        # nn.LSTM keeps its weights in a list as well, which it fills anew where they are replaced.
        warnings.filterwarnings("ignore", ".*_flat_weights.* were assigned during export", UserWarning)
        # Of torch's own loop.
        warnings.filterwarnings("ignore", "_check_is_size will be removed", FutureWarning)
        program = torch.export.export(graph.module, (), graph.inputs, dynamic_shapes=axes, strict=False)
    program.example_inputs = None  # they would be pickled
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    path.write_bytes(plain_archive(buffer.getvalue()))


class TorchNetwork:
    """A program of torch.export, run on the CPU."""

    def __init__(self, path: Path) -> None:
        """ValueError where the file is none, or holds more than `archive` allows."""
        archive = checked_archive(path)
        try:
            with warnings.catch_warnings():
                # It reads weights from bytes, which nobody writes to.
                warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
                program = torch.export.load(io.BytesIO(archive))
        except Exception as error:  # of many classes
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{path.name} is no program of this torch: {reason}") from None
        self._module = program.module(check_guards=False)

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with torch.inference_mode():
            found: dict[str, Tensor] = self._module(**inputs)
        return found
