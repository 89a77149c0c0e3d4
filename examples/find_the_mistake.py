"""Three tools that say what is wrong: doctor, detect_anomaly and explain, on one small training.

python examples/find_the_mistake.py
"""

import tinynet
from tinynet import data, nn, optim
from tinynet.nn import functional as F


class Net(nn.Module):
    """A small CNN with two mistakes in it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 3 * 3, 10)
        self.extra = nn.Linear(10, 10)  # never used in forward

    def forward(self, x):
        x = self.pool(self.conv(x).relu()).flatten(1)  # (N, 72)
        return F.softmax(self.fc(x), 1)  # cross_entropy applies softmax itself


class Repaired(nn.Module):
    """The same without them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 3 * 3, 10)

    def forward(self, x):
        return self.fc(self.pool(self.conv(x).relu()).flatten(1))


def main():
    tinynet.manual_seed(0)
    train = data.load("digits", "train")

    print("1. doctor, before the training: a broken net, and pixels from 0 to 255\n")
    model = Net()
    x, target = tinynet.tensor(train.images[:64]).float(), tinynet.tensor(train.labels[:64])
    print(tinynet.doctor(model, (x, target), optimizer=optim.SGD(model.parameters(), lr=0.05)))

    print("\n2. doctor, after its cures\n")
    model = Repaired()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    loader = data.DataLoader(train, 64, shuffle=True, seed=0, transform=data.standardize(train))
    print(tinynet.doctor(model, loader, optimizer=optimizer))

    print("\n3. detect_anomaly: where a NaN is born\n")
    x, target = next(iter(loader))
    try:
        with tinynet.detect_anomaly():
            scores = model(x)
            spread = (scores - scores.mean()) ** 0.5  # the root of a negative number
            (F.cross_entropy(scores, target) + spread.mean()).backward()
    except FloatingPointError as error:
        print(error)

    print("\n4. explain: where one number of the gradient comes from\n")
    loss = F.cross_entropy(model(x), target)
    explanation = tinynet.explain(loss, "conv.weight", (3, 0, 1, 1), model=model, most=3)
    print(explanation)
    loss.backward()
    print(f"\nbackward() says {model.conv.weight.grad[3, 0, 1, 1].item():.6g}")


if __name__ == "__main__":
    main()
