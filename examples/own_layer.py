"""An operation of your own: forward and backward by hand, checked, and put to work.

    python examples/own_layer.py

Mish is y = x * t with t = tanh(softplus(x)). By the product rule dy/dx = t + x * dt/dx, and
dt/dx = (1 - t^2) * sigmoid(x), since the derivative of softplus is the sigmoid.
(Misra, "Mish: A self regularized non-monotonic activation function", arXiv:1908.08681.)
"""

import numpy as np

import tinynet
from tinynet import nn, optim
from tinynet.nn import functional as F


@tinynet.differentiable
def mish(x):
    """The forward pass on arrays, and under it the function that turns dy into dx."""
    t = np.tanh(np.logaddexp(0, x))

    def dx(dy):
        return dy * (t + x * (1 - t * t) / (1 + np.exp(-x)))

    return x * t, dx


@tinynet.differentiable
def forgetful_mish(x):
    """The same, with the second half of the product rule forgotten."""
    t = np.tanh(np.logaddexp(0, x))
    return x * t, lambda dy: dy * t


class Mish(nn.Module):
    def forward(self, x):
        return mish(x)


rng = tinynet.manual_seed(0)
points = tinynet.randn(3, 4, rng=rng)
print("The right gradient:", tinynet.gradcheck(mish, points), sep="\n  ")
print("The forgetful one:", tinynet.gradcheck(forgetful_mish, points), sep="\n  ")

# The new layer learns the parity of two signs, which no linear model can.
x = tinynet.randn(256, 2, rng=rng)
target = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(2, 16), Mish(), nn.Linear(16, 2))
optimizer = optim.Adam(model.parameters(), lr=0.02)
for _ in range(200):
    loss = F.cross_entropy(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
accuracy = (model(x).argmax(1) == target).numpy().mean()
print(f"After 200 steps: loss {loss.item():.3f}, accuracy {accuracy:.1%}")
