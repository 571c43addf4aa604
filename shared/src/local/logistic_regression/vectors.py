"""Makes vectors.json: scikit-learn's logistic regression, and FATE's optimisers step by step.

    pip install scikit-learn numpy && python3 vectors.py > vectors.json

`optima`: on deploy/wdbc.csv, the minimum of mean log loss + alpha / 2 sum w^2, the intercept free,
over columns centred and divided by their population deviation; in scikit-learn's words
C = 1 / (rows alpha). Its optimum is polished by Newton steps until the gradient vanishes in f64;
`polish` is how far they moved it.

`descents`: weights (two coefficients, then the intercept) after each mini-batch, by the formulas
that FATE 1.x's documentation and code give; two batches an iteration, `gradients` repeated.
"""

import csv
import json
import math
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

DATA = pathlib.Path(__file__).parents[4] / "deploy" / "wdbc.csv"
SCORED = 8

RATE, DECAY, ALPHA, BATCHES = 0.15, 1.0, 0.3, 2
START = [0.5, -0.25, 0.125]
# Sums over one row, exact in 40 binary digits.
GRADIENTS = [
    [1.5, -0.75, 0.25],
    [-0.5, 2.0, -1.0],
    [0.0625, 0.0, 3.0],
    [-4.0, 0.5, 0.5],
    [0.25, 0.25, -0.25],
    [1.0, -1.0, 2.0],
]


def polish(table, classes, alpha, weights):
    """Newton's method; the last column of `table` is the intercept's, which has no penalty."""
    ridge = np.append(np.full(table.shape[1] - 1, alpha), 0.0)
    for _ in range(20):
        p = 1 / (1 + np.exp(-table @ weights))
        gradient = table.T @ (p - classes) / len(classes) + ridge * weights
        hessian = (table.T * (p * (1 - p))) @ table / len(classes) + np.diag(ridge)
        weights = weights - np.linalg.solve(hessian, gradient)
    assert np.abs(gradient).max() < 1e-16, gradient
    return weights


def move(optimizer, state, g, rate, t):
    """What an optimiser subtracts; `t` counts updates from 1."""
    if optimizer == "sgd":
        return rate * g
    if optimizer == "rmsprop":
        state["m"] = 0.99 * state["m"] + 0.01 * g**2
        return rate * g / math.sqrt(state["m"] + 1e-6)
    if optimizer == "adagrad":
        state["m"] += g**2
        return rate * g / (math.sqrt(state["m"]) + 1e-7)
    if optimizer == "nesterov_momentum_sgd":
        before = state["v"]
        state["v"] = 0.9 * before - rate * g
        return 0.9 * before - 1.9 * state["v"]
    assert optimizer == "adam"
    state["m"] = 0.9 * state["m"] + (1 - 0.9) * g
    state["v"] = 0.999 * state["v"] + (1 - 0.999) * g**2
    mean, square = state["m"] / (1 - 0.9**t), state["v"] / (1 - 0.999**t)
    return rate * mean / (math.sqrt(square) + 1e-8)


def descent(optimizer, penalty):
    weights, trace = list(START), []
    states = [{"m": 0.0, "v": 0.0} for _ in weights]
    for step, gradient in enumerate(GRADIENTS):
        rate = RATE / math.sqrt(1 + DECAY * (step // BATCHES))
        for j, g in enumerate(gradient):
            coefficient = j < len(weights) - 1
            if penalty == "l2" and coefficient:
                g += ALPHA * weights[j]
            weights[j] -= move(optimizer, states[j], g, rate, step + 1)
            if penalty == "l1" and coefficient:
                shrunk = max(0.0, abs(weights[j]) - ALPHA * rate)
                weights[j] = math.copysign(shrunk, weights[j])
        trace.append(list(weights))
    return {"optimizer": optimizer, "penalty": penalty, "weights": trace}


def optima():
    with open(DATA, newline="") as file:
        rows = list(csv.reader(file))[1:]
    values = np.array([[float(cell) for cell in row[1:-1]] for row in rows])
    classes = np.array([int(row[-1]) for row in rows])
    scaler = StandardScaler().fit(values)
    table = np.c_[scaler.transform(values), np.ones(len(rows))]
    cases = []
    for alpha in (0.1, 0.01):
        model = LogisticRegression(
            C=1 / (len(rows) * alpha), solver="newton-cholesky", tol=1e-12, max_iter=1000
        ).fit(table[:, :-1], classes)
        found = np.append(model.coef_[0], model.intercept_)
        weights = polish(table, classes, alpha, found)
        scores = 1 / (1 + np.exp(-table[:SCORED] @ weights))
        cases.append(
            {
                "alpha": alpha,
                "coefficients": weights[:-1].tolist(),
                "intercept": weights[-1],
                "scores": scores.tolist(),
                "polish": float(np.abs(weights - found).max()),
            }
        )
    return {"mean": scaler.mean_.tolist(), "deviation": scaler.scale_.tolist(), "cases": cases}


def main():
    optimizers = ["sgd", "rmsprop", "adam", "adagrad", "nesterov_momentum_sgd"]
    document = {
        "made_by": "vectors.py",
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "optima": optima(),
        "start": START,
        "gradients": GRADIENTS,
        "descents": [descent(o, p) for o in optimizers for p in ("none", "l1", "l2")],
    }
    print(json.dumps(document, indent=1))


main()
