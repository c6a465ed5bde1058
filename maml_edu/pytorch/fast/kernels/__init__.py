"""What numba compiles: `perceptron.py` and `conv_kernels.py` hold the formulas, the rest calls them."""
