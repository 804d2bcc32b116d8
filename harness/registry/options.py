"""Options are the keyword-only parameters of an architecture's or a task's constructor.

A *spec* names an entry and its options: ``transformer:position=rope,width=32``. Pydantic checks the options against the
type annotations. An unknown option or a wrong value raises a :class:`~harness.errors.UserError` of one line.

An option that is written with its default value is the same as one that is left out: ``lstm:width=64`` is ``lstm``.
"""

import inspect
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, PydanticUserError, ValidationError, create_model

from harness.errors import UserError, suggest
from harness.registry.catalog import Catalog, Entry, Kind
from harness.registry.limits import MOST, MOST_OF_OPTION
from harness.registry.option_types import describe, option_error, read_pairs
from harness.registry.task_formats import format_for

Value = bool | int | float | str | None
REQUIRED = inspect.Parameter.empty
"""The default of an option that has none."""


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


def wrapper_for(entry: Entry) -> type | None:
    """Return the class around that of an entry, whose options it has too: a language model, or a format of tasks."""
    return language_model_for(entry.cls) if entry.kind == "architecture" else format_for(entry.cls)


def options_of(entry: Entry) -> dict[str, Option]:
    """Return the options of an entry by name. Its own options follow those of the class around it."""
    wrapper = wrapper_for(entry)
    common = signature(wrapper) if wrapper else ()
    try:
        specific = signature(entry.cls)
    except Exception as error:  # an annotation that cannot be evaluated
        reason = f"the parameters of __init__ cannot be read ({type(error).__name__}: {error})"
        raise UserError(f"{entry.kind} {entry.name} ({entry.path}): {reason}; correct their annotations") from error
    return {option.name: option for option in (*common, *specific)}


def defaults_of(entry: Entry) -> dict[str, Value]:
    """Return the defaults of the options of an entry that have one."""
    return {name: option.default for name, option in options_of(entry).items() if option.default is not REQUIRED}


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
    result = {key: getattr(checked, key) for key in values}
    for key, value in result.items():
        if rule := _absurdity(value, options[key]):
            raise UserError(f"{entry.kind} {entry.name}: option {key}={value}: {rule}")
    return result


def _absurdity(value: Value, option: Option) -> str:
    """Return the rule that a number breaks although it has the right type; empty where it breaks none."""
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    most = MOST_OF_OPTION.get(option.name, MOST)
    if isinstance(value, int) and abs(value) > most and "<" not in option.type:
        return f"must be at most {most}"
    return ""


@dataclass(frozen=True)
class Spec:
    """An entry of a catalog with its options in canonical form: typed, sorted by name, without those at their default.

    Specs compare and hash by kind, name and options. A pickled spec rebuilds its catalog from the plug-in paths.

    Attributes:
        written: the options that were given, with those at their default. Older records have them in their ids.
    """

    kind: Kind
    name: str
    options: tuple[tuple[str, Value], ...] = ()
    written: tuple[tuple[str, Value], ...] = field(default=(), kw_only=True, compare=False, repr=False)
    catalog: Catalog = field(kw_only=True, compare=False, repr=False)

    @property
    def entry(self) -> Entry:
        """The catalog's entry for this spec."""
        return self.catalog.find(self.kind, self.name)

    @classmethod
    def parse(cls, kind: Kind, text: str, catalog: Catalog) -> "Spec":
        """Read ``name:key=value,key=value`` and check it against the catalog."""
        name, colon, tail = text.strip().partition(":")
        return cls.of(kind, name.strip(), read_pairs(tail, f"{kind} {text!r}") if colon else {}, catalog)

    @classmethod
    def of(cls, kind: Kind, name: str, options: Mapping[str, Value], catalog: Catalog) -> "Spec":
        """Build a spec from option values and check it."""
        written = tuple(sorted(check(catalog.find(kind, name), options).items()))
        return cls(kind, name, written, written=written, catalog=catalog).canonical()

    def canonical(self) -> "Spec":
        """Return the spec without the options that have their default value."""
        options = options_of(self.entry)
        return replace(self, options=tuple((k, v) for k, v in self.written if not _is_default(v, options[k])))

    def as_written(self) -> "Spec":
        """Return the spec with all options that were given. Its text and seed are those of older records."""
        return replace(self, options=self.written)

    def resolved(self) -> dict[str, Value]:
        """Return the values of all options that have one, defaults included."""
        return defaults_of(self.entry) | dict(self.written)

    def with_options(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with these options set; they replace those of the same name."""
        return Spec.of(self.kind, self.name, {**dict(self.written), **options}, self.catalog)

    def with_defaults(self, options: Mapping[str, Value]) -> "Spec":
        """Return the spec with ``options`` added. Options that the entry lacks or that were given are ignored."""
        applicable = options_of(self.entry)
        return self.with_options({key: options[key] for key in options if key in applicable} | dict(self.written))

    def __str__(self) -> str:
        return text_of(self.name, dict(self.options))


def text_of(name: str, options: Mapping[str, Value]) -> str:
    """Return ``name:key=value,key=value``, or only the name where there are no options."""
    text = ",".join(f"{key}={_text(value)}" for key, value in options.items())
    return f"{name}:{text}" if text else name


def _is_default(value: Value, option: Option) -> bool:
    """Whether a value is the default of its option. ``True`` is not 1, because their texts differ."""
    return isinstance(value, bool) == isinstance(option.default, bool) and value == option.default


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def build_task(spec: Spec) -> Any:
    """Construct a task, in a format if the spec has options of one.

    Raises :class:`UserError` where the constructor raises ``ValueError``.
    """
    options, format_options = dict(spec.options), format_options_of(spec)
    try:
        task = spec.entry.cls(**{key: value for key, value in options.items() if key not in format_options})
        wrapper = wrapper_for(spec.entry)
        return wrapper(task, **format_options) if wrapper and format_options else task
    except ValueError as error:
        raise UserError(f"task {spec}: {error}") from None


def format_options_of(spec: Spec) -> dict[str, Value]:
    """Return the options of a task's spec that are of its format and not at their default."""
    wrapper = wrapper_for(spec.entry)
    own = {option.name for option in signature(spec.entry.cls)} if wrapper else set()
    names = {option.name: option for option in signature(wrapper) if option.name not in own} if wrapper else {}
    return {key: value for key, value in spec.options if key in names and not _is_default(value, names[key])}


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
