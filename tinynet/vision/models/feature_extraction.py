"""What layers inside a model give, as a model of its own."""

import contextlib
import functools
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

from tinynet import nn

__all__ = ["create_feature_extractor", "get_graph_node_names"]


def create_feature_extractor(
    model: nn.Module, return_nodes: Iterable[str] | Mapping[str, str]
) -> nn.Module:
    """A model that gives a dict of what these layers of `model` give; the weights are shared.

    return_nodes: paths of layers such as "layer4", or a dict of the names they are to have. What
    is computed between the layers has no path. Of a layer that runs twice, "relu" is the first
    time, "relu_1" the second.

    >>> import tinynet
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
    >>> parts = create_feature_extractor(net, {"1": "seen"})(tinynet.ones(1, 1, 5, 5))
    >>> {name: part.shape for name, part in parts.items()}
    {'seen': tinynet.Size([1, 2, 3, 3])}
    """
    if not isinstance(return_nodes, Mapping):
        return_nodes = {node: node for node in return_nodes}
    return _Extractor(model, dict(return_nodes))


def get_graph_node_names(model: nn.Module) -> tuple[list[str], list[str]]:
    """The paths of the layers, for training and for evaluation, where they are the same."""
    names = [name for name, _ in model.named_modules() if name]
    return names, names


class _Extractor(nn.Module):
    """The children of a model, under their names, and what they are asked for."""

    def __init__(self, model: nn.Module, nodes: dict[str, str]) -> None:
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        self.whole, self.nodes = (model,), nodes  # in a tuple, it is no child
        self.training = model.training
        known = dict(model.named_modules())
        for node in nodes:
            if node not in known:
                model.get_submodule(re.sub(r"_\d+$", "", node))

    def forward(self, *args: Any, **kwargs: Any) -> OrderedDict[str, Any]:
        seen: dict[str, Any] = {}
        times = Counter[str]()

        def keep(path: str, layer: nn.Module, args: Any, y: Any) -> None:
            seen[f"{path}_{times[path]}" if times[path] else path] = y
            times[path] += 1

        with contextlib.ExitStack() as hooks:
            for path, layer in self.whole[0].named_modules():
                hooks.enter_context(layer.register_forward_hook(functools.partial(keep, path)))
            self.whole[0].training = self.training  # which its own forward may ask for
            self.whole[0](*args, **kwargs)
        missing = [node for node in self.nodes if node not in seen]
        if missing:
            raise ValueError(f"create_feature_extractor: {missing[0]} did not run")
        return OrderedDict((name, seen[node]) for node, name in self.nodes.items())
