"""Claims are predicates on the scores of all seeds. The plan checks them before a run and the report evaluates them."""

from pathlib import Path
from typing import Any

import pytest
from command_line import call

from harness.analysis.load import frames
from harness.analysis.selection import select
from harness.config.claims import Expectation, SeedScore, verdict
from harness.config.suite import load, make
from harness.errors import UserError
from harness.execution.make_plan import make_plan
from harness.registry.catalog import Catalog

CATALOG = Catalog()
SUITE: dict[str, Any] = {
    "name": "claims",
    "architectures": ["lstm", "transformer:position=none"],
    "tasks": [{"task": "parity", "architectures": ["lstm"]}, "majority"],
    "seeds": 5,
    "test_lengths": "40,80",
}


def with_known(**expectation: Any) -> dict[str, Any]:
    claim = {"claim": "it does", "source": "somebody", "task": "parity", "expect": [expectation]}
    return SUITE | {"known": [claim]}


def fitted(scores: list[float]) -> list[SeedScore]:
    return [SeedScore(score, True) for score in scores]


def unfit(scores: list[float]) -> list[SeedScore]:
    return [SeedScore(score, False) for score in scores]


@pytest.mark.parametrize(
    ("bound", "scores", "held"),
    [
        ({"least": 0.9}, [1.0, 0.9, 0.95], True),
        ({"least": 0.9}, [1.0, 0.9, 0.89], False),
        ({"least": 0.9, "seeds": 2}, [1.0, 0.9, 0.1], True),
        ({"most": 0.6, "seeds": 2}, [0.5, 0.61, 0.7], False),
        ({"most": 0.0}, [0.0, 0.0, 0.0], True),
        ({"least": 0.9}, [1.0, 1.0], None),
        ({"least": 0.9, "seeds": 4}, [1.0, 1.0, 1.0], None),
    ],
)
def test_bounds_count_seeds(bound: dict[str, float], scores: list[float], held: bool | None) -> None:
    assert Expectation(architecture="lstm", at=40, **bound).holds(fitted(scores), [], planned=3) is held


@pytest.mark.parametrize(
    ("scores", "others", "held"),
    [([0.2, 0.5, 0.9], [0.4, 0.4, 1.0], True), ([0.4] * 3, [0.4] * 3, False), ([1.0] * 3, [0.1], None)],
)
def test_above_compares_medians(scores: list[float], others: list[float], held: bool | None) -> None:
    expectation = Expectation(architecture="lstm", at=40, above="gru")
    assert expectation.holds(fitted(scores), fitted(others), planned=3) is held


@pytest.mark.parametrize(
    ("bound", "seeds", "held"),
    [
        ({"least": 0.9}, unfit([0.5, 0.5, 0.5]), None),
        ({"least": 0.9, "unfit_counts": True}, unfit([0.5, 0.5, 0.5]), False),
        ({"least": 0.9}, fitted([0.5, 0.5]) + unfit([0.5]), None),
        ({"least": 0.9, "seeds": 2}, fitted([0.5, 1.0]) + unfit([0.5]), False),
        ({"least": 0.9, "seeds": 2}, fitted([1.0, 1.0]) + unfit([0.5]), True),
        ({"least": 0.9}, unfit([1.0, 1.0, 1.0]), True),
        ({"most": 0.6}, unfit([0.5, 0.5, 0.5]), None),
        ({"most": 0.6, "unfit_counts": True}, unfit([0.5, 0.5, 0.5]), True),
        ({"most": 0.6, "unfit_counts": True}, unfit([0.7, 0.5, 0.5]), False),
        ({"most": 0.6, "seeds": 2}, fitted([0.5, 0.5]) + unfit([0.5]), True),
        ({"most": 0.6, "seeds": 2}, fitted([0.7, 0.5]) + unfit([0.5]), False),
        ({"most": 0.6, "seeds": 2}, fitted([0.5]) + unfit([0.5, 0.5]), None),
    ],
)
def test_a_seed_that_did_not_fit_is_no_evidence_of_failure(
    bound: dict[str, Any], seeds: list[SeedScore], held: bool | None
) -> None:
    assert Expectation(architecture="lstm", at=40, **bound).holds(seeds, [], planned=3) is held


@pytest.mark.parametrize(
    ("seeds", "others", "held"),
    [
        (unfit([0.9] * 3), fitted([0.1] * 3), True),
        (fitted([0.9] * 3), unfit([0.1] * 3), None),
        (fitted([0.9] * 3), fitted([0.1] * 2) + unfit([0.1]), True),
        (fitted([0.9] * 3), fitted([0.1]) + unfit([0.1] * 2), None),
        (fitted([0.1] * 3), unfit([0.9] * 3), False),
        (unfit([0.1] * 3), fitted([0.9] * 3), None),
    ],
)
def test_the_lower_of_two_architectures_must_have_fitted(
    seeds: list[SeedScore], others: list[SeedScore], held: bool | None
) -> None:
    assert Expectation(architecture="lstm", at=40, above="gru").holds(seeds, others, planned=3) is held
    lenient = Expectation(architecture="lstm", at=40, above="gru", unfit_counts=True)
    assert lenient.holds(seeds, others, planned=3) is (seeds > others)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([True, True], "appears"),
        ([True, False], "does not appear"),
        ([True, None], "not put to the test"),
        ([None, False], "not put to the test"),
    ],
)
def test_a_claim_appears_if_all_expectations_hold(held: list[bool | None], expected: str) -> None:
    assert verdict(held) == expected


@pytest.mark.parametrize(
    ("expectation", "rule"),
    [
        ({"architecture": "lstm", "at": 40}, "needs exactly one of least, most, above, got none"),
        ({"architecture": "lstm", "at": 40, "least": 0.9, "most": 1.0}, "got least and most"),
        ({"architecture": "lstm", "at": 40, "above": "gru", "seeds": 2}, "leave seeds out"),
    ],
)
def test_an_expectation_has_one_bound(expectation: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        make(with_known(**expectation), "suite")


@pytest.mark.parametrize(
    ("expectation", "rule"),
    [
        ({"architecture": "lstm", "at": 41, "least": 0.9}, "is not evaluated at 41, but at 1, .*40, 80"),
        ({"architecture": "transformer:position=none", "at": 40, "most": 0.9}, "on parity is not in this suite"),
        ({"architecture": "lstm", "at": 40, "above": "gru"}, "gru on parity is not in this suite"),
    ],
)
def test_a_claim_must_be_about_evaluated_models_and_lengths(expectation: dict[str, Any], rule: str) -> None:
    with pytest.raises(UserError, match=rule):
        make_plan(make(with_known(**expectation), "suite"), CATALOG)


def test_the_shipped_suite_trains_what_its_claims_are_about() -> None:
    suite = load("known-results")
    compared = {
        (name, expected.task or claim.task)
        for claim in suite.known
        for expected in claim.expect
        for name in expected.compared
    }
    pairs = make_plan(suite, CATALOG).pairs
    assert {(str(pair.architecture), str(pair.task.task)) for pair in pairs} == compared


def test_a_task_can_name_its_architectures() -> None:
    plan = make_plan(make(with_known(architecture="lstm", at=40, least=0.9), "suite"), CATALOG)
    assert [(str(pair.architecture), str(pair.task.task)) for pair in plan.pairs] == [
        ("lstm", "parity"),
        ("lstm", "majority"),
        ("transformer:position=none", "majority"),
    ]


def test_a_task_names_architectures_of_its_suite() -> None:
    values = SUITE | {"tasks": [{"task": "parity", "architectures": ["lstn"]}]}
    with pytest.raises(UserError, match="unknown architecture 'lstn'; did you mean lstm"):
        make_plan(make(values, "suite"), CATALOG)
    values = SUITE | {"tasks": [{"task": "parity", "architectures": ["gru"]}]}
    with pytest.raises(UserError, match="task parity: 'gru' is no architecture of this suite"):
        make_plan(make(values, "suite"), CATALOG)


def test_the_report_has_a_verdict_on_each_claim(tmp_path: Path) -> None:
    claims = "\n".join(
        f'[[known]]\nclaim = "{claim}"\nsource = "here"\ntask = "parity"\n'
        f'expect = [{{ architecture = "lstm", at = 6, {bound} }}]'
        for claim, bound in (
            ("a score", "least = 0.0"),
            ("a wonder", "least = 1.0, unfit_counts = true"),
            ("a riddle", "least = 1.0"),
        )
    )
    suite = tmp_path / "claims.toml"
    suite.write_text(
        'name = "claims"\narchitectures = ["lstm"]\ntasks = ["parity"]\nseeds = 1\nsamples = 64\ntest_lengths = "6"\n'
        f'[recipe]\nsteps = 2\ntrain_lengths = "1:3"\n{claims}\n'
    )
    assert call("run", suite, "--output", tmp_path / "out", "--workers", 1).exit_code == 0
    table = (tmp_path / "out" / "tables" / "known.csv").read_text()
    assert "a score,appears,here" in table
    assert "a wonder,does not appear,here" in table
    assert "a riddle,not put to the test,here" in table
    assert "Known results" in (tmp_path / "out" / "report.html").read_text()


def test_only_a_selection_drops_the_claims() -> None:
    loaded = frames([Path("results/reference/known-results")], CATALOG)
    assert len(select(loaded, [], [])[2].known) == len(loaded[2].known) > 0
    assert select(loaded, ["lstm"], [])[2].known == ()
