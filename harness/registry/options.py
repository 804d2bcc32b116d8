"""Options: the typed keyword parameters of an architecture or a task are its schema.

A *spec* names an entry and its options: ``transformer:position=rope,width=32``. Options are checked against the
signature by pydantic; unknown, ill-typed and out-of-range ones become one line that names the nearest valid choice.
"""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from harness.errors import UserError, nearest
from harness.registry.catalog import Catalog, Entry, Kind

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Option:
    """One option as a user sees it: name, type in words, default."""

    name: str
    annotation: Any
    default: Value

    @property
    def type(self) -> str:
        """The type in words: ``int >= 1``, ``a | b``."""
        return describe(self.annotation)


def describe(annotation: Any) -> str:
    """Return a type annotation in a user's words."""
    if typing.get_origin(annotation) is typing.Annotated:
        base, *limits = typing.get_args(annotation)
        return " ".join([describe(base), *filter(None, map(_limit, limits))])
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(str(choice) for choice in typing.get_args(annotation))
    if typing.get_args(annotation):
        return " | ".join(describe(part) for part in typing.get_args(annotation))
    if annotation is type(None):
        return "none"
    return str(getattr(annotation, "description", None) or getattr(annotation, "__name__", annotation))


def _limit(limit: Any) -> str:
    words = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    return " ".join(
        f"{sign} {getattr(limit, name):g}" for name, sign in words.items() if getattr(limit, name, None) is not None
    )


@cache
def signature(cls: type) -> tuple[Option, ...]:
    """Keyword parameters of a class; a mixer's come after those of the shell."""
    hints = typing.get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    keywords = [p for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return tuple(Option(p.name, hints.get(p.name, str), p.default) for p in keywords)


def shell_for(cls: type) -> type | None:
    """Return the shell that makes a model of this class, or None where it is one already (or a task)."""
    from architectures.base import Mixer
    from architectures.language_model import LanguageModel

    return LanguageModel if issubclass(cls, Mixer) else None


def options_of(entry: Entry) -> dict[str, Option]:
    """Return the options of an entry by name, the shell's first."""
    shell = shell_for(entry.cls) if entry.kind == "architecture" else None
    inherited = signature(shell) if shell else ()
    return {option.name: option for option in (*inherited, *signature(entry.cls))}


@cache
def _schema(cls: type, options: tuple[Option, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {option.name: (option.annotation, option.default) for option in options}
    return create_model(cls.__name__, __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def check(entry: Entry, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return the given options with their proper types; raise :class:`UserError` for the first that is wrong."""
    options = options_of(entry)
    for key in given:
        if key not in options:
            raise UserError(f"{entry.kind} {entry.name} has no option {key!r}{nearest(key, options)}")
    try:
        checked = _schema(entry.cls, tuple(options.values())).model_validate(dict(given))
    except ValidationError as error:
        raise option_error(
            f"{entry.kind} {entry.name}: option", error, {n: o.type for n, o in options.items()}
        ) from None
    return {key: getattr(checked, key) for key in given}


def option_error(what: str, error: ValidationError, types: Mapping[str, str]) -> UserError:
    """Turn pydantic's first complaint into one line."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    name = str(first["loc"][0]) if first["loc"] else ""
    rule = f"must be {types[name]}" if name in types else first["msg"].removeprefix("Value error, ")
    hint = ""
    if "|" in types.get(name, "") and isinstance(first["input"], str):
        hint = (
            nearest(first["input"], types[name].split(" | "))
            if "; did" in nearest(first["input"], types[name].split(" | "))
            else ""
        )
    return UserError(f"{what} {key}={first['input']!r}: {rule}{hint}")


@dataclass(frozen=True)
class Spec:
    """An entry of a catalog with options in canonical form: sorted by name and typed.

    Specs compare and hash by kind, name and options. A pickled spec finds its catalog again from the plug-in paths.
    """

    kind: Kind
    name: str
    options: tuple[tuple[str, Value], ...] = ()
    catalog: Catalog = field(kw_only=True, compare=False, repr=False)

    @property
    def entry(self) -> Entry:
        """The entry of the catalog."""
        return self.catalog.find(self.kind, self.name)

    @classmethod
    def parse(cls, kind: Kind, text: str, catalog: Catalog) -> "Spec":
        """Read ``name:key=value,key=value`` and check it against the catalog."""
        name, _, tail = text.strip().partition(":")
        pairs = [part.partition("=") for part in tail.split(",") if part.strip()]
        for key, sign, _value in pairs:
            if not sign:
                raise UserError(f"{kind} {text!r}: options are key=value, separated by commas; got {key!r}")
        return cls.of(kind, name.strip(), {key.strip(): value.strip() for key, _, value in pairs}, catalog)

    @classmethod
    def of(cls, kind: Kind, name: str, options: Mapping[str, Value], catalog: Catalog) -> "Spec":
        """Build a checked spec."""
        return cls(kind, name, tuple(sorted(check(catalog.find(kind, name), options).items())), catalog=catalog)

    def with_options(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with these options set; they replace those of the same name."""
        return Spec.of(self.kind, self.name, {**dict(self.options), **options}, self.catalog)

    def with_defaults(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with those of ``options`` that its entry has and that are not set already."""
        possible = options_of(self.entry)
        return self.with_options({key: options[key] for key in options if key in possible} | dict(self.options))

    def __str__(self) -> str:
        options = ",".join(f"{key}={_text(value)}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def build_task(spec: Spec) -> Any:
    """Construct a task; a ValueError of its constructor becomes a :class:`UserError`."""
    try:
        return spec.entry.cls(**dict(spec.options))
    except ValueError as error:
        raise UserError(f"task {spec}: {error}") from None


def build_model(spec: Spec, symbols: tuple[str, ...]) -> Any:
    """Construct a model for an alphabet; a mixer is put into the shell."""
    entry, options = spec.entry, dict(spec.options)
    shell = shell_for(entry.cls)
    try:
        if shell is None:
            return entry.cls(symbols, **options)
        own = {option.name for option in signature(entry.cls)}
        inner = {key: options.pop(key) for key in list(options) if key in own}
        return shell(symbols, entry.cls, inner, **options)
    except ValueError as error:
        raise UserError(f"architecture {spec}: {error}") from None
