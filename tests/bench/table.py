"""What a bench answers: rows, printed as a table and written to bench.json."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

DOC = Path(__file__).resolve().parents[2] / "docs" / "dev" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ratio: ours to the peer's, or the limit to ours; above 1 is good either way."""

    group: str
    name: str
    ours: float
    unit: str
    against: str = ""
    theirs: float = 0.0
    less_is_better: bool = False

    @property
    def ratio(self) -> float:
        if not self.theirs or not self.ours:
            return 0.0
        return self.theirs / self.ours if self.less_is_better else self.ours / self.theirs


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(rows: Sequence[Row]) -> str:
    lines = [f"{'':24} {'figure':58} {'ours':>10} {'unit':8} {'ratio':>7}  against"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        against = f"{row.against} {_figure(row.theirs)}" if row.theirs else row.against
        lines.append(f"{row.group:24} {row.name:58} {_figure(row.ours):>10} {row.unit:8} {ratio:>7}  {against}")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path) -> None:
    machine = {"machine": platform.machine(), "system": platform.system(), "python": platform.python_version()}
    path.write_text(
        json.dumps({"on": machine, "rows": [asdict(row) | {"ratio": round(row.ratio, 3)} for row in rows]}, indent=1)
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """The rows as the table of docs/dev/benchmarks.md."""
    lines = ["| figure | ours | against | ratio |", "|---|---|---|---|"]
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio else ""
        against = f"{row.against} {_figure(row.theirs)}" if row.theirs else row.against
        lines.append(f"| {row.group}: {row.name} | {_figure(row.ours)} {row.unit} | {against} | {ratio} |")
    return "\n".join(lines)


def in_document(text: str, rows: Sequence[Row], name: str, day: str, machine: str) -> str:
    """The document with the rows in place of its part `name` (bench or bench-large). Raises ValueError without that part."""
    begin, end = f"<!-- {name}: written by make {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"{name} has no place in the document")
    return f"{before}{begin}{day}, {machine}.\n\n{as_markdown(rows)}\n{rest[rest.index(end) :]}"


def write_document(rows: Sequence[Row], name: str) -> None:
    """Writes the rows into docs/dev/benchmarks.md, with today's date and the machine."""
    machine = f"{os.cpu_count()} processor cores, {platform.machine()}, {platform.system()}"
    day = datetime.now().astimezone().date().isoformat()
    DOC.write_text(in_document(DOC.read_text("utf-8"), rows, name, day, machine), "utf-8")
