"""Makes the vectors of `local::learning`'s tests with scikit-learn and pandas.

    python -m venv /tmp/sk && /tmp/sk/bin/pip install scikit-learn==1.9.1 pandas==3.1.1
    /tmp/sk/bin/python make_vectors.py        # in this folder; writes over the files beside it

Files:
- iris.csv, wine.csv, wdbc.csv: scikit-learn's data sets; the last two columns are the class and
  whether the row is of the test part (a quarter, stratified, random_state 0).
- digits.txt: the same, a letter for each of 64 pixels ('a' is 0, 'q' is 16), a digit for the class,
  and 0 or 1 for the test part.
- vectors.json:
  - `sets`: for each data set the test accuracy of trees of 20 seeds (mean, least, most), the test
    predictions (a digit each) and the accuracy of logistic regression and of the support vector
    machine, and the first class' coefficients of the logistic regression;
  - `layouts`: small files (feature, target, testing) and the result's text as the reference writes
    it: numpy's text writer with `fmt="%s"` over the original columns and one more, `Result`. Numbers
    alone are written as floats (seed-systems 1.4).

Features are in the order of DictVectorizer, by name. Logistic regression divides by the training
part's population standard deviation.
"""

import io
import json

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

SEEDS = 20


def scale_of(rows):
    """Population standard deviations, 1 for a constant column."""
    return np.where(np.ptp(rows, axis=0) == 0, 1.0, rows.std(axis=0))


def regression(rows, classes):
    """The reference's logistic regression, and how to predict with it."""
    scale = scale_of(rows)
    model = LogisticRegression(C=1.0, tol=0.01).fit(rows / scale, classes)
    return model, lambda other: model.predict(other / scale)


def written(values):
    """A number as short as it can be."""
    return str(int(values)) if values == int(values) else repr(float(values))


def data_set(name):
    """Writes a data set and returns scikit-learn's figures."""
    data = getattr(datasets, "load_" + {"wdbc": "breast_cancer"}.get(name, name))()
    rows, classes = data.data, data.target
    part = np.zeros(len(rows), int)
    part[train_test_split(np.arange(len(rows)), test_size=0.25, stratify=classes, random_state=0)[1]] = 1
    if name == "digits":
        lines = [
            "".join(chr(ord("a") + int(value)) for value in row) + f"{y}{p}"
            for row, y, p in zip(rows, classes, part)
        ]
        open("digits.txt", "w").write("\n".join(lines) + "\n")
        names = [f"pixel{column}" for column in range(64)]
    else:
        names = [feature.replace(" (cm)", "") for feature in data.feature_names]
        lines = [",".join([*names, "class", "part"])]
        for row, y, p in zip(rows, classes, part):
            lines.append(",".join([*map(written, row), str(y), str(p)]))
        open(name + ".csv", "w").write("\n".join(lines) + "\n")
    order = sorted(range(len(names)), key=lambda column: names[column])
    rows = rows[:, order]
    train, test = part == 0, part == 1
    x, y, z, truth = rows[train], classes[train], rows[test], classes[test]
    trees = [
        DecisionTreeClassifier(random_state=seed).fit(x, y).score(z, truth) for seed in range(SEEDS)
    ]
    model, predict = regression(x, y)
    vectors = SVC().fit(x, y)

    def figures(predicted):
        return {
            "accuracy": float((predicted == truth).mean()),
            "predictions": "".join(map(str, predicted)),
        }

    return {
        "tree": {"mean": float(np.mean(trees)), "least": min(trees), "most": max(trees)},
        "regression": figures(predict(z)),
        "coefficients": [round(float(w), 9) for w in model.coef_[0]],
        "vectors": figures(vectors.predict(z)),
    }


def layout(learner, feature, target, testing):
    """The text of the result as the reference writes it."""
    frames = [pd.read_csv(io.StringIO(text)) for text in (feature, target, testing)]
    feature_frame, target_frame, testing_frame = frames
    means = {
        column: feature_frame[column].mean()
        for column in feature_frame
        if feature_frame[column].isnull().any() or testing_frame[column].isnull().any()
    }
    vectorizer = DictVectorizer(sparse=False)
    rows = vectorizer.fit_transform(feature_frame.fillna(means).to_dict("records"))
    others = vectorizer.transform(testing_frame.fillna(means).to_dict("records"))
    classes = target_frame.iloc[:, 0].to_numpy()
    if learner == "Logistic Regression":
        predicted = regression(rows, classes)[1](others)
    else:
        model = {"Decision Tree": DecisionTreeClassifier(random_state=0), "SVM": SVC()}[learner]
        predicted = model.fit(rows, classes).predict(others)
    out = testing_frame.copy()
    out["Result"] = predicted
    numeric = all(pd.api.types.is_numeric_dtype(kind) for kind in out.dtypes)
    values = out.to_numpy(dtype=float if numeric else object)
    text = io.StringIO()
    np.savetxt(text, values, fmt="%s", delimiter=",", header=",".join(out.columns))
    return {
        "learner": learner,
        "feature": feature,
        "target": target,
        "testing": testing,
        "result": text.getvalue(),
    }


def layouts():
    """Small files of each kind: numbers, numbers and texts, nulls, odd numbers."""
    numbers = "a,b\n1.5,2\n0.5,4\n3.25,-1\n2.75,0\n"
    mixed = 'b,city,a\n2,"Ulm",1.5\n4,Bonn,0.5\n-1,Ulm,3.25\n0,Bonn,2.75\n'
    nulls = "a,b,c\n1.5,2,7\n,4,8\n3.25,NA,9\n2.75,0,10\n"
    integers, texts, floats = "class\n0\n0\n2\n2\n", "class\nlow\nlow\nhigh\nhigh\n", "class\n0.0\n0.0\n2.0\n2.0\n"
    odd = "a,b\n1e-05,0.0001\n1e16,123456789012345680\n-0.0,1e22\n0.1,9999999999999998.0\n"
    return [
        layout("Decision Tree", numbers, integers, "a,b\n1,3\n3,-1\n2.5,0\n"),
        layout("Logistic Regression", numbers, texts, "a,b\n1,3\n3,-1\n2.5,7\n"),
        layout("SVM", mixed, integers, "b,city,a\n3,Ulm,1\n-1,Bonn,3.0\n"),
        layout("Decision Tree", mixed, floats, "b,city,a\n3,Ulm,1\n-1,Paris,3.0\n"),
        layout("Decision Tree", nulls, integers, "a,b,c\n,3,7\n3.25,null,10\n"),
        layout("SVM", nulls, texts, "a,b,c\n1.5,3,7\n3.25,N/A,10\n"),
        layout("Decision Tree", odd, integers, odd),
        layout("Decision Tree", odd, texts, odd),
    ]


def main():
    sets = {name: data_set(name) for name in ("iris", "wine", "wdbc", "digits")}
    vectors = {"sets": sets, "layouts": layouts()}
    open("vectors.json", "w").write(json.dumps(vectors, indent=1) + "\n")


main()
