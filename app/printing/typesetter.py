"""The typesetter: a process of its own that turns lines of text into a PDF page with embedded fonts.

Only here is WeasyPrint loaded. A name that sends the layout engine into a loop costs this process and nothing else
(`app.printing.press` ends it). On the pipe: length (8 bytes, big endian), then JSON; back: one byte (0 done, 1 fault),
length, then the PDF or the fault's kind. No URL is ever fetched."""

import gc
import html
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from app.kit import memory
from app.printing.fonts import CONFIG, FAMILIES, Coverage

_STYLE = """
@page {{ size: {width}mm {height}mm; margin: 0 }}
html, body {{ margin: 0; padding: 0; font-family: {families}; font-weight: 400 }}
p {{ margin: 0; white-space: pre; overflow: hidden }}
"""
_LINE = (
    ".s{number} {{ width: {width:.3f}mm; height: {height:.3f}mm; line-height: {height:.3f}mm; margin-bottom: {free:.3f}mm;"
    " font-size: {size:.3f}mm; text-align: {align}; font-weight: {weight} }}\n"
)


def document(lines: list[dict[str, Any]], pitch: float, coverage: Coverage) -> str:
    """The HTML of one tall page: each line in a slot of its own, `pitch` millimetres below the one before.

    Styles are classes, for the layout engine reads a class once and a style attribute each time. Slots are cut, so that
    no script with tall letters moves its neighbours."""
    families = ", ".join(f'"{name}"' if " " in name else name for name in FAMILIES)
    styles: dict[tuple[Any, ...], int] = {}
    rules, paragraphs = [], []
    for line in lines:
        look = (line["width"], line["height"], line["size"], line["align"], line["bold"])
        if look not in styles:
            styles[look] = len(styles)
            width, height, size, align, bold = look
            rules.append(
                _LINE.format(
                    number=styles[look],
                    width=width,
                    height=height,
                    free=pitch - height,
                    size=size,
                    align=align,
                    weight=700 if bold else 400,
                )
            )
        text = html.escape(coverage.drawable(line["content"]))
        paragraphs.append(f"<p dir=auto class=s{styles[look]}>{text}</p>")
    width = max((line["width"] for line in lines), default=0) + 1
    page = _STYLE.format(width=round(width, 3), height=round(pitch * (len(lines) + 1), 3), families=families)
    head = f"<!doctype html><html><head><meta charset=utf-8><style>{page}{''.join(rules)}</style></head><body>"
    return f"{head}{''.join(paragraphs)}</body></html>"


def _workshop() -> Callable[[dict[str, Any]], bytes]:
    """Loads WeasyPrint and the fonts once; answers the function that sets an order."""
    import weasyprint
    from weasyprint.text.fonts import FontConfiguration

    class NoFetcher(weasyprint.urls.URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            raise ValueError("pages hold no addresses")

    coverage, fonts, fetcher = Coverage(), FontConfiguration(), NoFetcher()

    def set_order(order: dict[str, Any]) -> bytes:
        text = document(order["lines"], order["pitch"], coverage)
        page = weasyprint.HTML(string=text, url_fetcher=fetcher)
        return bytes(page.write_pdf(font_config=fonts, uncompressed_pdf=True))

    return set_order


def _serve(source: BinaryIO, sink: BinaryIO) -> None:
    set_order: Callable[[dict[str, Any]], bytes] | None = None
    while len(head := source.read(8)) == 8:
        order = json.loads(source.read(struct.unpack(">Q", head)[0]))
        try:
            set_order = set_order or _workshop()
            answer, status = set_order(order), b"\0"
        except Exception as fault:  # noqa: BLE001 whatever it is, the other side must hear of it
            missing = isinstance(fault, (ImportError, OSError)) and set_order is None
            words = "WeasyPrint or Pango is not installed" if missing else type(fault).__name__
            answer, status = words.encode(), b"\1"
        sink.write(status + struct.pack(">Q", len(answer)))
        sink.write(answer)
        sink.flush()
        del order, answer
        gc.collect()  # while no order waits: layout trees are full of circles
        memory.release_free_memory()


def main() -> None:
    os.environ["FONTCONFIG_FILE"] = str(CONFIG)  # before fontconfig is loaded
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may get into the answer
    _serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
