"""The devices that a fit shares: which they are, and where its arrays lie on them."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

__all__ = ["Devices", "devices_from"]

T = TypeVar("T")

AXIS = "devices"


@dataclass(frozen=True)
class Devices:
    """Devices side by side, one axis of them, over which rows are divided.

    Parameters
    ----------
    mesh : jax.sharding.Mesh
        The devices, along one axis whose shardings XLA propagates.
    """

    mesh: Mesh

    @property
    def count(self) -> int:
        """Number of devices."""
        return int(self.mesh.devices.size)

    @property
    def several_processes(self) -> bool:
        """Whether the devices belong to more than one process."""
        return len({device.process_index for device in self.mesh.devices.flat}) > 1

    @property
    def leads(self) -> bool:
        """Whether this process, that of the first device, shows progress and logs."""
        return bool(self.mesh.devices.flat[0].process_index == jax.process_index())

    @property
    def replicated(self) -> NamedSharding:
        """Every device holds everything."""
        return NamedSharding(self.mesh, PartitionSpec())

    def rows(self, axis: int = 0) -> NamedSharding:
        """Every device holds its part of one axis."""
        return NamedSharding(self.mesh, PartitionSpec(*(None,) * axis, AXIS))

    def put(self, array: Any, sharding: NamedSharding) -> jax.Array:
        """An array of the host, the same in every process, on the devices.

        Each process places its own part.
        """
        if isinstance(array, jax.Array) and jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
            words = self.put(jax.random.key_data(array), sharding)
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(array))
        host = np.asarray(array)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    def replicate(self, tree: T) -> T:
        """A pytree with every leaf on every device."""
        placed: T = jax.tree.map(lambda leaf: self.put(leaf, self.replicated), tree)
        return placed

    def local(self, tree: T) -> T:
        """A replicated pytree as arrays of one device, which can be used without the others."""
        alone: T = jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)
        return alone

    def largest(self, numbers: Sequence[float]) -> list[float]:
        """The largest of the numbers that the processes have, for each.

        All processes must ask, and get the same answer.
        """
        with jax.enable_x64(True):
            own = np.asarray([numbers] * self.count, np.float64)  # each device reads its row
            every = self.put(own, self.rows())
            return [float(number) for number in np.asarray(self._largest(every))]

    @cached_property
    def _largest(self) -> Any:
        return jax.jit(lambda every: every.max(axis=0), out_shardings=self.replicated)

    def check_same(self, what: str, tree: Any) -> None:
        """Refuse values that differ between processes.

        Raises
        ------
        ValueError
            In every process, if they do.
        """
        if not self.several_processes:
            return
        leaves = [_host(leaf) for leaf in jax.tree.leaves(tree)]
        code = zlib.crc32(
            b"".join(repr((leaf.shape, leaf.dtype)).encode() + leaf.tobytes() for leaf in leaves)
        )
        highest, lowest = self.largest([code, -code])
        if highest != -lowest:
            raise ValueError(
                f"The processes that share the devices differ in {what}. Every process must run "
                "the same script on the "
                "same data, with the same random_seed=."
            )

    def __reduce__(self) -> Any:
        raise TypeError("Devices cannot be pickled: they belong to a running process.")


def devices_from(mesh: Any, devices: Any, backend: str = "auto") -> Devices | None:
    """The devices meant by ``mesh=`` and ``devices=``; ``None`` where neither is given.

    Parameters
    ----------
    mesh : jax.sharding.Mesh or None
        Its devices, in their order; rows are divided over all its axes.
    devices : int, sequence of jax.Device, "all" or None
        The first so many of ``jax.devices()``, these, or all.
    backend : {"auto", "jax", "pytensor"}
        What was asked to evaluate the model.

    Raises
    ------
    TypeError
        If both are given, or one is something else.
    ValueError
        If there are fewer devices, one comes twice, this process has none of them, or the backend
        is no JAX.

    Examples
    --------
    >>> import jax
    >>> devices_from(None, "all").count == len(jax.devices())
    True
    """
    if mesh is None and devices is None:
        return None
    if mesh is not None and devices is not None:
        raise TypeError("mesh= and devices= both say which devices share a fit; give one of them.")
    if backend == "pytensor":
        raise ValueError(
            "backend='pytensor' evaluates the model on the host, so that devices cannot share it. "
            "Use backend='jax', "
            "or leave mesh= and devices= out."
        )
    if mesh is not None and not isinstance(mesh, Mesh):
        raise TypeError(
            f"mesh={mesh!r} must be a jax.sharding.Mesh; for a number or a list of devices use "
            "devices=."
        )
    chosen = list(mesh.devices.flat) if mesh is not None else _chosen(devices)
    if len(set(chosen)) < len(chosen) or not chosen:
        raise ValueError(f"devices={chosen} must be different devices, at least one.")
    if all(device.process_index != jax.process_index() for device in chosen):
        raise ValueError(
            f"Process {jax.process_index()} has none of the devices {chosen}. Only processes that "
            "share a fit may call "
            "it; devices='all' takes the devices of every process."
        )
    made = Devices(Mesh(np.array(chosen), (AXIS,), axis_types=(AxisType.Auto,)))
    if made.several_processes:
        logging.getLogger("vi").addFilter(_in_first_process)
    return made


def _chosen(devices: Any) -> list[Any]:
    known = jax.devices()
    if isinstance(devices, str) and devices == "all":
        return known
    if isinstance(devices, int | np.integer) and not isinstance(devices, bool):
        if not 1 <= devices <= len(known):
            raise ValueError(
                f"devices={devices}: JAX has {len(known)} here ({', '.join(map(str, known[:8]))}). "
                "A CPU becomes "
                "several devices by "
                f"XLA_FLAGS=--xla_force_host_platform_device_count={max(int(devices), 1)}, set "
                "before JAX starts."
            )
        return known[:devices]
    if isinstance(devices, Sequence) and all(isinstance(device, jax.Device) for device in devices):
        return list(devices)
    raise TypeError(f"devices={devices!r}: use a number, a list of jax.devices(), or 'all'.")


def _host(leaf: Any) -> np.ndarray:
    key = isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


def _in_first_process(record: logging.LogRecord) -> bool:
    """Whether a process logs; one message is enough for all."""
    return jax.process_index() == 0
