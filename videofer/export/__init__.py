"""A model's networks as files that run without videofer: ONNX graphs, or programs of torch.export.

`export_model` writes such a folder from a run, `load_model` opens either kind of folder.
"""

from videofer.export.check import ExportError
from videofer.export.model import ExportedModel, load_model
from videofer.export.run import ExportReport, export_model

__all__ = ["ExportError", "ExportReport", "ExportedModel", "export_model", "load_model"]
