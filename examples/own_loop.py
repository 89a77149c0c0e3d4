"""A training loop in plain sight, as one writes it in PyTorch: no `fit`, nothing hidden.

python examples/own_loop.py [--epochs 10]
"""

import argparse

import tinynet
from tinynet import data, nn, optim
from tinynet.nn import functional as F


class Net(nn.Module):
    """Two convolutions, a pooling, two linear layers."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))  # (N, 16, 8, 8)
        x = F.relu(self.conv2(x))  # (N, 32, 8, 8)
        x = F.max_pool2d(x, 2)  # (N, 32, 4, 4)
        x = x.flatten(1)  # (N, 512)
        x = F.relu(self.fc1(x))
        return self.fc2(x)  # (N, 10), a score for each digit


def test_accuracy(model, loader):
    """The share of images whose highest score is the right digit's."""
    model.eval()
    right = total = 0
    with tinynet.no_grad():
        for x, target in loader:
            right += int((model(x).argmax(1) == target).sum())
            total += len(target)
    return right / total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    tinynet.manual_seed(0)
    train = data.load("digits", "train")
    transform = data.standardize(train)
    train_loader = data.DataLoader(train, 32, shuffle=True, seed=0, transform=transform)
    test_loader = data.DataLoader(data.load("digits", "test"), 360, transform=transform)

    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)

    for epoch in range(1, args.epochs + 1):
        model.train()
        for x, target in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), target)
            loss.backward()
            optimizer.step()
        scheduler.step()
        accuracy = test_accuracy(model, test_loader)
        print(f"epoch {epoch:2}  last loss {loss.item():.4f}  test accuracy {accuracy:.2%}")


if __name__ == "__main__":
    main()
