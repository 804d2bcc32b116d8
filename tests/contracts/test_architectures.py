"""Every architecture of the catalog keeps the contract, as it is and with every value of its own closed options.

The shell's options are the shell's: they are tried on one mixer that attends and on one that does not.

Nothing here names an architecture: a new file is found and checked. What the checks make sure of stands in
``harness/check``; ``lengthwise check NAME`` makes the same ones.
"""

from functools import cache

import pytest

from architectures.language_model import LanguageModel
from architectures.parts.kernels import KernelMissing
from architectures.parts.position_ids import interpolates
from architectures.parts.positions import Misplaced
from harness.check import ARCHITECTURE_CHECKS, ModelSubject, run_check, subject_of, variants
from harness.errors import UserError
from harness.registry.catalog import Catalog, Entry
from harness.registry.options import Spec, Value, signature

CATALOG = Catalog()
ENTRIES = [entry for entry in CATALOG.entries["architecture"].values() if entry.origin == "built-in"]
NAMES = [entry.name for entry in ENTRIES]

SHELL = {option.name for option in signature(LanguageModel)}
IN_EVERY_SHELL = ("transformer", "lstm")

OF_VARIANTS = ("builds", "records", "shapes", "rows", "causal", "online", "long", "gradients", "steps", "population")
"""What an option could break without breaking the default."""


@cache
def subject(name: str) -> ModelSubject:
    made = subject_of(Spec("architecture", name, catalog=CATALOG))
    assert isinstance(made, ModelSubject)
    return made


def specs_of(entry: Entry) -> list[Spec]:
    """A file that does not import has no variants; the contract says what is wrong with it."""
    try:
        found = [options for options in variants(entry) if entry.name in IN_EVERY_SHELL or not SHELL & options.keys()]
        return [Spec.of("architecture", entry.name, options | needed(options), CATALOG) for options in found]
    except UserError:
        return []


def needed(options: dict[str, Value]) -> dict[str, Value]:
    """Return what an option cannot be without: squeezed places the longest source in training."""
    return {"reach": 40} if interpolates(str(options.get("places"))) else {}


VARIANTS = [spec for entry in ENTRIES for spec in specs_of(entry)]


@pytest.mark.parametrize("check", ARCHITECTURE_CHECKS)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: str) -> None:
    result = run_check(check, ARCHITECTURE_CHECKS[check], subject(name))
    assert result.ok, result.problem


@pytest.mark.parametrize("spec", VARIANTS, ids=str)
def test_contract_of_variants(spec: Spec) -> None:
    made = ModelSubject(spec)
    skip_what_cannot_be(made)
    results = [run_check(name, ARCHITECTURE_CHECKS[name], made) for name in OF_VARIANTS]
    assert not [f"{result.name}: {result.problem}" for result in results if not result.ok]


def skip_what_cannot_be(made: ModelSubject) -> None:
    """Two things are documented as not applicable: encodings that a mixer has no use for, and missing kernels."""
    try:
        made.build()
    except UserError as error:
        if not isinstance(error.__context__, KernelMissing | Misplaced):
            raise
        pytest.skip(str(error))


def test_the_catalog_is_not_empty() -> None:
    assert {"lstm", "transformer"} <= set(NAMES)
    assert VARIANTS
