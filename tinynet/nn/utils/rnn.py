"""Sequences of different lengths as one batch. There are no recurrent nets to feed it to."""

from collections.abc import Sequence

from tinynet import ops
from tinynet.aliases import Missing
from tinynet.tensor import Tensor

pack_padded_sequence, pad_packed_sequence, pack_sequence = (
    Missing(f"nn.utils.rnn.{name}", "there are no recurrent nets")
    for name in ("pack_padded_sequence", "pad_packed_sequence", "pack_sequence")
)


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0
) -> Tensor:
    """Tensors (L_i, ...) filled up to the longest: (L, N, ...), or (N, L, ...) if batch_first.

    >>> import tinynet
    >>> pad_sequence([tinynet.ones(2), tinynet.ones(1)], batch_first=True)
    tensor([[1., 1.],
            [1., 0.]])
    """
    longest = max(map(len, sequences))
    widths = [[(0, longest - len(x)), *[(0, 0)] * (x.ndim - 1)] for x in sequences]
    padded = [ops.pad(x, width, padding_value) for x, width in zip(sequences, widths)]
    return ops.stack(padded, 0 if batch_first else 1)
