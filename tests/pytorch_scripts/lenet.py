"""LeNet with sigmoids on articles of clothing, in the manner of a textbook chapter."""

import torch
import torchvision
from torch import nn
from torch.utils import data
from torchvision import transforms


def get_dataloader_workers():
    return 4


def load_data_fashion_mnist(root, batch_size, resize=None):
    trans = [transforms.ToTensor()]
    if resize:
        trans.insert(0, transforms.Resize(resize))
    trans = transforms.Compose(trans)
    train = torchvision.datasets.FashionMNIST(root=root, train=True, transform=trans, download=True)
    test = torchvision.datasets.FashionMNIST(root=root, train=False, transform=trans, download=True)
    return (
        data.DataLoader(train, batch_size, shuffle=True, num_workers=get_dataloader_workers()),
        data.DataLoader(test, batch_size, shuffle=False, num_workers=get_dataloader_workers()),
    )


def init_weights(m):
    if isinstance(m, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(m.weight)


def accuracy(y_hat, y):
    if len(y_hat.shape) > 1 and y_hat.shape[1] > 1:
        y_hat = y_hat.argmax(axis=1)
    cmp = y_hat.type(y.dtype) == y
    return float(cmp.type(y.dtype).sum())


def main(root):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.Sigmoid(),
        nn.Linear(84, 10),
    )  # fmt: skip
    X = torch.rand(size=(1, 1, 28, 28), dtype=torch.float32)
    for layer in net:
        X = layer(X)
        print(layer.__class__.__name__, "output shape: \t", X.shape)
    train_iter, test_iter = load_data_fashion_mnist(root, batch_size=10, resize=28)
    net.apply(init_weights)
    device = next(iter(net.parameters())).device
    net.to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.9)
    loss = nn.CrossEntropyLoss()
    losses = []
    for _epoch in range(3):
        net.train()
        for X, y in train_iter:
            optimizer.zero_grad()
            X, y = X.to(device), y.to(device)
            l = loss(net(X), y)
            l.backward()
            optimizer.step()
            with torch.no_grad():
                losses.append(float(l))
        net.eval()
        with torch.no_grad():
            right = sum(accuracy(net(X), y) for X, y in test_iter)
    assert 0 <= right <= len(test_iter.dataset)
    return losses
