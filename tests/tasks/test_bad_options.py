"""Wrong values of task options raise an error of one line that states the rule."""

import pytest

from harness.errors import UserError
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task

CATALOG = Catalog()
FIXED_BOUNDS = {
    "addition:base=1": "int >= 2 <= 36",
    "addition:base=40": "int >= 2 <= 36",
    "addition:hints=-5": "int >= 0",
    "addition:padding=-1": "int >= 0",
    "addition:shorter=-1": "int >= 0",
    "parity:padding=-1": "int >= 0",
    "parity:scratchpad=places": "none | running",
    "addition_scratchpad:base=1": "int >= 2 <= 36",
    "subtraction:base=40": "int >= 2 <= 36",
    "subtraction:padding=-1": "int >= 0",
    "multiplication:digits=0": "int >= 1",
    "multiplication:base=1": "int >= 2 <= 36",
    "sum_modulo:modulus=1": "int >= 2 <= 36",
    "count:numbers=0": "int >= 1",
    "dyck:kinds=5": "int >= 1 <= 4",
    "dyck:depth=-1": "int >= 0",
    "shuffle_dyck:kinds=0": "int >= 1 <= 4",
    "anbn:letters=1": "int >= 2 <= 26",
    "interleaved_majority:strings=0": "int >= 1",
    "majority_alphabet:alphabet=1": "int >= 2 <= 26",
    "mode:alphabet=27": "int >= 2 <= 26",
    "boolean_and:fixed=0": "int >= 1",
    "parity_scratchpad:hints=0": "int >= 1",
    "mqar:pairs=0": "int >= 1",
    "associative_recall:values=1": "int >= 2",
    "induction_heads:vocabulary=2": "int >= 3",
    "selective_copying:data=0": "int >= 1 <= ",
    "ngram_lookup:n=13": "int >= 1 <= 12",
    "ngram_lookup:alphabet=27": "int >= 2 <= 26",
    "noisy_recall:noise=1.0": "float >= 0 < 1",
    "noisy_recall:noise=-0.5": "float >= 0 < 1",
    "noisy_recall:noise=nan": "float >= 0 < 1",
    "fuzzy_recall:motif=5": "int >= 1 <= 4",
    "fuzzy_recall:keys=17": "int >= 1 <= 16",
    "fuzzy_recall:values=1": "int >= 2",
    "modular_arithmetic:modulus=1": "int >= 2",
    "cycle_navigation:size=1": "int >= 2",
    "tomita:index=8": "int >= 1 <= 7",
    "modular_arithmetic_brackets:modulus=1": "int >= 2",
    "solve_equation:modulus=0": "int >= 2",
    "copy:alphabet=0": "int >= 1",
    "sort:alphabet=-3": "int >= 1",
    "reverse:alphabet=27": "int >= 1 <= 26",
    "duplicate_string:alphabet=27": "int >= 1 <= 26",
    "missing_duplicate:alphabet=0": "int >= 1 <= 26",
    "odds_first:alphabet=0": "int >= 1 <= 26",
    "listops:depth=0": "int >= 1 <= 64",
    "listops:depth=65": "int >= 1 <= 64",
    "listops:arguments=1": "int >= 2",
    "lego:variables=0": "int >= 1",
    "k_hop:hops=0": "int >= 1",
    "automata:states=1": "int >= 2",
    "automata:letters=27": "int >= 2 <= 26",
    "flip_flop:ignore=1.5": "float >= 0 <= 1",
    "permutation_swaps:things=1": "int >= 2 <= 9",
    "random_machine:states=1": "int >= 2",
    "many_stacks:push=1.0": "float > 0 < 1",
    "variable_assignments:variables=27": "int >= 2 <= 26",
}
CHOICES = {
    "addition:order=backward": "forward | reversed | reversed_answer; did you mean forward?",
    "subtraction:order=back": "forward | reversed",
    "mqar:filler=blanks": "random | blank; did you mean blank?",
    "ngram_lookup:key=prefixes": "prefix | suffix; did you mean prefix?",
    "modular_arithmetic:operators=+/": "+-* | +- | +* | +",
    "tomita:ask=set": "recognise | next | sets; did you mean sets?",
    "star_free:language=frist": "first | contains | blocks | marker | last; did you mean first?",
    "parity_scratchpad:scratchpad=one": "running | ones; did you mean ones?",
    "lego:order=random": "shuffled | chain",
    "group_word:generators=some": "all | transpositions",
}
DERIVED_BOUNDS = {
    "string_instructions:limited=sort,only=sort": "limited=sort: only=sort asks for no other operation; choose another",
    "addition:hints=2,padding=3": "hints=2: must be at least 4; the nearest is 4",
    "addition:hints=1": "hints=1: must be at least 2; the nearest is 2",
    "addition_scratchpad:hints=1": "hints=1: must be at least 2; the nearest is 2",
    "subtraction:hints=2,padding=2": "hints=2: must be at least 3; the nearest is 3",
    "mqar:keys=8,pairs=9": "keys=8: must be at least 9; the nearest is 9",
    "mqar:pairs=9,values=8": "values=8: must be at least 9; the nearest is 9",
    "fuzzy_recall:keys=2": "keys=2: must be at least 3; the nearest is 3",
    "fuzzy_recall:values=2": "values=2: must be at least 3; the nearest is 3",
    "multi_token_recall:letters=1,queries=17": "queries=17: must be from 1 to 16; the nearest is 16",
    "needle:distractors=16": "distractors=16: must be less than keys=16; the nearest is 15",
    "modular_regression:modulus=9": "modulus=9: must be a prime; the nearest is 7",
    "reachability:names=3": "names=3: must be at least 4; the nearest is 4",
    "random_machine:letters=2,states=90": "states=90: too many for letters=2; "
    "no table connects them all, use more letters",
    "group_word:group=q8": "group=q8: must be s, a or z with a number, or several joined by x; for example a4xz5",
    "group_word:group=a4x": "group=a4x: must be s, a or z with a number, or several joined by x; for example a4xz5",
    "group_word:group=s7": "group=s7: has 5040 elements, must be at most 720; the nearest is s6",
    "group_word:generators=transpositions,group=a5": "generators=transpositions: group must be s2 to s6, not a5; "
    "use generators=all or another group",
}


@pytest.mark.parametrize("spec", [*FIXED_BOUNDS, *CHOICES])
def test_the_type_of_an_option_is_checked_before_the_task_is_built(spec: str) -> None:
    name, _, assignment = spec.partition(":")
    key, _, value = assignment.partition("=")
    with pytest.raises(UserError) as caught:
        Spec.parse("task", spec, CATALOG)
    rule = (FIXED_BOUNDS | CHOICES)[spec]
    message = str(caught.value)
    assert message.startswith(f"task {name}: option {key}={value!r}: must be {rule}")
    assert "\n" not in message


@pytest.mark.parametrize("spec", DERIVED_BOUNDS)
def test_a_bound_that_depends_on_other_options_is_checked_by_the_task(spec: str) -> None:
    parsed = Spec.parse("task", spec, CATALOG)
    with pytest.raises(UserError) as caught:
        build_task(parsed)
    assert str(caught.value) == f"task {parsed}: {DERIVED_BOUNDS[spec]}"
