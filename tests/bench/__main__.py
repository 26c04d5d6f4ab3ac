"""Runs every bench, or those named: `python -m tests.bench ingest frames`. Prints a table and writes bench.json.

A complete run without a failure also writes its table into docs/dev/benchmarks.md."""

import importlib
import sys
import time
from pathlib import Path

from tests.bench.table import Row, show, write, write_document

MODULES = ("start", "ingest", "find", "move", "send", "frames", "lists", "print", "memory", "browser")


def main(arguments: list[str]) -> int:
    large = "--large" in arguments
    named = [name for name in arguments if not name.startswith("-")]
    chosen = named or (["lists"] if large else list(MODULES))
    rows: list[Row] = []
    failed = 0
    for name in chosen:
        started = time.monotonic()
        print(f"-- {name}", file=sys.stderr, flush=True)
        try:
            module = importlib.import_module(f"tests.bench.{name}_")
        except ModuleNotFoundError:
            module = importlib.import_module(f"tests.bench.{name}")
        try:
            rows += module.run(1_000_000) if large else module.run()
        except Exception as fault:
            failed += 1
            print(f"   {name} failed: {fault!r}", file=sys.stderr)
        print(f"   {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(show(rows))
    write(rows, Path("bench.json"))
    if not failed and not named:
        write_document(rows, "bench-large" if large else "bench")
    return 1 if failed else 0


raise SystemExit(main(sys.argv[1:]))
