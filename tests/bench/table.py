"""What a bench answers: rows, printed as a table and written to bench.json."""

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


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
