"""A policy gradient, and a variational autoencoder whose images are turned and bent first."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from beginning import LOSSES, digits, seeded
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

torch.set_default_dtype(torch.float64)  # Adam and a bent grid make much of rounding
rng = np.random.default_rng(7)
policy = seeded(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)))
optimizer = torch.optim.Adamax(policy.parameters(), lr=1e-2)
for _ in range(10):
    states = torch.from_numpy(rng.standard_normal((12, 4)))
    chosen = Categorical(logits=policy(states))
    assert chosen.sample().shape == (12,)
    actions = torch.from_numpy(rng.integers(0, 3, 12))
    rewards = (actions == states.argmax(dim=1)).float()
    rewards = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
    loss = -(chosen.log_prob(actions) * rewards).mean() - 0.01 * chosen.entropy().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    LOSSES.append(loss.item())


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.where = nn.Linear(784, 6)
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU())
        self.mean, self.log_std = nn.Linear(32, 4), nn.Linear(32, 4)
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ELU(), nn.Linear(32, 784))

    def forward(self, x):
        theta = self.where(x.flatten(1)).view(-1, 2, 3) + torch.tensor([[0.9, 0, 0], [0, 0.9, 0]])
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        bent = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
        h = self.encoder(bent)
        posterior = Normal(self.mean(h), self.log_std(h).exp())
        noise = torch.from_numpy(rng.standard_normal((len(x), 4)))
        z = posterior.mean + posterior.stddev * noise
        return posterior, Bernoulli(logits=self.decoder(z))


model = seeded(VAE())
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CyclicLR(optimizer, 1e-3, 3e-3, 4, cycle_momentum=False)
prior = Normal(torch.zeros(4), torch.ones(4))
x = torch.stack([image for image, _ in digits()])[:32].double()
for step in range(12):
    posterior, pixels = model(x)
    divergence = kl_divergence(posterior, prior).sum(-1)
    reconstruction = pixels.log_prob((x > 0.5).float().flatten(1)).sum(-1)
    loss = (divergence - reconstruction).mean() / 784
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    LOSSES.append(loss.item())
    print(f"{step}: {loss:.4f}, divergence {divergence.mean():.4f}")
torch.set_default_dtype(torch.float32)
