"""WGAN-GP: a generator learns to draw digits from a critic whose gradient is kept near length 1.

python examples/gradient_penalty.py [--steps 600] [--picture samples.png]

The penalty is a loss of a gradient, so training it takes the gradient of a gradient.
Source: Gulrajani et al., "Improved training of Wasserstein GANs", arXiv:1704.00028.
"""

import argparse

import numpy as np

import tinynet
from tinynet import autograd, data, nn, optim
from tinynet.vision.utils import save_image

LATENT, BATCH, CRITIC_STEPS = 16, 32, 2


def generator():
    return nn.Sequential(
        nn.Linear(LATENT, 64 * 2 * 2), nn.ReLU(), nn.Unflatten(1, (64, 2, 2)),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Sigmoid(),
    )  # (N, 16) -> (N, 1, 8, 8)  # fmt: skip


def critic():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(64 * 4 * 4, 1),
    )  # (N, 1, 8, 8) -> (N, 1)  # fmt: skip


def gradient_penalty(judge, real, fake):
    """How far the critic's slope is from 1, at random places between real and fake images."""
    share = tinynet.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = autograd.grad(judge(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--picture", default="samples.png")
    args = parser.parse_args()

    rng = tinynet.manual_seed(0)
    images = data.load("digits", "train").images.astype(np.float32)  # (1437, 1, 8, 8)
    images /= images.max()
    artist, judge = generator(), critic()
    artist_optimizer = optim.Adam(artist.parameters(), lr=2e-3, betas=(0.5, 0.9))
    judge_optimizer = optim.Adam(judge.parameters(), lr=2e-3, betas=(0.5, 0.9))

    for step in range(1, args.steps + 1):
        for _ in range(CRITIC_STEPS):
            real = tinynet.from_numpy(images[rng.integers(0, len(images), BATCH)])
            fake = artist(tinynet.randn(BATCH, LATENT)).detach()
            distance = judge(real).mean() - judge(fake).mean()
            judge_optimizer.zero_grad()
            (10 * gradient_penalty(judge, real, fake) - distance).backward()
            judge_optimizer.step()
        artist_optimizer.zero_grad()
        (-judge(artist(tinynet.randn(BATCH, LATENT))).mean()).backward()
        artist_optimizer.step()
        if step % max(args.steps // 10, 1) == 0:
            print(f"step {step:5}  distance of drawn digits from real ones {distance.item():.3f}")

    artist.eval()
    drawn = nn.Upsample(scale_factor=4)(artist(tinynet.randn(64, LATENT))).detach()
    save_image(drawn, args.picture, nrow=16)
    print(f"64 digits as the generator draws them now: {args.picture}")


if __name__ == "__main__":
    main()
