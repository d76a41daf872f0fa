"""What tools/bench_engines.py is made of."""
