"""A header kept as DICOM JSON, read by the functions of `app.imaging` as they read a Dataset: no parsing for each slice of a
long series."""

from typing import Any

from app.dicom.dicomjson import Model
from app.viewing.attributes import tag_of


class JsonHeader:
    """An `app.imaging.header.ImageHeader` over the DICOM JSON Model. Values of bulk data are absent: they are not in the JSON."""

    __slots__ = ("_items", "_model")

    def __init__(self, model: Model) -> None:
        self._model = model
        self._items: dict[str, list[JsonHeader]] = {}

    def get(self, key: str, default: Any = None, /) -> Any:
        element = self._model.get(tag_of(key))
        if not isinstance(element, dict):
            return default
        values = element.get("Value") or []
        if element.get("vr") == "SQ":
            return self._sequence(key, values)
        if len(values) > 1:
            return values
        return values[0] if values else None

    def __contains__(self, key: Any, /) -> bool:
        return tag_of(str(key)) in self._model

    def _sequence(self, key: str, values: list[Any]) -> "list[JsonHeader]":
        """Items are made once: every frame of an object with functional groups asks for all of them."""
        if key not in self._items:
            self._items[key] = [JsonHeader(one) if isinstance(one, dict) else JsonHeader({}) for one in values]
        return self._items[key]
