"""The parts of `tools/release_builtin.py`: what makes a run the model that comes with videofer."""
