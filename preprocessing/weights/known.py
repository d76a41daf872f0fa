"""The weight files that are known here, all of them. Another engine's are added to the modules beside.

A hash is of a file that was here, or the one that independent public sources agree on for that address; the
leading digits are the publisher's own. Sizes likewise. What nobody gives is left open.
"""

from __future__ import annotations

from preprocessing.weights.known_faces import FACES, LANDMARKS
from preprocessing.weights.known_models import MODELS
from preprocessing.weights.known_skeletons import BODIES, PERSONS
from preprocessing.weights.registry import Registry

REGISTRY = Registry([*FACES, *LANDMARKS, *PERSONS, *BODIES, *MODELS])
