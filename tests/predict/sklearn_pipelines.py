#!/usr/bin/env python3
"""EdgeProfiler's six pipelines in scikit-learn, over layers of known networks with made-up times: what Prony's are held
against (tests/predict/lasso_test.cpp by kept numbers, tests/predict/test_sklearn.py by numbers made anew).

usage: sklearn_pipelines.py OUT.json [--alphas N] [--max-iter N] [--tol T]
"""

import argparse
import json
import random
import time

CONVOLUTIONS = [  # in channels, size, out channels, kernel, stride
    (3, 224, 64, 11, 4), (64, 27, 192, 5, 1), (192, 13, 384, 3, 1), (384, 13, 256, 3, 1), (256, 13, 256, 3, 1), (3, 224, 64, 3, 1),
    (64, 224, 64, 3, 1), (64, 112, 128, 3, 1), (128, 112, 128, 3, 1), (128, 56, 256, 3, 1), (256, 56, 256, 3, 1), (256, 28, 512, 3, 1),
    (512, 28, 512, 3, 1), (512, 14, 512, 3, 1), (3, 224, 64, 7, 2), (64, 56, 64, 3, 1), (64, 56, 128, 3, 2), (64, 56, 128, 1, 2),
    (128, 28, 128, 3, 1), (128, 28, 256, 3, 2), (128, 28, 256, 1, 2), (256, 14, 256, 3, 1), (256, 14, 512, 3, 2), (256, 14, 512, 1, 2),
    (512, 7, 512, 3, 1), (64, 56, 256, 1, 1), (256, 56, 64, 1, 1), (256, 56, 128, 1, 1), (512, 28, 128, 1, 1), (1024, 14, 256, 1, 1),
    (3, 224, 32, 3, 2), (96, 112, 24, 1, 1), (24, 56, 144, 1, 1), (144, 28, 32, 1, 1), (192, 14, 64, 1, 1), (576, 14, 96, 1, 1),
    (960, 7, 320, 1, 1), (320, 7, 1280, 1, 1), (3, 32, 6, 5, 1), (6, 14, 16, 5, 1)]


def rows_of(kind, seed):
    """Rows of inputs, in EdgeProfiler's order, with a time in ms and a power in W."""
    chance = random.Random(seed)
    rows = []
    if kind == "dense":
        for size, out in [(9216, 4096), (4096, 4096), (4096, 1000), (25088, 4096), (512, 1000), (2048, 1000), (1280, 1000), (400, 120),
                          (120, 84), (84, 10), (768, 1000), (1024, 1000), (960, 1280), (576, 1024)]:
            for batch in (1, 2, 4):
                cost = 0.004 + 2e-9 * batch * size * out + 1e-8 * size * out
                rows.append(([batch, batch * size, batch * out], cost))
    else:
        for channels, size, out, kernel, stride in CONVOLUTIONS:
            for batch in (1, 2):
                size_out = (size + 2 * (kernel // 2) - kernel) // stride + 1
                if kind == "convolution":
                    padding = 2 * (kernel // 2)
                    macs = batch * channels * out * size_out * size_out * kernel * kernel
                    rows.append(([batch, channels, size, size, out, size_out, size_out, kernel, kernel, padding, padding, stride, stride],
                                 0.008 + 6e-10 * macs + 2e-8 * batch * (channels * size * size + out * size_out * size_out)))
                elif kernel > 1:
                    rows.append(([batch, channels, size, size, channels, size_out, size_out, kernel, kernel, stride, stride],
                                 0.003 + 3e-8 * batch * channels * (size * size + kernel * size_out * size_out)))
    return [(inputs, cost * chance.uniform(0.9, 1.1), 1 + 6 * cost / (cost + 0.05) * chance.uniform(0.95, 1.05)) for inputs, cost in rows]


def pipeline(kind, power, options):
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LassoCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, RobustScaler, StandardScaler

    products = {"convolution": [[1, 2, 3, 7, 8, 6], [0, 1, 2, 3, 7, 8, 6]],
                "pooling": [[0, 1, 2, 3], [0, 4, 5, 6], [0, 1, 2, 3, 7, 8]], "dense": []}[kind]
    width = {"convolution": 13, "pooling": 11, "dense": 3}[kind]
    steps = [("log", FunctionTransformer(np.log1p))] if kind == "convolution" and power else []
    columns = [("polynomial", Pipeline([*steps, ("polynomial", PolynomialFeatures(degree=3))]), list(range(width)))]
    for number, product in enumerate(products):
        columns.append((f"product{number}", FunctionTransformer(lambda x: np.prod(x, axis=1, keepdims=True)), product))
    scaler = RobustScaler() if kind == "pooling" and power else StandardScaler()
    lasso = LassoCV(cv=10, random_state=42, max_iter=options.max_iter, tol=options.tol, fit_intercept=True,
                    positive=not (kind == "pooling" and not power), **alphas(options.alphas))
    return Pipeline([("columns", ColumnTransformer(columns)), ("scaler", scaler), ("lasso", lasso)])


def alphas(count):
    import sklearn
    major, minor = (int(part) for part in sklearn.__version__.split(".")[:2])
    return {"alphas": count} if (major, minor) >= (1, 7) else {"n_alphas": count}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--alphas", type=int, default=500)
    parser.add_argument("--max-iter", type=int, default=10000)
    parser.add_argument("--tol", type=float, default=1e-12)
    options = parser.parse_args()
    import warnings

    import numpy as np
    import sklearn
    warnings.simplefilter("ignore")
    found = {"sklearn": sklearn.__version__, "alphas": options.alphas, "max_iter": options.max_iter, "tol": options.tol, "pipelines": []}
    for kind in ("convolution", "pooling", "dense"):
        for power in (True, False):
            rows = rows_of(kind, 7)
            x = np.array([r[0] for r in rows], dtype=float)
            y = np.array([r[2 if power else 1] for r in rows])
            begin = time.perf_counter()
            made = pipeline(kind, power, options).fit(x, y)
            lasso = made.named_steps["lasso"]
            print(kind, "power" if power else "runtime", f"{time.perf_counter() - begin:.2f} s, {int((lasso.coef_ != 0).sum())} of {len(lasso.coef_)}, "
                  f"alpha {lasso.alpha_:.6g}, {lasso.n_iter_} passes", flush=True)
            found["pipelines"].append({
                "kind": kind, "power": power, "inputs": x.tolist(), "values": y.tolist(), "alpha": lasso.alpha_, "intercept": float(lasso.intercept_),
                "columns": len(lasso.coef_), "passes": int(lasso.n_iter_),
                "weights": {str(j): float(w) for j, w in enumerate(lasso.coef_) if w != 0}})
    with open(options.out, "w", encoding="utf-8") as file:
        json.dump(found, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
