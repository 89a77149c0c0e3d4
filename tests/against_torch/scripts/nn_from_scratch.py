"""From bare tensors to nn: weights by hand, a Module with Parameters, datasets, loaders, a CNN."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from beginning import LOSSES, arrays, seeded
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

x_train, y_train = map(torch.tensor, arrays())
n, c = x_train.shape
assert y_train.min() == 0
assert y_train.max() == 9
weights = torch.from_numpy(np.random.default_rng(1).normal(0, 1 / math.sqrt(784), (784, 10)))
weights = weights.float()
weights.requires_grad_()
bias = torch.zeros(10, requires_grad=True)


def log_softmax(x):
    return x - x.exp().sum(-1).log().unsqueeze(-1)


def model(xb):
    return log_softmax(xb @ weights + bias)


def nll(input, target):  # noqa: A002
    return -input[range(target.shape[0]), target].mean()


def accuracy(out, yb):
    preds = torch.argmax(out, dim=1)
    return (preds == yb).float().mean()


bs, lr = 32, 0.5
for i in range((n - 1) // bs + 1):
    xb, yb = x_train[i * bs : i * bs + bs], y_train[i * bs : i * bs + bs]
    loss = nll(model(xb), yb)
    LOSSES.append(loss.item())
    loss.backward()
    with torch.no_grad():
        weights -= weights.grad * lr
        bias -= bias.grad * lr
        weights.grad.zero_()
        bias.grad.zero_()
LOSSES.append(accuracy(model(xb), yb).item())


class Logistic(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.randn(784, 10) / math.sqrt(784))
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, xb):
        return xb @ self.weights + self.bias


logistic = seeded(Logistic())
for xb, yb in DataLoader(TensorDataset(x_train, y_train), batch_size=bs):
    loss = F.cross_entropy(logistic(xb), yb)
    loss.backward()
    with torch.no_grad():
        for p in logistic.parameters():
            p -= p.grad * lr
        logistic.zero_grad()
    LOSSES.append(loss.item())


class Lambda(nn.Module):
    def __init__(self, func):
        super().__init__()
        self.func = func

    def forward(self, x):
        return self.func(x)


def preprocess(x):
    return x.view(-1, 1, 28, 28)


cnn = nn.Sequential(
    Lambda(preprocess),
    nn.Conv2d(1, 8, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(8, 8, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.Conv2d(8, 10, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    Lambda(lambda x: x.view(x.size(0), -1)),
)
seeded(cnn)
opt = optim.SGD(cnn.parameters(), lr=0.1, momentum=0.9)


def loss_batch(model, loss_func, xb, yb, opt=None):
    loss = loss_func(model(xb), yb)
    if opt is not None:
        loss.backward()
        opt.step()
        opt.zero_grad()
    return loss.item(), len(xb)


loader = DataLoader(TensorDataset(x_train, y_train), batch_size=bs, shuffle=False)
cnn.train()
for xb, yb in loader:
    LOSSES.append(loss_batch(cnn, F.cross_entropy, xb, yb, opt)[0])
cnn.eval()
with torch.no_grad():
    losses, nums = zip(*[loss_batch(cnn, F.cross_entropy, xb, yb) for xb, yb in loader])
LOSSES.append(np.sum(np.multiply(losses, nums)) / np.sum(nums))
