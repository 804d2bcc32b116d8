"""Contract checks of every built-in architecture: with default options, and with every value of its closed options.

Options of the language model are tried on two mixers only, one with attention and one without.

The check "kernels" compares every value of ``kernel`` with the reference, so the variants with another kernel need few
checks of their own.

The catalog lists the architectures, so a new file is checked without a change here. The checks are defined in
``harness/check``; ``lengthwise check NAME`` runs the same ones.
"""

import pytest

from architectures.language_model import LanguageModel
from architectures.parts.kernels import KernelMissing
from architectures.parts.position_ids import interpolates
from architectures.parts.positions import Misplaced
from harness.check import ARCHITECTURE_CHECKS, ModelSubject, run_check, run_checks, variants
from harness.errors import UserError
from harness.registry.catalog import Catalog, Entry
from harness.registry.options import Spec, Value, signature

CATALOG = Catalog()
ENTRIES = [entry for entry in CATALOG.entries["architecture"].values() if entry.origin == "built-in"]
NAMES = [entry.name for entry in ENTRIES]

COMMON_OPTIONS = {option.name for option in signature(LanguageModel)}
TRIED_WITH_COMMON_OPTIONS = ("transformer", "lstm")

VARIANT_CHECKS = (
    *("builds", "records", "shapes", "rows", "causal", "online", "long"),
    *("gradients", "steps", "population"),
)
"""The checks that a variant can fail although the default options pass; steps begin after a source read at once."""
KERNEL_CHECKS = ("builds", "records", "long", "population")


def specs_of(entry: Entry) -> list[Spec]:
    """Return the variants to check; a file that cannot be imported has none, and fails its own checks."""
    with_common = entry.name in TRIED_WITH_COMMON_OPTIONS
    try:
        chosen = [options for options in variants(entry) if with_common or not COMMON_OPTIONS & options.keys()]
        return [Spec.of("architecture", entry.name, options | required(options), CATALOG) for options in chosen]
    except UserError:
        return []


def required(options: dict[str, Value]) -> dict[str, Value]:
    """Return the options that others require: squeezed places need the longest source in training."""
    return {"reach": 40} if interpolates(str(options.get("places"))) else {}


VARIANTS = [spec for entry in ENTRIES for spec in specs_of(entry)]


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    results = list(run_checks(Spec("architecture", name, catalog=CATALOG)))
    assert {result.name for result in results} == ARCHITECTURE_CHECKS.keys()
    assert not [f"{result.name}: {result.problem}" for result in results if not result.ok]
    assert not [result.name for result in results if "trained one by one" in result.skipped]


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_contract_of_variants(spec: Spec) -> None:
    model_subject = ModelSubject(spec)
    skip_inapplicable(model_subject)
    names = KERNEL_CHECKS if "kernel" in model_subject.options else VARIANT_CHECKS
    results = [run_check(name, ARCHITECTURE_CHECKS[name], model_subject) for name in names]
    assert not [f"{result.name}: {result.problem}" for result in results if not result.ok]


def skip_inapplicable(model_subject: ModelSubject) -> None:
    """Skip the two documented cases: encodings that a mixer cannot use, and kernels that are not installed."""
    try:
        model_subject.build()
    except UserError as error:
        if not isinstance(error.__context__, KernelMissing | Misplaced):
            raise
        pytest.skip(str(error))


def test_the_catalog_is_not_empty() -> None:
    assert {"lstm", "transformer"} <= set(NAMES)
    assert VARIANTS
