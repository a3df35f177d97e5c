"""The code of the page "Classification with particles", section by section.

It checks what the page says.
"""

import argparse
from pathlib import Path

# [import]
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

import vi

# [import end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the pictures"
)
parser.add_argument("--splits", type=int, default=1, help="splits for the average (1)")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

from style import BLUE, GREY, RED  # noqa: E402

# [model]
X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
Xt, yt = pytensor.shared(X_train), pytensor.shared(y_train)

with pm.Model() as model:
    beta = pm.Normal("beta", 0, sigma=1e2, shape=(4, 3))
    a = pm.Normal("a", 0, sigma=1e4, shape=3)
    p = pm.math.softmax(Xt @ beta + a, axis=1)
    pm.Categorical("species", p, observed=yt)
# [model end]

# [nodes]
with model:
    inference = vi.SVGD(n_particles=500, jitter=1, random_seed=1)

approx = inference.approx
test_probs = approx.sample_node(p, more_replacements={Xt: X_test}, size=100, random_seed=2)
train_probs = approx.sample_node(p, size=100, random_seed=3)

test_accuracy = pt.eq(test_probs.argmax(axis=-1), y_test).mean()
train_accuracy = pt.eq(train_probs.argmax(axis=-1), y_train).mean()
# [nodes end]
assert tuple(test_probs.shape.eval()) == (100, 38, 3)
assert tuple(train_probs.shape.eval()) == (100, 112, 3)

# [fit]
tracker = vi.callbacks.Tracker(test_accuracy=test_accuracy.eval, train_accuracy=train_accuracy.eval)
inference.fit(100, callbacks=[tracker])
inference.fit(400, obj_optimizer=vi.adamax(learning_rate=0.1), callbacks=[tracker])

print(f"{'step':>5}{'training rows':>16}{'test rows':>12}")
for step in (1, 10, 50, 100, 500):
    train, test = tracker["train_accuracy"][step - 1], tracker["test_accuracy"][step - 1]
    print(f"{step:5}{train:16.3f}{test:12.3f}")
# [fit end]
assert len(inference.hist) == len(tracker["test_accuracy"]) == len(tracker["train_accuracy"]) == 500
assert tracker["test_accuracy"][0] < 0.6
assert tracker["test_accuracy"][99] > 0.9

figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
steps = np.arange(1, 501)
for panel, low, title in ((axes[0], 0.25, "from the start"), (axes[1], 0.9, "the top tenth")):
    panel.plot(
        steps,
        tracker["train_accuracy"],
        color=GREY,
        linewidth=1.5,
        label=f"{len(y_train)} training rows",
    )
    panel.plot(
        steps, tracker["test_accuracy"], color=BLUE, linewidth=1.5, label=f"{len(y_test)} test rows"
    )
    panel.axvline(100, color=RED, linestyle=":")
    panel.set(xlabel="step", title=title, xlim=(0, 500), ylim=(low, 1.0))
axes[0].text(95, 0.27, "default", color=RED, ha="right")
axes[0].text(105, 0.27, "adamax, learning rate 0.1", color=RED)
axes[0].set_ylabel("accuracy, mean over 100 draws")
axes[0].legend(loc="center right")
figure.savefig(options.out / "iris_accuracy.png")

# [longer]
for steps in (0, 4500):
    approx.refine(steps, callbacks=[])
    sd = approx.sample(500, random_seed=4)["posterior"]["beta"].std("draw").mean().item()
    print(
        f"after {len(approx.hist):,} steps: sd of beta {sd:.1f}, test accuracy "
        f"{test_accuracy.eval():.3f}"
    )
# [longer end]
assert len(tracker["test_accuracy"]) == 500
assert sd > 10


# [splits]
def accuracy(split):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=split)
    Xt.set_value(X_train)
    yt.set_value(y_train)
    with model:
        inference = vi.SVGD(n_particles=500, jitter=1, random_seed=1)
    inference.fit(100)
    approx = inference.fit(400, obj_optimizer=vi.adamax(learning_rate=0.1))
    probs = approx.sample_node(p, more_replacements={Xt: X_test}, size=100, random_seed=2).eval()
    return (probs.argmax(axis=-1) == y_test).mean()


accuracies = [accuracy(split) for split in range(options.splits)]
print(f"splits 0 to {options.splits - 1}:", *(f"{value:.3f}" for value in accuracies))
print(f"average: {np.mean(accuracies):.3f}")
# [splits end]
assert min(accuracies) > 0.85
