"""A worked solution of the exercise `sgd`."""


def sgd(p, g, b, lr, momentum):
    """One step: (new parameter, new buffer)."""
    new_b = momentum * b + g
    return p - lr * new_b, new_b
