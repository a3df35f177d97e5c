"""Another's model as a PyMC model: JAX log densities, NumPyro models, JAX functions."""
