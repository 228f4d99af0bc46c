#!/usr/bin/env python3
"""A data set of networks on a simulated device, whose law is known: what the pages and the tests of prediction are shown on.

usage: simulated_data_set.py FOLDER [--networks N] [--slow FACTOR]
"""

import argparse
import csv
import hashlib
import json
import math
import os
import random

COLUMNS = ["network", "config", "layer", "kind", "batch", "in_0", "in_1", "in_2", "out_0", "out_1", "out_2", "kernel_0", "kernel_1",
           "stride_0", "stride_1", "pad_0", "pad_1", "groups", "dtype", "runtime_s", "energy_j"]


def convolution(batch, channels, size, out, kernel, stride=1, groups=1):
    to = (size + 2 * (kernel // 2) - kernel) // stride + 1
    pad = 2 * (kernel // 2)
    return {"kind": "convolution", "batch": batch, "in_0": channels, "in_1": size, "in_2": size, "out_0": out, "out_1": to, "out_2": to,
            "kernel_0": kernel, "kernel_1": kernel, "stride_0": stride, "stride_1": stride, "pad_0": pad, "pad_1": pad, "groups": groups}


def time_of(layer, slow=1.0):
    """A device: 5 µs to launch, 50 GFLOP/s (depthwise a sixth), 10 GB/s."""
    n, ins = layer["batch"], layer["in_0"] * layer["in_1"] * layer["in_2"]
    outs = layer["out_0"] * layer["out_1"] * layer["out_2"]
    macs = n * outs * layer["in_0"] / layer.get("groups", 1) * layer["kernel_0"] ** 2 if layer["kind"] == "convolution" else n * ins * outs
    compute = 2 * macs * 2e-11 * (6 if layer.get("groups", 1) > 1 else 1)
    return slow * (5e-6 + math.hypot(compute, 4 * n * (ins + outs) * 1e-10))


def rows_of(networks, slow=1.0, noise=0.04):
    chance, rows = random.Random(3), []
    for number in range(networks):
        width = chance.choice([16, 24, 32, 48, 64])
        for batch in (1, 4):
            size, channels, layers = 112, 3, []
            for stage in range(4):
                out = width << stage
                layers += [convolution(batch, channels, size, out, chance.choice([3, 5])), convolution(batch, out, size, out, 3, 2, out)]
                size, channels = layers[-1]["out_1"], out
                layers += [convolution(batch, channels, size, out, 1)]
            layers.append({"kind": "dense", "batch": batch, "in_0": channels, "in_1": 1, "in_2": 1, "out_0": 1000, "out_1": 1, "out_2": 1, "kernel_0": 1})
            layers.append({"kind": "dense", "batch": batch, "in_0": 1000, "in_1": 1, "in_2": 1, "out_0": 10 + width, "out_1": 1, "out_2": 1, "kernel_0": 1})
            for at, layer in enumerate(layers):
                runtime = time_of(layer, slow) * math.exp(chance.gauss(0, noise))
                rows.append({**layer, "network": f"net{number}", "config": f"b{batch}", "layer": f"layer{at}", "dtype": "float32", "runtime_s": repr(runtime),
                             "energy_j": repr(runtime * 8)})
    return rows


def write_data_set(rows, folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "rows.csv")
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    with open(os.path.join(folder, "dataset.json"), "w", encoding="utf-8") as file:
        json.dump({"format": "prony-layer-dataset", "version": 1, "facts": {"device": "simulated"}, "files": {"rows.csv": {"sha256": digest}}}, file)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--slow", type=float, default=1.0)
    options = parser.parse_args()
    write_data_set(rows_of(options.networks, options.slow), options.folder)
