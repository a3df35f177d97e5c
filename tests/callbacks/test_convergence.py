"""Settings of the convergence check are refused where it is made, not at its second call."""

from types import SimpleNamespace

import numpy as np
import pytest
from problems import conjugate_normal

import vi
from vi.callbacks import CheckLossConvergence, CheckParametersConvergence
from vi.training import Converged


@pytest.mark.parametrize("order", ["x", None, np.nan, True])
def test_an_order_of_a_norm_is_a_number(order):
    with pytest.raises(ValueError, match=r"ord=.*: must be a number"):
        CheckParametersConvergence(ord=order)
    for fine in (1, 2.0, np.inf, np.float32(2)):
        CheckParametersConvergence(ord=fine)


def called(check, losses):
    """After how many steps the check ended the run, and with what; None if it did not."""
    for i in range(check.every, len(losses) + 1, check.every):
        try:
            check(None, losses[:i], i)
        except Converged as error:
            return i, str(error)
    return None


@pytest.mark.parametrize("patience", [1, 3])
def test_a_settled_loss_ends_the_run(rng, patience):
    """Of noise alone no window is lower by three errors but by chance, one in 700."""
    check = CheckLossConvergence(every=100, patience=patience, errors=3.0)
    step, text = called(check, rng.normal(5.0, 1.0, 10_000))
    assert step == 100 * (1 + patience)
    assert "standard errors" in text


def test_a_falling_loss_goes_on(rng):
    """By two errors of a difference a window; and slower, by half of one, seen in the fourth."""
    noise = rng.normal(0.0, 1.0, 10_000)
    fall = np.arange(10_000) / 100 * np.sqrt(2 / 100)
    assert called(CheckLossConvergence(every=100, errors=1.0), noise - 3.0 * fall) is None
    ended = called(CheckLossConvergence(every=100, patience=20, errors=1.0), noise - 0.5 * fall)
    assert ended is None


def test_losses_have_to_be_kept():
    with pytest.raises(TypeError, match="leave score=False out"):
        CheckLossConvergence()(None, None, 1000)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"every": 0}, "every"), ({"patience": 0}, "patience"), ({"errors": -1.0}, "errors")],
)
def test_settings_of_the_check_of_losses(arguments, match):
    with pytest.raises(ValueError, match=match):
        CheckLossConvergence(**arguments)


def test_in_a_run():
    exact = conjugate_normal()
    check = CheckLossConvergence(every=500)
    approx = vi.fit(
        100_000, "advi", exact.model, callbacks=[check], random_seed=1, progressbar=False
    )
    assert approx.status.ending == "converged"
    assert approx.status.step < 50_000
    assert abs(approx.mean.eval()[0] - exact.mean[0]) < 0.2 * np.sqrt(exact.cov[0, 0])


def test_the_check_begins_anew_with_another_run(rng):
    check = CheckLossConvergence(every=100, errors=3.0)
    low, high = (rng.normal(level, 1.0, 10_000) for level in (0.0, 1000.0))
    first, _ = called(check, low)
    assert called(check, high)[0] == first == 400


def test_the_check_reads_the_losses_of_one_stage(rng):
    """Another algorithm's loss may lie below all that come now."""
    losses = np.append(rng.normal(0.0, 1.0, 450), 10.0 + rng.normal(0.0, 1.0, 1000))
    losses[450:] += np.linspace(500.0, 0.0, 1000)
    for check in (CheckLossConvergence(every=100), CheckLossConvergence(every=100)):
        for i in range(500, len(losses) + 1, 100):
            record = SimpleNamespace(losses_before=450)
            check(SimpleNamespace(record=record), losses[:i], i)


def test_the_check_begins_anew_with_another_stage(rng):
    """The same one, whose steps count on."""
    check = CheckLossConvergence(every=100, patience=1)
    losses = np.append(rng.normal(0.0, 1.0, 200), np.linspace(500.0, 100.0, 1000))
    for i in range(100, len(losses) + 1, 100):
        before = 0 if i <= 100 else 200
        check(SimpleNamespace(record=SimpleNamespace(losses_before=before)), losses[:i], i)
    again = CheckLossConvergence(every=100)
    again.set_state(check.get_state())
    assert vars(again) == vars(check) | {"patience": 3}
