"""A table of pixels as on Kaggle: arrays, Variables, batch norm, a plateau schedule, old idioms."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from beginning import LOSSES, arrays, seeded
from torch.autograd import Variable
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, random_split

pixels, labels = arrays()
table = np.concatenate([labels[:, None], (pixels * 255).round()], axis=1)  # label, pixel0, ...


class Digits(Dataset):
    def __init__(self, table):
        self.X = table[:, 1:].reshape((-1, 28, 28)).astype(np.uint8)[:, :, :, None]
        self.y = torch.from_numpy(table[:, 0].astype(np.int64))

    def __len__(self):
        return len(self.X)

    def __getitem__(self, idx):
        image = torch.from_numpy(self.X[idx]).permute(2, 0, 1).float().div(255)
        return (image - 0.13) / 0.31, self.y[idx]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=3, stride=1, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=2),
            nn.Conv2d(8, 16, kernel_size=3, stride=1, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(p=0.0),
            nn.Linear(16 * 7 * 7, 32, bias=False),
            nn.BatchNorm1d(32),
            nn.ReLU(inplace=True),
            nn.Linear(32, 10),
        )
        for m in self.features.children():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                m.weight.data.normal_(0, (2.0 / n) ** 0.5)
            elif isinstance(m, nn.BatchNorm2d):
                m.weight.data.fill_(1)
                m.bias.data.zero_()

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(x)


whole = Digits(table)
train_set, held_out = random_split(whole, [len(whole) - 64, 64])
assert len(train_set) + len(held_out) == len(whole)
loader = DataLoader(whole, batch_size=32, shuffle=False)
model = seeded(Net())
optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
criterion = nn.CrossEntropyLoss()
scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=0)
if torch.cuda.is_available():
    model = model.cuda()
for _ in range(3):
    model.train()
    for data, target in loader:
        data, target = Variable(data), Variable(target)
        optimizer.zero_grad()
        output = model(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
        LOSSES.append(loss.item())
    model.eval()
    total, correct = 0.0, 0
    for data, target in loader:
        with torch.no_grad():
            output = model(data)
            total += F.cross_entropy(output, target, reduction="sum").item()
            pred = output.data.max(1, keepdim=True)[1]
            correct += pred.eq(target.data.view_as(pred)).cpu().sum()
    scheduler.step(total / len(loader.dataset))
    LOSSES.extend([total / len(loader.dataset), int(correct)])
LOSSES.append(optimizer.param_groups[0]["lr"])
