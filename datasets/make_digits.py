"""Makes `digits.npz` from the copy of the UCI handwritten digits that scikit-learn carries.

    pip install scikit-learn
    python datasets/make_digits.py

Arrays: images (1797, 8, 8) uint8, 0 (white) to 16 (black ink); labels (1797,) uint8; test (360,)
uint16, the indices of the held-out images: drawn once, the same share of every class, and stored,
so that the split never changes with a version of NumPy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

HELD_OUT = 360
SEED = 0


def draw_test_indices(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Sorted indices (count,): from each class its share of `count`, rounded, at random."""
    rng = np.random.default_rng(seed)
    sizes = np.bincount(labels)
    shares = sizes * count / len(labels)
    counts = np.floor(shares).astype(int)
    # What rounding down left over goes to the classes that lost most.
    counts[np.argsort(counts - shares, kind="stable")[: count - counts.sum()]] += 1
    picks = [
        rng.choice(np.flatnonzero(labels == c), size, replace=False)
        for c, size in enumerate(counts)
    ]
    return np.sort(np.concatenate(picks))


def main() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    path = Path(__file__).with_name("digits.npz")
    np.savez_compressed(
        path,
        images=digits.images.astype(np.uint8),
        labels=digits.target.astype(np.uint8),
        test=draw_test_indices(digits.target, HELD_OUT, SEED).astype(np.uint16),
    )
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
