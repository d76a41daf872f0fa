"""ONNX files: writing a graph as one, and running it through ONNX Runtime on the CPU.

torch.export unrolls an LSTM over its example's steps. So the graphs are traced with ONNX's own LSTM in its
place, which takes any number of them. Opening an ONNX file runs no code of it: it holds standard operators
and weights only.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from videofer.export.graphs import Graph

OPSET = 20
_LSTM_VERSION = 14
_QUIET = 3  # errors only


class OnnxLSTM(nn.Module):
    """ONNX's LSTM operator with the weights of a one-layer nn.LSTM. To be traced: torch runs it to zeros."""

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        assert lstm.batch_first and lstm.bias and lstm.num_layers == 1 and not lstm.bidirectional
        self.hidden_size = lstm.hidden_size
        weights = {name: _gates_as_in_onnx(weight.detach()) for name, weight in lstm.named_parameters()}
        self.register_buffer("w", weights["weight_ih_l0"][None])  # (1, 4h, f)
        self.register_buffer("r", weights["weight_hh_l0"][None])  # (1, 4h, h)
        self.register_buffer("b", torch.cat([weights["bias_ih_l0"], weights["bias_hh_l0"]])[None])  # (1, 8h)

    def forward(self, sequence: Tensor) -> tuple[Tensor, None]:
        """(B, C, f) -> hidden states (B, C, h), as of an nn.LSTM."""
        num_samples, num_steps, _ = sequence.shape
        hidden = torch.onnx.ops.symbolic(
            "LSTM",
            [sequence.transpose(0, 1), self.w, self.r, self.b],  # type: ignore[list-item]
            {"hidden_size": self.hidden_size},
            dtype=sequence.dtype,
            shape=(num_steps, 1, num_samples, self.hidden_size),
            version=_LSTM_VERSION,
        )
        return hidden[:, 0].transpose(0, 1), None


def _gates_as_in_onnx(weight: Tensor) -> Tensor:
    """(4h, ...) rows of input, forget, cell, output gate -> input, output, forget, cell."""
    i, f, c, o = weight.chunk(4)
    return torch.cat([i, o, f, c])


def write_onnx(graph: Graph, path: Path) -> None:
    """Writes a graph as one ONNX file with weights, without traces of the code it comes from."""
    import onnx

    module = copy.deepcopy(graph.module)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LSTM):
                setattr(parent, name, OnnxLSTM(child))
    axes = {name: dict.fromkeys(graph.axes[name], torch.export.Dim.DYNAMIC) for name in graph.inputs}
    with torch.no_grad(), warnings.catch_warnings():
        # torch.onnx calls torch's own tree functions in a form that they have deprecated.
        warnings.filterwarnings("ignore", "`isinstance\\(treespec, LeafSpec\\)` is deprecated", FutureWarning)
        # Several axes of one name, as here the windows of all inputs, are one axis to it.
        warnings.filterwarnings("ignore", "# The axis name: .* will not be used", UserWarning)
        program = torch.export.export(module, (), graph.inputs, dynamic_shapes=axes, strict=False)
        exported = torch.onnx.export(
            program,
            (),
            kwargs=graph.inputs,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=graph.axes,
        )
    assert exported is not None
    proto = exported.model_proto
    for node in (*proto.graph.node, *(node for function in proto.functions for node in function.node)):
        del node.metadata_props[:]  # paths and lines of our code
    del proto.graph.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


class OnnxNetwork:
    """An ONNX file, run on as many threads as torch has."""

    def __init__(self, path: Path) -> None:
        """ValueError where the file is no ONNX model."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see videofer.cli
        options.log_severity_level = _QUIET
        try:
            # From bytes: then a file cannot name others to be read.
            self._session: Any = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except OSError:
            raise
        except Exception as error:  # its errors have no common class
            raise ValueError(f"{path.name} is no ONNX model: {str(error).splitlines()[0]}") from None
        self.output_names = [output.name for output in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
        found = self._session.run(self.output_names, arrays)
        return {name: torch.from_numpy(array) for name, array in zip(self.output_names, found, strict=True)}
