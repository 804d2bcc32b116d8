"""Optimizers, losses and schedules of the user, which a recipe names by import path.

A path is ``module:name``; the module is installed or a file in the working folder::

    optimizer = "torch.optim:SGD"
    optimizer_options = { momentum = 0.9 }
    loss = "my_losses:focal"            # (logits [B, T, V], target [B, T]) -> scalar; IGNORE marks what is not scored
    schedule = "my_schedules:sqrt"      # (step, steps, warmup) -> fraction of the peak learning rate

Each model of a population has its own torch optimizer over views of its row of the parameter matrix, so a model is
trained as it would be alone. The harness clips gradients, sets the learning rates and freezes models whose gradient is
not finite. Weight decay leaves out the same parameters as that of the built-in AdamW (``optimizer.py``).
"""

import importlib
import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.config.recipe import ADAMW, CROSS_ENTROPY, Recipe, is_import_path
from harness.data.presentation import Batch
from harness.errors import UserError
from harness.models.population import Loss, Population, cross_entropy
from harness.registry.fingerprint import code_hash
from harness.training.optimizer import RowOptimizer, undecayed
from harness.training.schedules import rate_factor
from harness.training.snapshot import StateError
from tasks.base import IGNORE

KEYS = ("optimizer", "loss", "schedule")
PLAIN = bool | int | float | str | None


class CustomError(Exception):
    """A model cannot be trained with the optimizer of its recipe; the message says why in one line."""


def load_object(key: str, path: str) -> Any:
    """Import the object that a recipe key names; raise :class:`UserError` where this fails."""
    module_name, _, name = path.partition(":")
    try:
        with _working_folder_importable():
            module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(
            f"{key} {path!r} does not import: {_one_line(error)}; write MODULE:NAME of an installed module or of a "
            "file in the working folder"
        ) from None
    if not callable(getattr(module, name, None)):
        raise UserError(f"{key} {path!r}: {module_name} has no class or function {name!r}; write MODULE:NAME")
    return getattr(module, name)


@contextmanager
def _working_folder_importable() -> Iterator[None]:
    """Let modules be imported from the working folder, after all other places."""
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def custom_fingerprints(recipe: Recipe) -> dict[str, str]:
    """Return the fingerprint of the user's code by recipe key; code of installed packages and missing code has none."""
    fingerprints = {}
    for key in KEYS:
        if is_import_path(path := getattr(recipe, key)):
            try:
                file = inspect.getsourcefile(load_object(key, path))
            except (UserError, TypeError):
                continue
            if file and not {"site-packages", "dist-packages"} & set(Path(file).parts):
                fingerprints[key] = code_hash(Path(file))
    return fingerprints


# Checks before a run.


def check_recipe(recipe: Recipe) -> None:
    """Raise :class:`UserError` if the optimizer, the loss or the schedule of a recipe cannot be used."""
    if recipe.optimizer != ADAMW:
        _check_optimizer(recipe)
    elif recipe.optimizer_options:
        raise UserError(
            f"optimizer_options {dict(recipe.optimizer_options)}: {ADAMW} has none; set optimizer to MODULE:CLASS, or "
            "use weight_decay, beta1 and beta2"
        )
    if recipe.loss != CROSS_ENTROPY:
        _check_loss(recipe)
    if is_import_path(recipe.schedule):
        factors(recipe)


def _check_optimizer(recipe: Recipe) -> None:
    what, options = f"optimizer {recipe.optimizer!r}", dict(recipe.optimizer_options)
    cls = load_object("optimizer", recipe.optimizer)
    if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)):
        raise UserError(f"{what} is no subclass of torch.optim.Optimizer; derive it from that class")
    closure = inspect.signature(cls.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UserError(f"{what}: its step needs a closure; only optimizers that take one gradient a step can be used")
    for key, advice in {"lr": "learning_rates of the suite", "weight_decay": "weight_decay of the recipe"}.items():
        if key in options:
            raise UserError(f"{what}: optimizer_options has {key}={options[key]}; set {advice} instead")
    for key in ("beta1", "beta2"):
        if getattr(recipe, key) != Recipe.model_fields[key].default:
            raise UserError(f"{what}: {key}={getattr(recipe, key)} is of {ADAMW} only; use optimizer_options")
    if recipe.weight_decay and not _takes_weight_decay(cls):
        raise UserError(f"{what} takes no weight_decay, but the recipe has {recipe.weight_decay:g}; set it to 0")
    try:
        _build_optimizer(recipe, [{"params": [nn.Parameter(torch.zeros(2, 2))]}])
    except Exception as error:
        raise UserError(f"{what} cannot be built with {options or 'no options'}: {_one_line(error)}") from None


def _check_loss(recipe: Recipe) -> None:
    what = f"loss {recipe.loss!r}"
    if recipe.label_smoothing:
        raise UserError(f"{what}: label_smoothing is of {CROSS_ENTROPY} only; set it to 0 or smooth in the loss")
    logits, target = torch.zeros(2, 3, 4, requires_grad=True), torch.tensor([[0, 1, IGNORE], [IGNORE, 3, 2]])
    function = load_object("loss", recipe.loss)
    try:
        with warnings.catch_warnings(action="ignore"):
            loss = function(logits, target)
        is_valid = isinstance(loss, Tensor) and loss.dim() == 0 and loss.requires_grad and bool(loss.isfinite())
    except Exception as error:
        raise UserError(f"{what} raises on logits [2, 3, 4] and target [2, 3]: {_one_line(error)}") from None
    if not is_valid:
        raise UserError(f"{what} must return a finite scalar tensor that depends on the logits, not {loss!r}")


def check_model(recipe: Recipe, model: nn.Module) -> None:
    """Raise :class:`CustomError` if the optimizer of a recipe cannot be built for the parameters of a model."""
    if recipe.optimizer != ADAMW:
        try:
            _build_optimizer(recipe, decay_groups(model, dict(model.named_parameters()), recipe.weight_decay))
        except Exception as error:
            raise CustomError(f"optimizer {recipe.optimizer!r} cannot train it: {_one_line(error)}") from None


# What the trainer uses.


def factors(recipe: Recipe) -> list[float]:
    """Return the learning rate of each step as a fraction of the peak."""
    if not is_import_path(recipe.schedule):
        return [rate_factor(recipe, step) for step in range(recipe.steps)]
    schedule, what = load_object("schedule", recipe.schedule), f"schedule {recipe.schedule!r}"
    values = []
    for step in range(recipe.steps):
        try:
            values.append(float(schedule(step, recipe.steps, recipe.warmup)))
        except Exception as error:
            raise UserError(f"{what} raises at step {step}: {_one_line(error)}") from None
        if not (math.isfinite(values[-1]) and values[-1] >= 0):
            raise UserError(f"{what} gives {values[-1]} at step {step}; it must be a finite number from 0")
    return values


def loss_of(recipe: Recipe) -> Loss:
    """Return the training loss: logits ``[R, B, T, V]`` and targets ``[R, B, T]`` -> ``[R]``."""
    if recipe.loss == CROSS_ENTROPY:
        return partial(cross_entropy, label_smoothing=recipe.label_smoothing)
    function = load_object("loss", recipe.loss)
    return lambda logits, target: torch.stack([function(*model) for model in zip(logits, target, strict=True)])


class CustomOptimizer(RowOptimizer):
    """A torch optimizer for each model of a population. It is launched step by step, without CUDA graphs."""

    capturable = False

    def __init__(self, population: Population, recipe: Recipe, rates: Tensor) -> None:
        super().__init__(population.values, population.grads, rates, recipe.clip)
        self.name, self.is_broken = recipe.optimizer, False
        self.peaks = [float(rate) for rate in rates]
        views = [population.named_views(index) for index in range(population.size)]
        self.parameters = [list(named.values()) for named in views]
        self.addresses = [[p.data_ptr() for p in parameters] for parameters in self.parameters]
        groups = (decay_groups(population.model, named, recipe.weight_decay) for named in views)
        self.optimizers = [_build_optimizer(recipe, group) for group in groups]

    @torch.no_grad()
    def step(self, factor: float | Tensor, batch: Batch | None = None) -> None:
        """Take one step at ``factor`` times the peak rates, a number or ``[R, 1]``; of ``batch`` nothing is used."""
        self._clip_and_freeze()
        scales = torch.as_tensor(factor).flatten().expand(len(self.optimizers)).tolist()
        alive = self.alive[:, 0].tolist()
        self.is_broken = True  # until all models have taken the step
        for index, optimizer in enumerate(self.optimizers):
            if alive[index]:
                for group in optimizer.param_groups:
                    group["lr"] = self.peaks[index] * scales[index]
                optimizer.step()
                if [p.data_ptr() for p in self.parameters[index]] != self.addresses[index]:
                    raise RuntimeError(f"optimizer {self.name} replaces parameters; it must change them in place")
        self.is_broken = False

    def model_state(self, index: int) -> dict[str, Any]:
        """Return the state of one model's optimizer, on the CPU; raise :class:`StateError` if it cannot be stored."""
        if self.is_broken:
            raise StateError("its optimizer stopped within a step")
        return {"optimizer": _plain_copy(self.optimizers[index].state_dict(), self.name)}

    def load_model_state(self, index: int, state: dict[str, Any]) -> None:
        """Set the state of one model's optimizer."""
        self.optimizers[index].load_state_dict(state["optimizer"])


def _build_optimizer(recipe: Recipe, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
    cls: Callable[..., torch.optim.Optimizer] = load_object("optimizer", recipe.optimizer)
    keep = _takes_weight_decay(cls)
    groups = [{key: value for key, value in group.items() if keep or key != "weight_decay"} for group in groups]
    decay = {"weight_decay": recipe.weight_decay} if keep else {}
    return cls(groups, lr=1.0, **decay, **dict(recipe.optimizer_options))


def _takes_weight_decay(cls: Callable[..., Any]) -> bool:
    return "weight_decay" in inspect.signature(cls).parameters


def decay_groups(model: nn.Module, named: dict[str, Any], weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameter groups with and without weight decay; ``named`` are the parameters by the model's names."""
    exempt = undecayed(model)
    groups = [
        {"params": [p for name, p in named.items() if name not in exempt], "weight_decay": weight_decay},
        {"params": [p for name, p in named.items() if name in exempt], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _plain_copy(value: Any, name: str) -> Any:
    """Return a copy of a state of tensors and plain values, on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _plain_copy(item, name) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain_copy(item, name) for item in value)
    if isinstance(value, PLAIN):
        return value
    raise StateError(f"the state of optimizer {name} holds a {type(value).__name__}, which a snapshot cannot store")
