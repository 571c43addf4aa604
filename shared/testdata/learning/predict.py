"""Predicts by a model file (`shared/src/local/learning/MODEL.md`), with nothing but Python.

    python predict.py model.json testing.csv [result.csv]

Prints a class a line; with a result file, how many of its rows say the same.
"""

import csv
import json
import math
import sys

NULLS = {
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
}


def encoded(encoder, record):
    """A row of numbers."""
    row = [0.0] * len(encoder["features"])
    for column in encoder["columns"]:
        cell = record[column["name"]]
        if column["kind"] == "number":
            row[column["at"]] = column["mean"] if cell in NULLS else float(cell)
        elif cell in column["at"]:
            row[column["at"][cell]] = 1.0
    return [x / s for x, s in zip(row, encoder["scale"])] if "scale" in encoder else row


def dot(one, other):
    return sum(a * b for a, b in zip(one, other))


def tree(parameters, row, _):
    node = parameters["nodes"][0]
    while "class" not in node:
        below = row[node["feature"]] <= node["threshold"]
        node = parameters["nodes"][node["left" if below else "right"]]
    return node["class"]


def regression(parameters, row, _):
    scores = [dot(w, row) + b for w, b in zip(parameters["coefficients"], parameters["intercepts"])]
    return int(scores[0] > 0) if len(scores) == 1 else scores.index(max(scores))


def vectors(parameters, row, count):
    kernel = [
        math.exp(-parameters["gamma"] * sum((a - b) ** 2 for a, b in zip(row, vector)))
        for vector in parameters["support_vectors"]
    ]
    votes = [0] * count
    for pair in parameters["pairs"]:
        score = dot(pair["coefficients"], [kernel[at] for at in pair["support"]])
        votes[pair["positive" if score + pair["intercept"] > 0 else "negative"]] += 1
    return votes.index(max(votes))


def main():
    model = json.load(open(sys.argv[1], encoding="utf-8"))
    predict = {"decision_tree": tree, "logistic_regression": regression, "svm": vectors}
    predict = predict[model["learner"]]
    classes = model["classes"]
    with open(sys.argv[2], encoding="utf-8-sig", newline="") as file:
        rows = [encoded(model["encoder"], record) for record in csv.DictReader(file)]
    predicted = [classes[predict(model["parameters"], row, len(classes))] for row in rows]
    if len(sys.argv) < 4:
        print("\n".join(map(str, predicted)))
        return
    with open(sys.argv[3], encoding="utf-8", newline="") as file:
        results = [row[-1] for row in csv.reader(file)][1:]
    same = sum(
        str(found) == result or (not isinstance(found, str) and found == float(result))
        for found, result in zip(predicted, results, strict=True)
    )
    print(f"{same} of {len(results)} rows are the same")


main()
