#!/usr/bin/env python3
"""Stands in for NVIDIA's trtexec: takes the options that Prony gives it, writes the files of TensorRT 10 as they are, and
breaks in the ways that TRTEXEC_FAULT names: fail, rubbish, few, silent, hang. What it was called with is added to TRTEXEC_LOG, if that is set.
"""

import json
import os
import sys
import time

LATENCY_MS = 2.5
LAYERS = [("conv1 + relu1", 1.0), ("Reformatting CopyNode for Input Tensor 0 to fc1", 0.25), ("fc1", 0.75)]


def main():
    if "TRTEXEC_LOG" in os.environ:
        with open(os.environ["TRTEXEC_LOG"], "a", encoding="utf-8") as log:
            log.write(json.dumps(sys.argv[1:]) + "\n")
    given = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
    building, fault = "onnx" in given, os.environ.get("TRTEXEC_FAULT", "")
    print("&&&& RUNNING TensorRT.trtexec [TensorRT v100300] # trtexec", flush=True)
    if fault == "fail":
        print("[11/22/2026-12:00:00] [E] Error[4]: No importer registered for op: Nonsense", flush=True)
        print("&&&& FAILED TensorRT.trtexec [TensorRT v100300]", flush=True)
        sys.exit(1)
    if fault == "hang":
        print(os.getpid(), file=open(os.environ["TRTEXEC_LOG"] + ".pid", "w", encoding="utf-8"), flush=True)
        time.sleep(600)
    if building:
        with open(given["saveEngine"], "w", encoding="utf-8") as file:
            file.write("engine")
    elif not os.path.exists(given["loadEngine"]):
        sys.exit(3)
    runs = int(given["iterations"]) - (fault == "few" and not building)
    time.sleep(runs * LATENCY_MS / 1000)
    print("[11/22/2026-12:00:01] [I] Warmup completed 3 queries over 200 ms", flush=True)
    if fault != "silent":
        with open(given["exportTimes"], "w", encoding="utf-8") as file:
            times = [{"startEnqMs": i * LATENCY_MS, "endEnqMs": i * LATENCY_MS, "startH2dMs": i * LATENCY_MS,
                      "endH2dMs": i * LATENCY_MS, "startComputeMs": i * LATENCY_MS, "endComputeMs": (i + 1) * LATENCY_MS,
                      "startD2hMs": (i + 1) * LATENCY_MS, "endD2hMs": (i + 1) * LATENCY_MS, "h2dMs": 0,
                      "computeMs": LATENCY_MS + (0.1 if i % 2 else -0.1), "d2hMs": 0, "latencyMs": LATENCY_MS + (0.1 if i % 2 else -0.1)} for i in range(runs)]
            file.write("[rubbish" if fault == "rubbish" else json.dumps(times))
    if "exportProfile" in given:
        with open(given["exportProfile"], "w", encoding="utf-8") as file:
            json.dump([{"count": runs}] + [{"name": name, "timeMs": ms * runs, "averageMs": ms, "medianMs": ms, "percentage": 50 * ms}
                                           for name, ms in LAYERS], file)
        with open(given["exportLayerInfo"], "w", encoding="utf-8") as file:
            json.dump({"Layers": [
                {"Name": LAYERS[0][0], "LayerType": "CaskConvolution", "ParameterType": "Convolution", "Kernel": [5, 5],
                 "Stride": [1, 1], "PrePadding": [0, 0], "PostPadding": [0, 0], "Dilation": [1, 1], "Groups": 1,
                 "Inputs": [{"Name": "i", "Dimensions": [1, 1, 32, 32], "Format/Datatype": "Row major linear FP16 format"}],
                 "Outputs": [{"Name": "o", "Dimensions": [1, 6, 28, 28], "Format/Datatype": "Row major linear FP16 format"}]},
                {"Name": LAYERS[1][0], "LayerType": "Reformat", "ParameterType": "Reformat", "Inputs": [], "Outputs": []}]}, file)
    print("&&&& PASSED TensorRT.trtexec [TensorRT v100300]", flush=True)


if __name__ == "__main__":
    main()
