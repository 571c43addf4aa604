"""Writes the vectors against which `shared/src/local` tests its clusterings.

    python make_vectors.py [data set ...]        # scikit-learn 1.9.1; digits takes twenty minutes

The data sets are those that come with scikit-learn; nothing is fetched.

`<name>.data.txt`: the columns' population deviations (1 for a constant column), by which the rows
are to be divided; then one row a line, values between commas, or for digits one letter a value
(`a` is 0).

`<name>.expected.txt`, a line each, labels as a string of digits, one a row:
- `k-means K INERTIA ARI LABELS`: the best of 50 seeds, and the least adjusted Rand index between the
  labels of any of them and of seed 9 (1 where scikit-learn is deterministic).
- `k-means-search K ARI LABELS`: the reference's choice of K (mini-batches), refit with seed 9.
- `birch K THRESHOLD BRANCHING SUBCLUSTERS SCORE LABELS`, and `birch-search` for the grid's outcome.
- `spectral GAMMA K ARI SCORE LABELS` where scikit-learn's labels are the same for twelve seeds (ARI
  is 1), and `spectral-search` for the grid's outcome with seed 9, whatever it is. Of digits gamma 1 and
  10 are left out.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.cluster import Birch, KMeans, MiniBatchKMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
SETS = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "wdbc": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}


def digits_of(labels):
    return "".join(str(label) for label in labels)


def least_agreement(labels, others):
    return min(adjusted_rand_score(labels, other) for other in others)


def write_data(name, values):
    scaler = StandardScaler(with_mean=False).fit(values)
    if name == "digits":
        rows = ["".join(chr(ord("a") + int(value)) for value in row) for row in values]
    else:
        rows = [",".join(f"{value:.15g}" for value in row) for row in values]
    scale = ",".join(repr(float(scale)) for scale in scaler.scale_)
    (HERE / f"{name}.data.txt").write_text("\n".join([scale, *rows]) + "\n")
    return scaler.transform(values)


def k_means(rows):
    best = (0, None)
    for k in range(2, 6):
        runs = [KMeans(k, random_state=seed).fit(rows) for seed in range(50)]
        found = min(runs, key=lambda run: run.inertia_)
        agreement = least_agreement(runs[9].labels_, [run.labels_ for run in runs])
        yield f"k-means {k} {found.inertia_!r} {agreement} {digits_of(found.labels_)}"
        batches = MiniBatchKMeans(k, batch_size=200, random_state=9)
        score = calinski_harabasz_score(rows, batches.fit_predict(rows))
        if score > best[0]:
            best = (score, f"k-means-search {k} {agreement} {digits_of(runs[9].labels_)}")
    yield best[1]


def birch(rows):
    best = (0, None)
    for k in range(2, 6):
        for threshold in (0.1, 0.3, 0.5, 0.7):
            for branching in (10, 20, 50, 70):
                found = Birch(n_clusters=k, threshold=threshold, branching_factor=branching)
                found.fit(rows)
                labels = found.labels_
                score = calinski_harabasz_score(rows, labels)
                subclusters = len(found.subcluster_centers_)
                setting = f"{k} {threshold} {branching} {subclusters} {float(score)!r}"
                line = f"{setting} {digits_of(labels)}"
                few = len(rows) < 200 or threshold == 0.7 or (threshold, branching) == (0.1, 10)
                if few:
                    yield f"birch {line}"
                if score > best[0]:
                    best = (score, f"birch-search {line}")
    yield best[1]


def spectral(name, rows):
    best = (0, None)
    for gamma in (0.01, 0.1, 1, 10):
        if name == "digits" and gamma >= 1:
            # Hardly a digit has a neighbour: the solver takes many minutes to find some of a
            # thousand vectors that are all as good.
            continue
        for k in range(3, 7):
            runs = [
                SpectralClustering(k, gamma=gamma, random_state=seed).fit_predict(rows)
                for seed in (*range(9, 15), *range(6))
            ]
            agreement = least_agreement(runs[0], runs)
            score = float(calinski_harabasz_score(rows, runs[0]))
            line = f"{gamma} {k} {agreement} {score!r} {digits_of(runs[0])}"
            if agreement == 1:
                yield f"spectral {line}"
            if score > best[0]:
                best = (score, f"spectral-search {line}")
    yield best[1]


def main():
    warnings.filterwarnings("ignore")
    for name in sys.argv[1:] or SETS:
        rows = write_data(name, np.asarray(SETS[name]().data, dtype=float))
        lines = [*k_means(rows), *birch(rows), *spectral(name, rows)]
        (HERE / f"{name}.expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
