"""Options are the keyword-only parameters of an architecture's or a task's constructor.

A *spec* names an entry and its options: ``transformer:position=rope,width=32``. Pydantic checks the options against the
type annotations. An unknown option or a wrong value raises a :class:`~harness.errors.UserError` of one line.
"""

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model

from harness.errors import UserError, close_match, suggest
from harness.registry.catalog import Catalog, Entry, Kind

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Option:
    """One option: its name, type annotation and default."""

    name: str
    annotation: Any
    default: Value

    @property
    def type(self) -> str:
        """The type as help texts show it, for example ``int >= 1`` or ``a | b``."""
        return describe(self.annotation)


def describe(annotation: Any) -> str:
    """Return a type annotation as help texts show it."""
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
    """Return the bounds of an ``annotated_types`` limit, for example ``>= 0 < 1``; empty where it has none."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = {sign: getattr(limit, name, None) for name, sign in signs.items()}
    return " ".join(f"{sign} {bound:g}" for sign, bound in bounds.items() if bound is not None)


@cache
def signature(cls: type) -> tuple[Option, ...]:
    """Return the keyword-only parameters of a class's constructor as options."""
    hints = typing.get_type_hints(cls.__init__, include_extras=True)  # type: ignore[misc]
    parameters = [p for p in inspect.signature(cls).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return tuple(Option(p.name, hints.get(p.name, str), p.default) for p in parameters)


def language_model_for(cls: type) -> type | None:
    """Return the language model class for a mixer, or None where ``cls`` is no mixer.

    The language model adds an embedding, residual blocks and an output head to the mixers.
    """
    from architectures.base import Mixer
    from architectures.language_model import LanguageModel

    return LanguageModel if issubclass(cls, Mixer) else None


def options_of(entry: Entry) -> dict[str, Option]:
    """Return the options of an entry by name. A mixer's own options follow those of the language model."""
    language_model = language_model_for(entry.cls) if entry.kind == "architecture" else None
    common = signature(language_model) if language_model else ()
    try:
        specific = signature(entry.cls)
    except Exception as error:  # an annotation that cannot be evaluated
        reason = f"the parameters of __init__ cannot be read ({type(error).__name__}: {error})"
        raise UserError(f"{entry.kind} {entry.name} ({entry.path}): {reason}; correct their annotations") from error
    return {option.name: option for option in (*common, *specific)}


@cache
def _schema(cls: type, options: tuple[Option, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {option.name: (option.annotation, option.default) for option in options}
    return create_model(cls.__name__, __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def check(entry: Entry, values: Mapping[str, Value]) -> dict[str, Value]:
    """Return option values converted to their types; raise :class:`UserError` for the first wrong name or value."""
    options = options_of(entry)
    for key in values:
        if key not in options:
            raise UserError(f"{entry.kind} {entry.name} has no option {key!r}{suggest(key, options)}")
    try:
        checked = _schema(entry.cls, tuple(options.values())).model_validate(dict(values))
    except PydanticUserError as error:
        reason = f"an option of __init__ has an annotation that no option can have ({error.message.splitlines()[0]})"
        raise UserError(f"{entry.kind} {entry.name} ({entry.path}): {reason}; use int, float, bool, str") from None
    except ValidationError as error:
        types = {name: option.type for name, option in options.items()}
        raise option_error(f"{entry.kind} {entry.name}: option", error, types) from None
    return {key: getattr(checked, key) for key in values}


def option_error(what: str, error: ValidationError, types: Mapping[str, str]) -> UserError:
    """Return pydantic's first error as one line.

    Args:
        what: beginning of the line, before the key.
        types: the allowed values by key, as help texts show them. Without an entry, pydantic words the rule.
    """
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    name = str(first["loc"][0]) if first["loc"] else ""
    rule = f"must be {types[name]}" if name in types else first["msg"].removeprefix("Value error, ")
    return UserError(f"{what} {key}={first['input']!r}: {rule}{_hint(first['input'], types.get(name, ''))}")


def _hint(value: Any, type_text: str) -> str:
    """Suggest a choice that is close to ``value``; empty where no choice is close."""
    choices = type_text.split(" | ")
    if len(choices) == 1 or not isinstance(value, str) or close_match(value, choices) is None:
        return ""
    return suggest(value, choices)


@dataclass(frozen=True)
class Spec:
    """An entry of a catalog with its options in canonical form: typed and sorted by name.

    Specs compare and hash by kind, name and options. A pickled spec rebuilds its catalog from the plug-in paths.
    """

    kind: Kind
    name: str
    options: tuple[tuple[str, Value], ...] = ()
    catalog: Catalog = field(kw_only=True, compare=False, repr=False)

    @property
    def entry(self) -> Entry:
        """The catalog's entry for this spec."""
        return self.catalog.find(self.kind, self.name)

    @classmethod
    def parse(cls, kind: Kind, text: str, catalog: Catalog) -> "Spec":
        """Read ``name:key=value,key=value`` and check it against the catalog."""
        name, _, tail = text.strip().partition(":")
        pairs = [part.partition("=") for part in tail.split(",") if part.strip()]
        for key, sign, _value in pairs:
            if not sign:
                raise UserError(f"{kind} {text!r}: option {key!r} has no value; write key=value, separated by commas")
        return cls.of(kind, name.strip(), {key.strip(): value.strip() for key, _, value in pairs}, catalog)

    @classmethod
    def of(cls, kind: Kind, name: str, options: Mapping[str, Value], catalog: Catalog) -> "Spec":
        """Build a spec from option values and check it."""
        return cls(kind, name, tuple(sorted(check(catalog.find(kind, name), options).items())), catalog=catalog)

    def with_options(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with these options set; they replace those of the same name."""
        return Spec.of(self.kind, self.name, {**dict(self.options), **options}, self.catalog)

    def with_defaults(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with ``options`` added. Options that the entry lacks or the spec already sets are ignored."""
        applicable = options_of(self.entry)
        return self.with_options({key: options[key] for key in options if key in applicable} | dict(self.options))

    def __str__(self) -> str:
        options = ",".join(f"{key}={_text(value)}" for key, value in self.options)
        return f"{self.name}:{options}" if options else self.name


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def build_task(spec: Spec) -> Any:
    """Construct a task; raise :class:`UserError` where its constructor raises ``ValueError``."""
    try:
        return spec.entry.cls(**dict(spec.options))
    except ValueError as error:
        raise UserError(f"task {spec}: {error}") from None


def build_model(spec: Spec, symbols: tuple[str, ...]) -> Any:
    """Construct a model for an alphabet. A mixer becomes the layers of a language model.

    Raises :class:`UserError` where the constructor raises ``ValueError``.
    """
    entry, options = spec.entry, dict(spec.options)
    language_model = language_model_for(entry.cls)
    try:
        if language_model is None:
            return entry.cls(symbols, **options)
        mixer_names = {option.name for option in signature(entry.cls)}
        mixer_options = {key: options.pop(key) for key in list(options) if key in mixer_names}
        return language_model(symbols, entry.cls, mixer_options, **options)
    except ValueError as error:
        raise UserError(f"architecture {spec}: {error}") from None
