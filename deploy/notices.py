"""Writes THIRD_PARTY_NOTICES.md: what the product is built on and under which licence, from the installed packages."""

import json
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _python() -> list[tuple[str, str, str]]:
    names = re.findall(r"^([a-z0-9-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    found = []
    for name in names:
        meta = metadata.metadata(name)
        classifiers = [c.rsplit(" :: ", 1)[1] for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
        text = meta.get("License-Expression") or ", ".join(classifiers) or (meta.get("License") or "").split("\n")[0]
        found.append((name, meta["Version"], text[:80]))
    return found


def _web() -> list[tuple[str, str, str]]:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    found = []
    for path, entry in lock.items():
        if path and not entry.get("dev"):
            file = ROOT / "web" / path / "package.json"
            given = entry.get("license") or (json.loads(file.read_text()).get("license", "") if file.is_file() else "")
            found.append(
                (
                    path.rpartition("node_modules/")[2],
                    entry["version"],
                    given if isinstance(given, str) else given.get("type", ""),
                )
            )
    return sorted(set(found))


def main() -> None:
    lines = [
        "# Third-party notices",
        "",
        "Filmroom is MIT (see LICENSE). It is built on these; their licence texts come with the packages.",
        "",
    ]
    for title, rows in (("Python", _python()), ("Web bundle", _web())):
        lines += [f"## {title}", "", "| package | version | licence |", "|---|---|---|"]
        lines += [f"| {name} | {version} | {licence} |" for name, version, licence in rows] + [""]
    lines += [
        "## Fonts and icons",
        "",
        "Inter and JetBrains Mono: SIL Open Font License 1.1. Tabler icons: MIT. Noto fonts: SIL Open Font License 1.1.",
        "",
    ]
    (ROOT / "THIRD_PARTY_NOTICES.md").write_text("\n".join(lines))


main()
