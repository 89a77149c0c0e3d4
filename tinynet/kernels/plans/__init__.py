"""The fast ways of the NumPy set. `tinynet/kernels/choice.py` says which one runs.

A plan of a convolution has functions of the kernels' names, on arrays that are batch last and
contiguous: x (C, H, W, N), dy (O, OH, OW, N). The plans of pools take what the kernels take.
"""
