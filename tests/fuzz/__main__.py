"""`make fuzz`: `python -m tests.fuzz [--pdus N] [--objects N] [--seed N] [--guided SECONDS]`.

Without options the long run: 1,000,000 PDUs, 20,000 objects, and ten minutes of coverage-guided fuzzing of the decoders."""

import argparse
import logging
import random
import subprocess
import sys
import tempfile
import time

from app import config as boot
from app.db import migrate, open_database
from tests.fuzz import objects, streams
from tests.fuzz.watch import Report
from tests.support.client import open_web
from tests.support.dimse import station

_GROWTH = 64 << 20  # bytes a run of any length may grow


def _tell(what: str, report: Report, started: float) -> bool:
    print(f"{what}: {report} in {time.monotonic() - started:.0f} s", flush=True)
    for fault in report.faults[:20]:
        print(fault)
    good = not report.faults and not report.outcomes.get("hung") and report.growth <= _GROWTH
    print(f"{what}: {'nothing found' if good else 'FOUND SOMETHING'}", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--pdus", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--guided", type=int, default=600, help="seconds for each decoder together")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    wanted = parser.parse_args()
    logging.getLogger("filmroom").addHandler(logging.NullHandler())  # its lines of each refusal are not this run's tale
    logging.getLogger("app").addHandler(logging.NullHandler())
    print(f"seed {wanted.seed}", flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="filmroom-fuzz-") as folder:
        config = boot.load({"data": folder}, environ={})
        database = open_database(config)
        migrate.upgrade(config, database)
        if wanted.pdus:
            started = time.monotonic()
            with station(config, database) as receiver:
                receiver.set(**streams.OPEN)
                good &= _tell("pdus", streams.run(receiver, wanted.pdus, wanted.seed), started)
        if wanted.objects:
            started = time.monotonic()
            with open_web(config, database) as web:
                good &= _tell("objects", objects.run(web, objects.seeds(), wanted.objects, wanted.seed), started)
        database.dispose()
    if wanted.guided:
        good &= (
            subprocess.run([sys.executable, "-m", "tests.fuzz.guided", str(wanted.guided)], check=False).returncode == 0
        )
    return 0 if good else 1


raise SystemExit(main())
