"""Checks that a model is kept whole: its tensors can be trained and stored, and no other state changes in training."""

from harness.check.equivalence import RATES, RECIPE, SEEDS, evaluated_logits, trainer_of
from harness.check.fixtures import ModelSubject
from harness.check.result import expect, expect_equal
from harness.models.population import load
from harness.models.tensors import obstacle


def tensors_can_be_kept(subject: ModelSubject) -> None:
    """Trained parameters are float32, and all other state of the model is tensors that a weight file can hold."""
    reason = obstacle(subject.build_as_written())
    expect(not reason, reason)


def survives_saving(subject: ModelSubject) -> None:
    """A trained model whose weights are saved and loaded again gives the same logits in evaluation."""
    trainer = trainer_of(subject, SEEDS[:1], RATES[-1:])
    for _ in range(RECIPE.steps):
        trainer.step()
    loaded = load([subject.build(SEEDS[0])], [trainer.population.weights(0)], "cpu")
    message = (
        "a trained model must give the same logits after its weights are saved and loaded again; keep what changes in "
        "training in parameters and persistent buffers, not in Python attributes"
    )
    expect_equal(evaluated_logits(loaded), evaluated_logits(trainer.population), message)
