"""Synthetic emotion videos with known truth, made from one photograph that a dependency ships."""
