"""Parts of `tools/bench.py`: each measures one thing side by side and prints a table."""
