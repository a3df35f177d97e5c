"""PyTensor graphs and JAX functions, one as the other; nothing of models."""
