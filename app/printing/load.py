"""How much the annotations of an order ask to be drawn: counted in the JSON as it came, before anything is made of it.

Every list of it has a bound of its own (`order`), but their product is billions of points: what is drawn, kept with the
print and sent as a preview grows with the total."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Load:
    """points: of lines; texts: lines of text."""

    points: int = 0
    texts: int = 0

    def check(self, most: "Load") -> None:
        """Raises ValueError, in words for people, where it is more than `most`."""
        if self.points > most.points:
            raise ValueError(
                f"the annotations have {self.points} points together, the most is {most.points}: leave some of them out"
            )
        if self.texts > most.texts:
            raise ValueError(
                f"the annotations have {self.texts} lines of text together, the most is {most.texts}: "
                "leave some of them out"
            )


OF_ITEM = Load(points=20_000, texts=1_000)
OF_ORDER = Load(points=100_000, texts=5_000)


def of_annotations(annotations: Any) -> Load:
    """Of one item's annotations as JSON. What has another form counts nothing: its own field refuses it."""
    marks = list(_entries(annotations))
    return Load(
        sum(_length(line, "points") for mark in marks for line in _entries(mark.get("lines"))),
        sum(_length(text, "lines") for mark in marks for text in _entries(mark.get("texts"))),
    )


def of_items(items: Any) -> Load:
    """Of all items of an order as JSON."""
    loads = [of_annotations(item.get("annotations")) for item in _entries(items)]
    return Load(sum(one.points for one in loads), sum(one.texts for one in loads))


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list | tuple) else iter(())


def _length(of: dict[str, Any], name: str) -> int:
    value = of.get(name)
    return len(value) if isinstance(value, list | tuple) else 0
