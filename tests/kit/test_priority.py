"""Roles that can wait go behind the pages."""

import os
import subprocess
import sys

import pytest

_SAY = "import os; from app.kit.priority import lower_priority; lower_priority(3); print(os.sched_getscheduler(0), os.nice(0))"


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="another scheduler")
def test_a_role_stands_back() -> None:
    before = os.nice(0)
    said = subprocess.run([sys.executable, "-c", _SAY], capture_output=True, text=True, check=True).stdout.split()
    assert said == [str(os.SCHED_BATCH), str(min(before + 3, 19))]


def test_it_is_harmless_where_it_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.kit import priority

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "nice", forbidden)
    monkeypatch.setattr(os, "sched_setscheduler", forbidden, raising=False)
    priority.lower_priority(2)
