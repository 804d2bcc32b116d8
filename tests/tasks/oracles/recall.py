"""Oracles of recall."""

from oracles import Oracle


def mqar(pairs: int) -> Oracle:
    """Build the oracle with a dictionary of the pairs; every later token in it is a query."""

    def oracle(source: list[str]) -> list[str]:
        bound = {source[2 * pair]: source[2 * pair + 1] for pair in range(pairs)}
        assert len(bound) == len(set(bound.values())) == pairs
        labels = ["."] * (2 * pairs) + [bound.get(token, ".") for token in source[2 * pairs :]]
        assert len(labels) - labels.count(".") == pairs
        return labels

    return oracle


def associative_recall(source: list[str]) -> list[str]:
    *pairs, query = source
    return [dict(zip(pairs[::2], pairs[1::2], strict=True))[query]]


def induction_heads(source: list[str]) -> list[str]:
    assert source.count("*") == 2
    assert source[-1] == "*"
    return [source[source.index("*") + 1]]


def selective_copying(source: list[str]) -> list[str]:
    return [token for token in source if token != "_"]


def ngram_lookup(n: int = 3, continuation: int = 1, prefix: bool = False) -> Oracle:
    """Build the oracle with the string search of Python."""

    def oracle(source: list[str]) -> list[str]:
        left, right = "".join(source).split("|")
        ngram, string = (left, right) if prefix else (right, left)
        assert len(ngram) == n
        start = string.index(ngram) + n
        return list(string[start : start + continuation])

    return oracle


def noisy_recall(source: list[str]) -> list[str]:
    values: dict[str, str] = {}
    labels = []
    for first, second in zip(source[::2], source[1::2], strict=True):
        labels += [values.get(first, "."), "."]
        if first.startswith("k"):
            assert values.setdefault(first, second) == second
    assert labels[-2] != "."
    return labels


def fuzzy_recall(motif: int) -> Oracle:
    """Build the oracle, which splits the source into runs: padding, keys and values in turn, the arrow, the query."""

    def oracle(source: list[str]) -> list[str]:
        runs: list[list[str]] = []
        for token in source:
            if runs and runs[-1][0][0] == token[0]:
                runs[-1].append(token)
            else:
                runs.append([token])
        if runs[0][0] == "_":
            runs = runs[1:]
        *pairs, arrow, query = runs
        assert arrow == ["=>"]
        values = {tuple(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}
        assert all(values[tuple(key)] == value for key, value in zip(pairs[::2], pairs[1::2], strict=True))
        value = values[tuple(query)]
        return value + ["."] * (motif - len(value))

    return oracle


ORACLES: dict[str, Oracle] = {
    "mqar": mqar(4),
    "mqar:pairs=1,keys=1,values=1": mqar(1),
    "mqar:keys=16,pairs=16,values=16": mqar(16),
    "mqar:keys=4096,pairs=8,values=4096": mqar(8),
    "mqar:filler=blank,power=1": mqar(4),
    "associative_recall": associative_recall,
    "associative_recall:keys=100,values=2": associative_recall,
    "induction_heads": induction_heads,
    "induction_heads:vocabulary=3": induction_heads,
    "selective_copying": selective_copying,
    "selective_copying:data=1,vocabulary=3": selective_copying,
    "selective_copying:data=40": selective_copying,
    "ngram_lookup": ngram_lookup(),
    "ngram_lookup:key=prefix": ngram_lookup(prefix=True),
    "ngram_lookup:alphabet=2,n=1": ngram_lookup(n=1),
    "ngram_lookup:continuation=5,key=prefix,n=2": ngram_lookup(n=2, continuation=5, prefix=True),
    "ngram_lookup:n=12": ngram_lookup(n=12),
    "noisy_recall": noisy_recall,
    "noisy_recall:noise=0": noisy_recall,
    "noisy_recall:keys=100,noise=0.8,values=2": noisy_recall,
    "fuzzy_recall": fuzzy_recall(3),
    "fuzzy_recall:motif=1": fuzzy_recall(1),
    "fuzzy_recall:keys=16,motif=4,values=5": fuzzy_recall(4),
}
