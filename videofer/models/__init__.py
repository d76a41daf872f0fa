"""Networks: tensors of one batch in, class log-probabilities out. Everything begins at `EmotionModel`."""

from videofer.models.body import BodyConfig
from videofer.models.config import ModelConfig
from videofer.models.face import FaceConfig
from videofer.models.fusion import FusionConfig
from videofer.models.model import EmotionModel

__all__ = ["BodyConfig", "EmotionModel", "FaceConfig", "FusionConfig", "ModelConfig"]
