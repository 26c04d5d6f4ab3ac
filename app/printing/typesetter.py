"""The typesetter: a process of its own that turns lines of text into PDF pages with embedded fonts.

Only here is WeasyPrint loaded. A name that sends the layout engine into a loop costs this process and nothing else
(`app.printing.press` ends it). On the pipe: length (8 bytes, big endian), then JSON; back: one byte (0 done, 1 fault),
length, then the PDF or the fault's kind. No URL is ever fetched."""

import html
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from app.printing.fonts import CONFIG, FAMILIES, Coverage

_TONES = {"ink": "#111", "soft": "#555", "light": "#fff", "letter": "#fff"}  # white ones get a dark edge in pdf.py
_STYLE = """
@page {{ size: {width}mm {height}mm; margin: 0 }}
html, body {{ margin: 0; padding: 0; font-family: {families}; font-weight: 400 }}
div {{ position: relative; width: {width}mm; height: {height}mm; overflow: hidden; break-after: page }}
div:last-child {{ break-after: auto }}
p {{ position: absolute; margin: 0; white-space: pre; overflow: hidden }}
"""


def document(width: float, height: float, pages: list[list[dict[str, Any]]], coverage: Coverage) -> str:
    """The HTML of the pages' texts; everything in absolute millimetres.

    Boxes are cut sideways only: a script with tall letters may stand a little above its line."""
    families = ", ".join(f'"{name}"' if " " in name else name for name in FAMILIES)
    parts = ["<!doctype html><html><head><meta charset=utf-8><style>"]
    parts.append(_STYLE.format(width=round(width, 4), height=round(height, 4), families=families))
    parts.append("</style></head><body>")
    for texts in pages:
        parts.append("<div>")
        for t in texts:
            x, y, w, h = t["box"]
            lift = t["size"] * 0.25
            parts.append(
                f'<p dir=auto style="left:{x:.3f}mm;top:{y - lift:.3f}mm;width:{w:.3f}mm;height:{h + 2 * lift:.3f}mm;'
                f"line-height:{h + 2 * lift:.3f}mm;font-size:{t['size']:.3f}mm;text-align:{t['align']};"
                f'color:{_TONES[t["tone"]]}{";font-weight:700" if t["bold"] else ""}">'
                f"{html.escape(coverage.drawable(t['content']))}</p>"
            )
        parts.append("</div>")
    parts.append("</body></html>")
    return "".join(parts)


def _workshop() -> Callable[[dict[str, Any]], bytes]:
    """Loads WeasyPrint and the fonts once; answers the function that sets an order."""
    import weasyprint
    from weasyprint.text.fonts import FontConfiguration

    class NoFetcher(weasyprint.urls.URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: Any = None) -> Any:
            raise ValueError("pages hold no addresses")

    coverage, fonts, fetcher = Coverage(), FontConfiguration(), NoFetcher()

    def set_order(order: dict[str, Any]) -> bytes:
        text = document(order["width"], order["height"], order["pages"], coverage)
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


def main() -> None:
    os.environ["FONTCONFIG_FILE"] = str(CONFIG)  # before fontconfig is loaded
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may get into the answer
    _serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
