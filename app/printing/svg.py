"""A page of the Sheet as SVG in millimetres: what the composer shows. No style attributes (CSP), no scripts."""

from collections.abc import Callable
from html import escape

from app.printing.sheet import Cell, Page, Placed, Sheet, Stroke, Text

_TONES = {"ink": "#111", "soft": "#555", "light": "#fff", "letter": "#fff"}
_ANCHORS = {"left": "start", "center": "middle", "right": "end"}


def draw(sheet: Sheet, page: Page, image_url: Callable[[Placed], str]) -> str:
    """One <svg>; every cell is a <g data-cell="index"> with a <rect> of its whole area to take clicks and drops."""
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(sheet.width)} {_n(sheet.height)}" '
            f'data-page="{page.number}" class="sheet-page" role="group">'
        ),
        f'<rect width="{_n(sheet.width)}" height="{_n(sheet.height)}" fill="#fff"/>',
    ]
    parts += [_cell(cell, image_url) for cell in page.cells]
    parts += [_stroke(stroke) for stroke in page.strokes]
    parts += [_text(text) for text in page.texts]
    area = sheet.area
    parts.append(
        f'<rect class="margin-guide" x="{_n(area.x)}" y="{_n(area.y)}" width="{_n(area.width)}" '
        f'height="{_n(area.height)}" fill="none"/></svg>'
    )
    return "".join(parts)


def _cell(cell: Cell, image_url: Callable[[Placed], str]) -> str:
    box = f'x="{_n(cell.box.x)}" y="{_n(cell.box.y)}" width="{_n(cell.box.width)}" height="{_n(cell.box.height)}"'
    if cell.placed is None and not cell.undrawable:
        return f'<g class="cell empty" data-cell="{cell.index}"><rect class="cell-edge" {box} fill="#e9e7e1"/></g>'
    edge = f'<rect class="cell-edge" {box} fill="none" pointer-events="all"/>'
    drawn = [*map(_stroke, cell.strokes), *map(_text, cell.texts)]
    if cell.placed is None:
        return f'<g class="cell undrawable" data-cell="{cell.index}">{"".join(drawn)}{edge}</g>'
    where = cell.placed.box
    inner = [f'<rect {box} fill="#000"/>']
    inner.append(
        f'<image x="{_n(where.x)}" y="{_n(where.y)}" width="{_n(where.width)}" height="{_n(where.height)}" '
        f'preserveAspectRatio="none" href="{escape(image_url(cell.placed))}"/>'
    )
    inner += [*drawn, edge]
    return f'<g class="cell" data-cell="{cell.index}">{"".join(inner)}</g>'


def _stroke(stroke: Stroke) -> str:
    line = f'x1="{_n(stroke.x1)}" y1="{_n(stroke.y1)}" x2="{_n(stroke.x2)}" y2="{_n(stroke.y2)}"'
    dark = f'<line {line} stroke="#000" stroke-width="{_n(stroke.width + 0.4)}"/>' if _light(stroke.tone) else ""
    return f'{dark}<line {line} stroke="{_TONES[stroke.tone]}" stroke-width="{_n(stroke.width)}"/>'


def _text(text: Text) -> str:
    """A nested <svg> cuts what does not fit, as the box on paper does."""
    box = text.box
    at = {"left": 0.0, "center": box.width / 2, "right": box.width}[text.align]
    lift = text.size * 0.25
    weight = ' font-weight="700"' if text.bold else ""
    halo = ' stroke="#000" stroke-width="0.5" paint-order="stroke" stroke-linejoin="round"' if _light(text.tone) else ""
    return (
        f'<svg x="{_n(box.x)}" y="{_n(box.y - lift)}" width="{_n(box.width)}" height="{_n(box.height + 2 * lift)}">'
        f'<text x="{_n(at)}" y="{_n(lift + box.height / 2 + text.size * 0.36)}" font-size="{_n(text.size)}" '
        f'text-anchor="{_ANCHORS[text.align]}" fill="{_TONES[text.tone]}"{weight}{halo}>{_safe(text.content)}</text></svg>'
    )


def _light(tone: str) -> bool:
    return tone in ("light", "letter")


def _safe(content: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in content))


def _n(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")
