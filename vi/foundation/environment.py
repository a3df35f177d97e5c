"""What a fit depends on in this environment, to be pasted into a report: ``vi.show_versions()``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, requires, version

import jax

from vi.foundation.version import __version__

__all__ = ["show_versions"]

ALWAYS = ("pymc", "pytensor", "jax", "optax", "numpy", "scipy", "xarray")
"""What is listed of a source tree that was never installed, whose requirements are not known."""

BESIDE = ("numba", "jaxlib", "bambi", "pymc-marketing", "pymc-extras", "hssm")
"""Packages that are none of ours and that answers depend on as well."""


def show_versions() -> None:
    """Print the versions of everything that a fit depends on, for reports of faults.

    Python, the machine, the devices that JAX has and its precision, and each package that
    ``pymc-vi`` needs or can use: ``missing`` where it is not installed. Nothing is imported for it.

    Examples
    --------
    >>> import vi
    >>> vi.show_versions()  # doctest: +ELLIPSIS
    pymc-vi  ...
    python   ...
    """
    print("\n".join(_report()))  # noqa: T201 (what it is for)


def _report() -> list[str]:
    """The lines."""
    facts = {
        "pymc-vi": __version__,
        "python": f"{platform.python_version()} ({sys.implementation.name})",
        "machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "devices": ", ".join(f"{d.platform}:{d.id} {d.device_kind}" for d in jax.devices()),
        "x64": f"{'on' if jax.config.jax_enable_x64 else 'off'} (jax_enable_x64 of the process)",
    }
    names = list(dict.fromkeys([*_required(), *BESIDE]))
    facts |= {name: _version(name) for name in names}
    width = max(map(len, facts))
    return [f"{name:<{width}}  {fact}" for name, fact in facts.items()]


def _required() -> Sequence[str]:
    """The packages that the distribution names, without their versions; extras included."""
    try:
        named = requires("pymc-vi") or []
    except PackageNotFoundError:  # a source tree that was never installed
        return ALWAYS
    return [_name(requirement) for requirement in named]


def _name(requirement: str) -> str:
    """The name at the beginning of a requirement."""
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
