"""What a report of a fault says of the environment."""

from importlib.metadata import version

import vi
from vi.foundation import environment


def test_it_names_what_is_needed_and_what_can_be_used(capsys):
    vi.show_versions()
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert said["pymc-vi"] == vi.__version__
    for name in ("pymc", "pytensor", "jax", "numpy", "blackjax", "flowjax", "numba"):
        assert said[name] == version(name)
    assert said["x64"].split()[0] in ("on", "off")
    assert said["devices"]


def test_what_is_not_there_is_missing(monkeypatch):
    monkeypatch.setattr(environment, "BESIDE", ("no-such-package",))
    assert any(line.split() == ["no-such-package", "missing"] for line in environment._report())


def test_names_of_requirements():
    several = ["a-b_c.d>=1", "numpy", "x[extra]>=2; extra == 'y'", "z (>=1)"]
    assert [environment._name(each) for each in several] == ["a-b_c.d", "numpy", "x", "z"]
