"""A structured report as an HTML document of its own (PS3.18 rendered resources, WADO-URI text/html)."""

from html import escape

from app.viewing.content_tree import ContentItem


def html(report: ContentItem, language: str = "en") -> str:
    """A complete document without script or style."""
    title = escape(report.name or "Structured report")
    return (
        f'<!DOCTYPE html><html lang="{escape(language)}"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>{_list(report.items)}</body></html>"
    )


def as_data(node: ContentItem) -> dict[str, object]:
    """The same as plain data."""
    return {"name": node.name, "value": node.value, "items": [as_data(one) for one in node.items]}


def _list(nodes: list[ContentItem]) -> str:
    return f"<ul>{''.join(_item(node) for node in nodes)}</ul>" if nodes else ""


def _item(node: ContentItem) -> str:
    name, value = escape(node.name), escape(node.value.strip())
    words = f"<b>{name}</b>: {value}" if name and value else f"<b>{name}</b>" if name else value
    return f"<li>{words}{_list(node.items)}</li>"
