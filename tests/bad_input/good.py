"""What good calls are made of, as texts: objects, arguments, and what is dear."""

from __future__ import annotations

RECEIVERS = {
    "vi.ADVI": "w.inference",
    "vi.Auto": "vi.Auto(model=w.model)",
    "vi.Approximation": "w.approx",
    "vi.Approximation.freeze": "w.groups.freeze",
    "vi.Approximation.unfreeze": "w.groups.unfreeze",
    "vi.Empirical": "vi.Empirical",
    "vi.MapPoint": "w.map",
    "vi.Profile": "w.profile",
    "vi.callbacks.Tracker": "w.tracker",
    "vi.data.ArraySource": "w.source",
    "vi.data.DatasetSource": "vi.data.DatasetSource(w.dataset)",
    "vi.data.MinibatchVariable": "w.batch",
    "vi.data.Stream": "w.stream",
    "vi.data.Stream.block": "w.started.block",
    "vi.diagnostics.Diagnosis": "w.diagnosis",
    "vi.targets.DensityModel": "w.density",
    "vi.targets.DensityModel.rows_of": "w.density_in_batches.rows_of",
}
"""An object of each class that has methods; a method of another object, where that needs one."""

GOOD = {
    "approx": "w.approx",
    "algorithm": "vi.algorithms.BatchAndMatch(vi.families.FullRank())",
    "arrays": "{'x': w.x}",
    "batch_size": "4",
    "block_rows": "4",
    "callback": "vi.callbacks.CheckConvergence()",
    "cls": "type(w.source)",
    "constructor": "optax.sgd",
    "current": "np.ones(2)",
    "dataset": "w.dataset",
    "diagnosis": "w.diagnosis",
    "diff": "'relative'",
    "draws": "5",
    "dtype": "'float64'",
    "family": "vi.families.MeanField()",
    "fn": "w.log_density",
    "frame": "w.frame",
    "function": "lambda x: x",
    "given": "'rbf'",
    "globals": "(0,)",
    "group": "['mu']",
    "idata": "w.idata",
    "i": "1",
    "init": "{'a': jnp.zeros(2)}",
    "kernel": "vi.kernels.RBF()",
    "loader": "[{'x': w.x}]",
    "losses": "np.ones(3)",
    "model": "w.model",
    "n": "1",
    "name": "'part'",
    "node": "w.model['mu']",
    "n_particles": "5",
    "n_rows": "12",
    "objective": "vi.objectives.ClosedFormEntropy()",
    "optimizer": "w.sgd",
    "options": "vi.inference.RunOptions(n=1, progressbar=False)",
    "parts": "(vi.families.Part('a', vi.families.MeanField(), ((0, 2),)),)",
    "parents": "((),)",
    "path": "w.path",
    "plan": "lambda record: record",
    "params": "{'mu': [0.0, 1.0]}",
    "previous": "np.zeros(2)",
    "progressbar": "False",
    "random_seed": "1",
    "ranges": "((0, 2),)",
    "record": "w.approx.record",
    "rows": "4",
    "shape": "(2,)",
    "size": "5",
    "source": "w.source",
    "step": "0",
    "value": "w.x",
    "z": "np.zeros(2)",
}
"""Good arguments by name, given where they are required, and these wherever they are taken:"""
ALWAYS = {"model", "progressbar", "random_seed", "draws", "n"}

GOOD_HERE: dict[str, dict[str, str]] = {
    "vi.ASVGD": {"approx": "None"},
    "vi.Approximation.advance": {"plan": "lambda record: record"},
    "vi.Approximation.change": {"function": "lambda record: record"},
    "vi.Approximation.cov_lr": {"draws": "8"},
    "vi.Approximation.diagnose": {"draws": "100"},
    "vi.Approximation.initvals": {"chains": "2"},
    "vi.Approximation.keep": {"of": "w.approx.record"},
    "vi.Approximation.sample_mcmc": {"draws": "2", "tune": "2", "chains": "1"},
    "vi.Approximation.sample_node": {"random_seed": "1"},
    "vi.Approximation.save": {"path": "w.folder / 'again.vi'"},
    "vi.BaM": {"approx": "None"},
    "vi.DADVI": {"draws": "6"},
    "vi.Empirical.from_noise": {"model": "w.model"},
    "vi.IntegratedLaplace": {"draws": "100"},
    "vi.Pathfinder": {"draws": "100"},
    "vi.Group": {"model": "None"},
    "vi.algorithms.BatchAndMatch": {"family": "vi.families.FullRank()"},
    "vi.algorithms.Stein": {"family": "vi.families.Particles(5)"},
    "vi.callbacks.Tracker": {"a": "lambda approx, losses, i: i"},
    "vi.data.ParquetSource": {"path": "w.parquet"},
    "vi.data.source_from": {"given": "{'x': w.x}"},
    "vi.data.Stream.start": {"seed": "(1, 2)"},
    "vi.diagnostics.Diagnosis.from_dataset": {"dataset": "w.diagnosis.to_dataset()"},
    "vi.families.Encoder": {"given": "lambda x: (x, x)"},
    "vi.families.Mixture": {"family": "vi.families.FullRank()"},
    "vi.fit": {"method": "'advi'", "init": "None"},
    "vi.kernels.PairKernel": {"function": "lambda x, y: -jnp.sum((x - y) ** 2)"},
    "vi.plots.starts": {"approx": "w.starts"},
    "vi.plots.plot_stages": {"approx": "w.staged"},
    "vi.plots.plot_structure": {"structure": "vi.structure(w.model)"},
    "vi.plots.marginals": {"draws": "30"},
    "vi.plots.pareto_k": {"draws": "100"},
    "vi.targets.DensityModel.pytree": {"draws": "vi.MeanField(model=w.density).sample(3)"},
    "vi.targets.DensityModel.rows_of": {"array": "w.x"},
    "vi.targets.from_numpyro": {"model": "w.numpyro_model"},
    "vi.testing.check_objective": {"family": "vi.families.MeanField()"},
    "vi.testing.check_source": {"source": "w.source", "rows": "12"},
}
OF_FIT = ("vi.fit", "vi.ADVI.fit", "vi.Approximation.refine")
BESIDE = {
    **{(name, "data"): {"batch_size": "4"} for name in OF_FIT},
    **{(name, "batch_size"): {"data": "{'x': w.x}"} for name in OF_FIT},
    **{(name, "scale"): {"data": "{'x': w.x}", "batch_size": "4"} for name in OF_FIT},
    ("vi.targets.from_function", "data"): {"fn": "w.log_density_of_data"},
}
"""What is given beside a bad argument, so that the call is bad for one reason alone."""

FREE = {
    "vi.Minibatch": "w.x",
    "vi.Approximation.freeze": "'mu'",
}
"""What stands first, without a name, where ``*args`` are taken."""

ANY_NAME = {
    "vi.callbacks.Tracker": "of a value to be tracked",
    "vi.targets.from_numpyro": "of an argument of the model",
}
"""What takes arguments of any name, and what these are."""

DEAR = {
    "vi.cache_dir": "of the whole process",
    "vi.Approximation.diagnose": "chains",
    "vi.Auto.run": "a fit in stages",
    "vi.Approximation.sample_mcmc": "compiles a sampler",
    "vi.Approximation.sample_posterior_predictive": "compiles",
    "vi.testing.check_algorithm": "hundreds of steps",
    "vi.testing.check_callback": "a fit",
    "vi.testing.check_family": "thousands of draws",
    "vi.testing.check_objective": "hundreds of steps",
    "vi.testing.check_optimizer": "hundreds of steps",
    "vi.testing.check_source": "all its rows",
}
"""Good calls that take more than a second or change more than the call, and why."""
