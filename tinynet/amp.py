"""PyTorch's mixed precision, for scripts that ask for it: here everything keeps its dtype."""

from __future__ import annotations

from typing import Any

from tinynet.scope import Scope


class autocast(Scope):  # noqa: N801 (PyTorch's name)
    """A block, or with @ a function, in which operations keep the dtype of their inputs.

    device_type, dtype, enabled, cache_enabled: as PyTorch has them, and without effect.
    """

    def __init__(
        self, device_type: str = "cpu", dtype: Any = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:  # fmt: skip
        pass

    def __exit__(self, *error: object) -> None:
        return None


class GradScaler:
    """PyTorch's scaling of float16's losses; losses here need none, and pass as they are.

    device and settings: as PyTorch has them, and without effect.
    """

    def __init__(self, device: str = "cpu", **settings: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        """The loss itself."""
        return outputs

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: there is no scale."""

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: no gradient was scaled."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing."""

    def get_scale(self) -> float:
        """The scale: 1."""
        return 1.0

    def is_enabled(self) -> bool:
        """Whether losses are scaled: no."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Nothing, as of PyTorch's where it is not enabled."""
        return {}
