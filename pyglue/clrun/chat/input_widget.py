"""The widgets of a settings form: what cl.ChatSettings takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar


@dataclass
class InputWidget:
    """What all have. id: the key of its value. initial: its first value. ValueError without id or
    label."""

    type: ClassVar[str] = ""
    extra: ClassVar[tuple[str, ...]] = ()  # what else the page is told

    id: str
    label: str
    initial: Any = None
    tooltip: str | None = None
    description: str | None = None
    disabled: bool = False

    def __post_init__(self) -> None:
        if not self.id or not self.label:
            raise ValueError("A widget must have an id and a label")

    def to_dict(self) -> dict[str, Any]:
        """The widget as the protocol has it."""
        return {
            "type": self.type,
            "id": self.id,
            "label": self.label,
            "initial": self.initial,
            "tooltip": self.tooltip,
            "description": self.description,
            "disabled": self.disabled,
            **{key: getattr(self, key) for key in self.extra},
        }


@dataclass
class Switch(InputWidget):
    """On or off."""

    type: ClassVar[str] = "switch"
    initial: bool = False


@dataclass
class Checkbox(InputWidget):
    """On or off."""

    type: ClassVar[str] = "checkbox"
    initial: bool = False


@dataclass
class Slider(InputWidget):
    """A number from min to max."""

    type: ClassVar[str] = "slider"
    extra: ClassVar[tuple[str, ...]] = ("min", "max", "step")
    initial: float = 0
    min: float = 0
    max: float = 10
    step: float = 1


@dataclass
class _Choice(InputWidget):
    """values: the choices; or items: {label: value}. Neither or both: ValueError."""

    initial: Any = None
    values: list[str] = field(default_factory=list)
    items: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.values and not self.items:
            raise ValueError("Must provide values or items")
        if self.values and self.items:
            raise ValueError("Must provide values or items, not both")

    def to_dict(self) -> dict[str, Any]:
        items = self.items or {value: value for value in self.values}
        pairs = [{"label": label, "value": value} for label, value in items.items()]
        return {**super().to_dict(), "items": pairs}


@dataclass
class _OneOf(_Choice):
    """initial_index: into values; initial_value: one of the values."""

    initial_index: int | None = None
    initial_value: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial_index is not None:
            if not self.values:
                raise ValueError("Initial_index can only be used in combination with values")
            self.initial = self.values[self.initial_index]
        elif self.initial_value is not None:
            self.initial = self.initial_value


@dataclass
class Select(_OneOf):
    """One of several, in a list that opens."""

    type: ClassVar[str] = "select"


@dataclass
class RadioGroup(_OneOf):
    """One of several, all to be seen."""

    type: ClassVar[str] = "radio"


@dataclass
class MultiSelect(_Choice):
    """Some of several."""

    type: ClassVar[str] = "multiselect"
    initial: list[str] = field(default_factory=list)


@dataclass
class TextInput(InputWidget):
    """A text."""

    type: ClassVar[str] = "textinput"
    extra: ClassVar[tuple[str, ...]] = ("placeholder", "multiline")
    initial: str | None = None
    placeholder: str | None = None
    multiline: bool = False


@dataclass
class NumberInput(InputWidget):
    """A number; it comes back as a str once it was edited."""

    type: ClassVar[str] = "numberinput"
    extra: ClassVar[tuple[str, ...]] = ("placeholder",)
    initial: float | None = None
    placeholder: str | None = None


@dataclass
class Tags(InputWidget):
    """A list of words."""

    type: ClassVar[str] = "tags"
    initial: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


@dataclass
class DatePicker(InputWidget):
    """A day, or with mode "range" a (first, last) of them.

    initial, min_date, max_date: ISO 8601 or date. format: of date-fns. ValueError for another mode,
    other texts, days in the wrong order or out of bounds.
    """

    type: ClassVar[str] = "datepicker"
    extra: ClassVar[tuple[str, ...]] = ("mode", "min_date", "max_date", "format", "placeholder")
    mode: str = "single"
    min_date: str | date | None = None
    max_date: str | date | None = None
    format: str | None = None
    placeholder: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("single", "range"):
            raise ValueError(f"The mode of a DatePicker is single or range, not {self.mode!r}")
        low, self.min_date = _day(self.min_date)
        high, self.max_date = _day(self.max_date)
        if low and high and low > high:
            raise ValueError("min_date is after max_date")
        days: list[date | None] = []
        if self.mode == "single":
            day, self.initial = _day(self.initial)
            days = [day]
        elif self.initial is not None:
            if not isinstance(self.initial, (tuple, list)) or len(self.initial) != 2:
                raise ValueError("The initial of a range is a pair of days")
            pairs = [_day(value) for value in self.initial]
            first, last = days = [day for day, _ in pairs]
            self.initial = [text for _, text in pairs]
            if first and last and first > last:
                raise ValueError("The range ends before it begins")
        for day in days:
            if day is None:
                continue
            if (low and day < low) or (high and day > high):
                raise ValueError("The initial day is out of bounds")


def _day(value: Any) -> tuple[date | None, str | None]:
    """A day, and how the page is told of it."""
    if value is None:
        return None, None
    if isinstance(value, datetime):
        return value.date(), value.isoformat()
    if isinstance(value, date):
        return value, value.isoformat()
    if not isinstance(value, str):
        raise ValueError(f"This is no date: {value!r}")
    return datetime.fromisoformat(value).date(), value


@dataclass
class Tab:
    """Widgets under a heading of their own."""

    id: str
    label: str
    inputs: list[InputWidget] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        inputs = [widget.to_dict() for widget in self.inputs]
        return {"id": self.id, "label": self.label, "inputs": inputs}
