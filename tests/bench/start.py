"""Ready (/healthz 200) after the start on an existing data folder; the limit is 3 s."""

import tempfile
import time
from pathlib import Path

from tests.bench.table import Row, median
from tests.support import live as live_server


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = Path(folder) / "data"
        live_server.start(data).stop()
        ready, stopped = [], []
        for _ in range(5):
            started = time.perf_counter()
            live = live_server.start(data)
            ready.append(time.perf_counter() - started)
            stopped.append(live.stop())
    return [
        Row("start", "ready on an existing data folder", median(ready), "s", "limit", 3.0, less_is_better=True),
        Row("start", "stopped after SIGTERM", median(stopped), "s", "limit", 5.0, less_is_better=True),
    ]
