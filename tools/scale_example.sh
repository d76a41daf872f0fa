#!/bin/sh
# All figures and the picture of docs/scale.md, on a machine that does nothing else:
#
#     tools/scale_example.sh VIDEOS...     (weights: $VIDEOFER_WEIGHTS)
#
# Leaves build/scale/*.txt and docs/images/scale.png.
set -eu
out=build/scale
mkdir -p "$out"
.venv/bin/python tools/bench_estimate.py "$@" --rounds 3 --report "$out/report.json" | tee "$out/estimate.txt"
.venv/bin/python tools/bench_scale.py --json "$out/overheads.json" 2> /dev/null | tee "$out/driver.txt"
plan() {
    name=$1
    shift
    .venv/bin/videofer plan --rates "$out/report.json" --overheads "$out/overheads.json" --hours 100000 \
        --cores-per-node 32 "$@" | tee "$out/plan-$name.txt"
}
plan base --videos 100000 --workers 512
plan picture --videos 100000 --workers 2048 --picture docs/images/scale.png
plan deadline --videos 100000 --deadline 60
plan whole --videos 100000 --workers 512 --segment-seconds 0
plan random --videos 100000 --workers 512 --segment-seconds 0 --order random
plan faults --videos 100000 --workers 512 --deaths-per-hour 0.1 --node-losses 2
plan million --videos 1000000 --workers 512
