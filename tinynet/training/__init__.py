"""Training: `fit`, and the pieces it is made of, each of use on its own.

    history = fit(model, train, epochs=5, validate=test, lr=0.05, seed=0)

What is where: `loop` (one epoch, evaluation, prediction), `fit` (all epochs), `batches` (what they
are given of data), `arguments` (the others: checked, and told in a few words), `run` (where a
training stands, callbacks of your own), `distributed` (many processes, one model), `callbacks`
(early stopping, best model, progress), `metrics`, `losses` (by name, and what outputs mean),
`history`, `quantities` (what their names say of them), `report` (a page to look at), `setup`
(optimizers and schedules by name), `recipes` (defaults for known data), `checkpoint` (models and
runs in files), `state` (all that a run depends on), `folder` (what is kept of a run), `verify` (a
run once more, compared), `signals` (Ctrl-C), `failures` (what can go wrong), `safetensors`, `tree`,
`foreign` and `files` (how it is written).
"""

from typing import Any

from tinynet.errors import no_attribute
from tinynet.nn.modes import evaluating
from tinynet.training.callbacks import BestModel, EarlyStopping
from tinynet.training.checkpoint import Checkpoint, save, weights_sha256
from tinynet.training.distributed import world
from tinynet.training.failures import DivergenceError
from tinynet.training.fit import fit
from tinynet.training.history import History
from tinynet.training.loop import evaluate, predict, train_epoch
from tinynet.training.metrics import Means, accuracy, confusion_matrix, top_k, top_k_accuracy
from tinynet.training.recipes import AUGMENTATIONS, Recipe, make_augment, recipe_for, usual_shape
from tinynet.training.run import Callback, Run
from tinynet.training.setup import OPTIMIZERS, SCHEDULES, Schedule, make_optimizer, make_schedule
from tinynet.training.signals import Interrupted
from tinynet.training.trained import Prediction, Trained, load

__all__ = [
    "AUGMENTATIONS", "OPTIMIZERS", "SCHEDULES", "BestModel", "Callback", "Checkpoint",
    "DivergenceError", "EarlyStopping", "History", "Interrupted", "Means", "Prediction", "Recipe",
    "Run", "Schedule", "Trained", "accuracy", "confusion_matrix", "evaluate", "evaluating", "fit",
    "load", "make_augment", "make_optimizer", "make_schedule", "predict", "recipe_for", "save",
    "top_k", "top_k_accuracy", "train_epoch", "usual_shape", "weights_sha256", "world",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise no_attribute(__name__, name, __all__)
