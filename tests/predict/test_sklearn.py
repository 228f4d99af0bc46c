"""Prony's fits of EdgeProfiler's six pipelines against scikit-learn's, made anew, both at a tolerance of 1e-12; and how long
the same command and the same script took. Needs scikit-learn: tools/setup-sklearn.sh; stage `sklearn` of tools/run_tests.py.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import sklearn_pipelines  # noqa: E402

BUILD = "build/dev"
COLUMNS = {"convolution": ["batch_size", *(f"{side}_size_{i}" for side in ("input", "output") for i in range(3)), "kernel_0", "kernel_1",
                           "padding_0", "padding_1", "stride_0", "stride_1"],
           "pooling": ["batch_size", *(f"{side}_size_{i}" for side in ("input", "output") for i in range(3)), "kernel_0", "kernel_1",
                       "stride_0", "stride_1"],
           "dense": ["batch_size", "input_size", "output_size"]}
FILES = {"convolution": "convolutional", "pooling": "pooling", "dense": "dense"}


class Sklearn(unittest.TestCase):
    def test_the_six_pipelines_have_the_coefficients_that_scikit_learn_finds(self):
        with tempfile.TemporaryDirectory(prefix="prony-sklearn-") as folder:
            os.mkdir(os.path.join(folder, "net"))
            for kind, columns in COLUMNS.items():
                with open(os.path.join(folder, "net", FILES[kind] + ".csv"), "w", encoding="utf-8", newline="") as file:
                    rows = csv.writer(file)
                    rows.writerow([*columns, "power", "runtime", "layer_name"])
                    for number, (inputs, runtime, power) in enumerate(sklearn_pipelines.rows_of(kind, 7)):
                        rows.writerow([*inputs, repr(power * 1e6), repr(runtime), f"{kind} {number}"])
            settings = ["--alphas", "20", "--max-iter", "1000", "--tol", "1e-12"]
            theirs, ours = os.path.join(folder, "sklearn.json"), os.path.join(folder, "prony.json")
            begin = time.monotonic()
            subprocess.run([sys.executable, os.path.join(HERE, "sklearn_pipelines.py"), theirs, *settings], check=True)
            between = time.monotonic()
            subprocess.run([os.path.join(BUILD, "prony"), "predict", "edgeprofiler", folder, *settings, "-o", ours], check=True)
            print(f"the script took {between - begin:.2f} s, the command {time.monotonic() - between:.2f} s", flush=True)
            with open(theirs, encoding="utf-8") as file:
                expected = json.load(file)["pipelines"]
            with open(ours, encoding="utf-8") as file:
                found = {(one["kind"], one["power"]): one for one in json.load(file)}
            self.assertEqual(len(found), 6)
            for want in expected:
                got = found[want["kind"], want["power"]]
                with self.subTest(kind=want["kind"], power=want["power"]):
                    self.assertEqual(got["columns"], want["columns"])
                    for name in ("alpha", "intercept"):
                        self.assertLessEqual(abs(got[name] - want[name]), 1e-6 * abs(want[name]), name)
                    largest = max(abs(w) for w in want["weights"].values())
                    for column in {*want["weights"], *got["weights"]}:
                        theirs_w, ours_w = want["weights"].get(column, 0), got["weights"].get(column, 0)
                        self.assertLessEqual(abs(ours_w - theirs_w), 1e-6 * max(abs(theirs_w), 1e-6 * largest), column)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
