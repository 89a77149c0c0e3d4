"""CNNs as scikit-learn's estimators: for its pipelines, cross-validation and searches.

    from tinynet.sklearn import CNNClassifier

    GridSearchCV(CNNClassifier(), {"lr": [1e-3, 3e-3]}, n_jobs=2).fit(images, labels)

Needs the extra `sklearn`: pip install "tinynet-cnn[sklearn]". A model is trained by `training.fit`.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from tinynet import models, nn, training
from tinynet.data import ArrayDataset
from tinynet.errors import integer
from tinynet.nn import functional as F
from tinynet.random import use_rng
from tinynet.tensor import Tensor

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'tinynet.sklearn needs scikit-learn: pip install "tinynet-cnn[sklearn]"'
    ) from error

Self = TypeVar("Self", bound="_CNN")
EPOCHS, STEPS = 10, 400  # of a training, at least
OWN = "model", "train", "epochs", "optimizer", "lr", "weight_decay"  # no options of `fit` here
COLOURS = 1, 3, 4  # how many channels an image usually has


def small_cnn(num_classes: int) -> nn.Sequential:
    """A CNN for images of any size, of one pixel too.

    Without batch normalisation, under which an example of weight 2 is not the example twice.
    """
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.LazyLinear(num_classes),
    )


@dataclass(eq=False, repr=False)
class _CNN(BaseEstimator):
    """Images come as (N, C, H, W), (N, H, W) or flat, in any range: they are standardised, as those
    of the training are. With those of float64 all is computed in float64, with others in float32.

    model: a name of `tinynet.models`; a class or function that makes a Module, of num_classes,
    in_channels and image_size, as far as it takes them; a Module, of which a copy is trained;
    None for `small_cnn`. image_shape: (C, H, W) or (H, W) of images that come flat; without it each
    is one row of pixels. epochs: None for 10, or as many as make 400 steps. batch_size, optimizer,
    lr, weight_decay: as for `training.fit`; fit_options: more for it, such as {"progress": True,
    "early_stopping": 3, "validation_split": 0.1}; the arrays of "validate": (X, y) are like those
    of `fit`. random_state: as everywhere in scikit-learn. What is learnt is in model_, optimizer_
    and image_shape_.
    """

    model: Any = None
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    epochs: int | None = None
    batch_size: int = 64
    optimizer: str = "adam"
    lr: float | None = None
    weight_decay: float = 0.0
    fit_options: Mapping[str, Any] | None = None
    random_state: Any = None

    _loss: ClassVar[str]
    _losses: ClassVar[Callable[..., Tensor]]  # of each example

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__doc__:
            cls.__doc__ += f"\n    {_CNN.__doc__}"

    def fit(self: Self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn anew. sample_weight: how often each example counts, (N,)."""
        return self._learn(X, y, sample_weight)

    def _learn(
        self: Self, X: Any, y: Any, weight: Any, classes: Any = None, partial: bool = False
    ) -> Self:
        options = {} if self.fit_options is None else self.fit_options
        own = [key for key in OWN if key in options] if isinstance(options, Mapping) else [options]
        if own:
            raise self._wrong(
                "fit_options is a dict of what `training.fit` takes beside "
                f"{', '.join(OWN)}, which the estimator takes or sets itself; got {own[0]!r:.40}"
            )
        begins = not (partial and hasattr(self, "model_"))
        x, y = self._images(X, begins, y=y, multi_output=True)
        if weight is not None:
            weight = column_or_1d(check_array(weight, ensure_2d=False, dtype=np.float64))
            check_consistent_length(x, weight)
            if weight.min() < 0 or weight.max() == 0:
                raise self._wrong(
                    "a weight in sample_weight is zero or more, and not all are zero; they run "
                    f"from {weight.min():.4g} to {weight.max():.4g}"
                )
            x, y, weight = (part[weight > 0] for part in (x, y, weight))
        if begins:
            self._begin(x, self._learn_targets(y, weight, classes), weight)
        epochs = 1 if partial else self.epochs
        if epochs is None:
            size = integer(type(self).__name__, "batch_size", self.batch_size, 1)
            epochs = max(EPOCHS, math.ceil(STEPS / math.ceil(len(x) / size)))
        seed = int(self.random_state_.randint(2**31 - 1))
        settings: dict[str, Any] = {
            "epochs": epochs, "progress": False, "metrics": {}, "seed": seed,
            "loss": self._loss if weight is None else self._weighted,
            "batch_size": self.batch_size, **options, **({"schedule": None} if partial else {}),
        }  # fmt: skip
        if isinstance(validate := settings.get("validate"), (tuple, list)) and len(validate) == 2:
            images, told = self._images(validate[0], False, y=validate[1], multi_output=True)
            alike = None if weight is None else np.ones(len(images))
            settings["validate"] = self._dataset(images, told, alike)
        data = self._dataset(x, y, weight)
        with use_rng(np.random.default_rng(seed)):  # without a change of the user's
            training.fit(self.model_, data, optimizer=self.optimizer_, **settings)
        return self

    def _wrong(self, told: str) -> ValueError:
        return ValueError(f"{type(self).__name__}: {told}")

    def _dataset(self, x: np.ndarray, y: np.ndarray, weight: Any) -> ArrayDataset:
        """The examples as the model is trained on them, weights in the last column of targets."""
        targets = self._targets(y)
        if weight is not None:
            targets = np.column_stack([targets, weight / weight.mean()])
        return ArrayDataset(self._standardised(x), targets)

    def _images(self, X: Any, begins: bool, **checks: Any) -> Any:
        """The images (N, C, H, W) of `X`, in a list with the `y` of checks if there is one."""
        X = X if hasattr(X, "shape") else np.asarray(X)
        shape, known = X.shape[1:], self.image_shape
        if len(shape) > 1:
            X = np.asarray(X).reshape(len(X), math.prod(shape))
        found = validate_data(self, X, reset=begins, **checks)
        x, *others = found if checks else (found,)
        if begins:
            if known is not None and np.size(known) not in (2, 3):
                raise self._wrong(f"image_shape is (C, H, W) or (H, W), got {known!r:.40}")
            sizes = shape if known is None else known
            sizes = tuple(integer(type(self).__name__, "image_shape", n, 1) for n in sizes)
            self.image_shape_ = (1,) * (3 - len(sizes)) + sizes
        differs = len(shape) > 1 and (1, *shape)[-3:] != self.image_shape_
        last = known is None and len(shape) == 3 and shape[0] not in COLOURS and shape[2] in COLOURS
        if differs or math.prod(self.image_shape_) != x.shape[1] or last:
            wanted = "images, the channels last" if last else f"images of {self.image_shape_}"
            raise self._wrong(
                f"X has examples of shape {shape} for {wanted}; give (N, C, H, W), with the "
                "channels second (X.transpose(0, 3, 1, 2) if they are last), (N, H, W), or flat "
                "ones and image_shape=(C, H, W)"
            )
        x = x.astype(np.float64 if x.dtype == np.float64 else np.float32, copy=False)
        return [x.reshape(-1, *self.image_shape_), *others]

    def _begin(self, x: np.ndarray, outputs: int, weight: Any) -> None:
        """A new model and optimizer, and what images are standardised with."""
        self.mean_, self.std_ = _moments(x, weight)
        self.random_state_ = check_random_state(self.random_state)
        channels, *size = self.image_shape_
        sizes = {"num_classes": outputs, "in_channels": channels, "image_size": tuple(size)}
        model: Any = small_cnn if self.model is None else copy.deepcopy(self.model)
        with use_rng(np.random.default_rng(self.random_state_.randint(2**31 - 1))):
            if not isinstance(model, nn.Module) and (isinstance(model, str) or callable(model)):
                model = models.build(model, **sizes)
            if not isinstance(model, nn.Module):
                raise TypeError(
                    f"{type(self).__name__}: model is a Module, a name, or a class or function "
                    f"that makes a Module; got {model!r:.40}"
                )
            self.model_ = model.to(x.dtype)
            scores = training.predict(self.model_, self._standardised(x[:1]))
        if scores.shape != (1, outputs):
            raise self._wrong(
                f"the model gives {scores.shape} for one image of {self.image_shape_}, which "
                f"should be (1, {outputs})"
            )
        self.optimizer_ = training.make_optimizer(
            self.optimizer, self.model_.parameters(), self.lr, self.weight_decay
        )

    def _weighted(self, output: Tensor, target: Tensor) -> Tensor:
        """The mean loss, of each example times the weight in the last column of its target."""
        losses = self._losses(output, target[:, :-1])
        return (losses * target[:, -1]).mean()

    def _standardised(self, x: np.ndarray) -> np.ndarray:
        return ((x - self.mean_) / self.std_).astype(x.dtype, copy=False)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        (x,) = self._images(X, begins=False)
        return training.predict(self.model_, self._standardised(x))


def _moments(x: np.ndarray, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each channel, or of each column; 1 for a deviation of about 0."""
    axes = tuple(range(2, x.ndim))
    mean = np.average(x.mean(axes, np.float64, keepdims=True), 0, weight).astype(x.dtype)
    var = np.average(((x - mean) ** 2).mean(axes, np.float64, keepdims=True), 0, weight)
    std = np.sqrt(var).astype(x.dtype)
    return mean, np.where(std > np.finfo(x.dtype).eps * np.abs(mean), std, x.dtype.type(1))


class CNNClassifier(ClassifierMixin, _CNN):
    """A CNN that tells classes apart, trained with the cross-entropy.

    classes_: the classes, whatever their type, in the order of `predict_proba`.
    """

    _loss = "cross_entropy"

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "CNNClassifier":
        """One epoch more, all at one learning rate; anew if nothing was learnt before.

        classes: all that there will be; needed the first time, and the same ever after.
        """
        known = getattr(self, "classes_", None)
        if known is None and classes is None:
            raise self._wrong("classes must be passed on the first call to partial_fit")
        if known is not None and classes is not None and set(known) != set(classes):
            raise self._wrong(
                f"classes={list(classes)!r:.80} is not the same as on last call to partial_fit, "
                f"{known.tolist()!r:.80}"
            )
        return self._learn(X, y, sample_weight, classes, partial=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class for each image, (N, K)."""
        return np.asarray(F.softmax(Tensor(self._outputs(X)), 1).array)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of each probability, (N, K)."""
        return np.asarray(F.log_softmax(Tensor(self._outputs(X)), 1).array)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each image, (N,)."""
        scores = self._outputs(X)
        return np.asarray(self.classes_[scores.argmax(1)])

    def _learn_targets(self, y: np.ndarray, weight: Any, classes: Any) -> int:
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        return len(self.classes_)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        if unknown := np.setdiff1d(y, self.classes_).tolist():
            raise self._wrong(
                f"{unknown!r:.80} in y is none of the classes {self.classes_.tolist()!r:.80}; give "
                "all that there will be to the first call, partial_fit(X, y, classes=...)"
            )
        return np.searchsorted(self.classes_, y)

    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output, target[:, 0].long(), reduction="none")


class CNNRegressor(RegressorMixin, _CNN):
    """A CNN that tells one number or several of an image, trained with the squared error.

    The targets, (N,) or (N, K), are standardised for the training.
    """

    _loss = "mse"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "CNNRegressor":
        """One epoch more, all at one learning rate; anew if nothing was learnt before."""
        return self._learn(X, y, sample_weight, partial=True)

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each image, (N,) or (N, K) as they were learnt."""
        y = self._outputs(X) * self.target_std_ + self.target_mean_
        return y.reshape(len(y), *self.target_shape_)

    def _learn_targets(self, y: np.ndarray, weight: Any, classes: Any) -> int:
        self.target_shape_ = y.shape[1:]
        rows = self._rows(y)
        self.target_mean_, self.target_std_ = _moments(rows, weight)
        return rows.shape[1]

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return (self._rows(y) - self.target_mean_) / self.target_std_

    def _rows(self, y: np.ndarray) -> np.ndarray:
        """The targets, (N, K)."""
        if y.dtype.kind in "US":
            raise self._wrong(f"y must be of numbers, got {y.ravel()[0]!r:.40}")
        return y.reshape(len(y), -1).astype(np.float64)

    def _losses(self, output: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(output, target, reduction="none").mean(1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
