"""A PyMC model's graphs, and what is refused of it."""
