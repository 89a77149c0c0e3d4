"""PyTorch's mixed precision, for scripts that ask for it: here everything keeps its dtype."""

import copy
from typing import Any

from tinynet.errors import no_attribute
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

    def __getattr__(self, name: str) -> Any:
        if name not in _ANSWERS:
            raise no_attribute("GradScaler", name, _ANSWERS)
        return lambda *args, **settings: copy.copy(_ANSWERS[name])


_ANSWERS: dict[str, Any] = {
    "update": None, "unscale_": None, "load_state_dict": None, "state_dict": {},
    "get_scale": 1.0, "is_enabled": False,
}  # fmt: skip
"""What the other methods give, as PyTorch's do where losses are not scaled."""
