"""A WGAN with a penalty on the critic's slope, and norms on its weights."""

import numpy as np
import torch
import torch.nn as nn
from beginning import LOSSES, seeded
from torch import autograd
from torch.nn.utils import spectral_norm, weight_norm

rng = np.random.default_rng(6)
STEPS, BATCH = 12, 6


def normal(*shape):
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


generator = seeded(
    nn.Sequential(
        nn.ConvTranspose2d(8, 16, 4, 1, 0, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(True),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Tanh(),
    )
)
critic = seeded(
    nn.Sequential(
        weight_norm(nn.Conv2d(1, 8, 4, 2, 1)),
        nn.LeakyReLU(0.2, inplace=True),
        spectral_norm(nn.Conv2d(8, 16, 4, 2, 1)),
        nn.InstanceNorm2d(16, affine=True),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 1, 2),
    )
)
with torch.no_grad():
    for buffer in critic.buffers():
        buffer.fill_(buffer.numel() ** -0.5)  # u and v, which chance has drawn


def gradient_penalty(real, fake, weight=10):
    alpha = torch.from_numpy(rng.random((BATCH, 1, 1, 1)).astype(np.float32))
    between = (alpha * real + (1 - alpha) * fake).detach().requires_grad_(True)
    scores = critic(between)
    slopes = autograd.grad(
        outputs=scores,
        inputs=between,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((slopes.view(BATCH, -1).norm(2, dim=1) - 1) ** 2).mean() * weight


d_optimizer = torch.optim.NAdam(critic.parameters(), lr=1e-3, betas=(0.5, 0.9))
g_optimizer = torch.optim.RAdam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(d_optimizer, T_0=5, T_mult=2)
real = normal(BATCH, 1, 8, 8)
for step in range(STEPS):
    with torch.no_grad():
        fake = generator(normal(BATCH, 8, 1, 1))
    penalty = gradient_penalty(real, fake)
    d_loss = critic(fake).mean() - critic(real).mean() + penalty
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    scheduler.step()
    g_loss = -critic(generator(normal(BATCH, 8, 1, 1))).mean()
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    LOSSES.extend([d_loss.item(), g_loss.item()])
    print(f"[{step}/{STEPS}] D {d_loss:.4f} G {g_loss:.4f}")
