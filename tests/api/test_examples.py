"""The Python of docs/integrator/examples.md runs against a running server, block by block."""

import os
import re
from pathlib import Path
from unittest import mock

import httpx
import pydicom.data

from tests.support.live import PASSWORD, Live

DOC = Path(__file__).resolve().parents[2] / "docs" / "integrator" / "examples.md"


def test_every_example_runs(live: Live) -> None:
    blocks = re.findall(r"## (.+?)\n.*?```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert len(blocks) > 8
    file = Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm"
    given = {
        "FILMROOM_URL": live.url,
        "FILMROOM_USER": "admin",
        "FILMROOM_PASSWORD": PASSWORD,
        "EXAMPLE_FILE": str(file),
    }
    names: dict[str, object] = {}
    with mock.patch.dict(os.environ, given):
        for title, code in blocks:
            exec(compile(code, f"{DOC.name}: {title}", "exec"), names)
    for one in names.values():  # the examples are for a program that ends
        if isinstance(one, httpx.Client):
            one.close()
