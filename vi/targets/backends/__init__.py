"""How a log density is evaluated: by JAX, by PyTensor, on several devices."""
