"""Digits from a CSV file (label,pixel0,...), in the manner of notebooks for a competition."""

import csv

import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, random_split
from torchvision import transforms


class DigitDataset(Dataset):
    def __init__(self, path, transform=None):
        with open(path) as file:
            rows = list(csv.reader(file))[1:]
        table = np.array(rows, dtype=np.int64)
        self.labels = table[:, 0]
        self.images = table[:, 1:].reshape(-1, 28, 28).astype(np.uint8)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        image = self.images[idx]
        if self.transform:
            image = self.transform(image)
        return {"image": image, "label": torch.tensor(self.labels[idx], dtype=torch.long)}


def main(path):
    torch.manual_seed(42)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    transform = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.RandomRotation(10),
            transforms.RandomAffine(0, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.5,), std=(0.5,)),
        ]
    )
    dataset = DigitDataset(path, transform)
    train_set, val_set = random_split(
        dataset, [0.8, 0.2], generator=torch.Generator().manual_seed(0)
    )
    train_loader = DataLoader(train_set, batch_size=8, shuffle=True, drop_last=True)
    val_loader = DataLoader(val_set, batch_size=8)

    model = nn.Sequential(
        nn.Conv2d(1, 8, kernel_size=5, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=2, stride=2),
        nn.Conv2d(8, 16, kernel_size=5),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d((3, 3)),
        nn.Flatten(),
        nn.Linear(16 * 3 * 3, 10),
    ).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    criterion = nn.CrossEntropyLoss()
    losses = []
    for _epoch in range(2):
        model.train()
        for batch in train_loader:
            images, labels = batch["image"].to(device), batch["label"].to(device)
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        val_loss, predictions = 0.0, []
        with torch.no_grad():
            for batch in val_loader:
                outputs = model(batch["image"].to(device))
                val_loss += criterion(outputs, batch["label"].to(device)).item()
                predictions.extend(outputs.argmax(1).cpu().numpy())
        scheduler.step(val_loss / len(val_loader))
    assert len(predictions) == len(val_set)
    return losses
