"""Papers, films and layouts: data only, in millimetres.

A layout is a tuple of cells in units of the free area (x, y, width, height from 0 to 1); gaps are taken off by
`app.printing.sheet`. Grids are named COLUMNSxROWS, as the pictures in the composer show them."""

from collections.abc import Callable

Cells = tuple[tuple[float, float, float, float], ...]

_INCH = 25.4

# Portrait: width first, never wider than high. ISO 216, ANSI, and the film sizes of PS3.3 C.13.3 (Film Size ID).
PAPERS: dict[str, tuple[float, float]] = {
    "A5": (148.0, 210.0),
    "A4": (210.0, 297.0),
    "A3": (297.0, 420.0),
    "Letter": (8.5 * _INCH, 11 * _INCH),
    "Legal": (8.5 * _INCH, 14 * _INCH),
    "8INX10IN": (8 * _INCH, 10 * _INCH),
    "10INX12IN": (10 * _INCH, 12 * _INCH),
    "11INX14IN": (11 * _INCH, 14 * _INCH),
    "14INX14IN": (14 * _INCH, 14 * _INCH),
    "14INX17IN": (14 * _INCH, 17 * _INCH),
}


def _grid(columns: int, rows: int) -> Cells:
    return tuple((c / columns, r / rows, 1 / columns, 1 / rows) for r in range(rows) for c in range(columns))


def _one_and_three(landscape: bool) -> Cells:
    """One large image and three to compare: below it, or beside it on a page that is wider than high."""
    large, small = 2 / 3, 1 / 3
    if landscape:
        return ((0, 0, large, 1), *((large, n / 3, small, 1 / 3) for n in range(3)))
    return ((0, 0, 1, large), *((n / 3, large, 1 / 3, small) for n in range(3)))


def _fixed(cells: Cells) -> Callable[[bool], Cells]:
    return lambda _landscape: cells


_GRIDS = ((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 4), (4, 4), (4, 5))
LAYOUTS: dict[str, Callable[[bool], Cells]] = {
    **{f"{c}x{r}": _fixed(_grid(c, r)) for c, r in _GRIDS},
    "1+3": _one_and_three,
}


def cells_of(layout: str, landscape: bool) -> Cells:
    return LAYOUTS[layout](landscape)
