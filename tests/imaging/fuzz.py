"""Run as a program by test_hostile: damages real frames at random and decodes them. A crash ends the process."""

import random
import resource
import sys
import time
from pathlib import Path

from pydicom import dcmread

from app.imaging import ImagingError, PixelSpec, render_frame
from tests.imaging.support import stored_frame


def damage(frame: bytes, rng: random.Random) -> bytes:
    data = bytearray(frame)
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(data[: rng.randrange(1, len(data))])
    if kind == 1:
        start = rng.randrange(len(data))
        return bytes(data[:start] + data[start + rng.randrange(1, 64) :])
    where = range(min(len(data), 400)) if kind == 2 else range(len(data))
    for _ in range(rng.randrange(1, 12)):
        data[rng.choice(where)] = rng.randrange(256)
    return bytes(data)


def main(path: str, rounds: int, seconds: float) -> None:
    ds = dcmread(Path(path))
    spec = PixelSpec.from_dataset(ds)
    frame = stored_frame(ds, spec)
    rng, end, refused = random.Random(path), time.monotonic() + seconds, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(rounds):
        if time.monotonic() > end:
            break
        broken = damage(frame, rng)
        if not broken:
            continue
        started = time.process_time()
        try:
            render_frame(broken, ds, spec=spec)
        except ImagingError as error:
            assert error.detail
            refused += 1
        assert time.process_time() - started < 5, "one damaged frame took more than 5 s of the processor"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(f"refused {refused}, grown {grown} MB")
    assert grown < 200


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
