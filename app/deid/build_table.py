"""Makes app/deid/data/table_e1_1.json from the published tables; run once per edition, its result is kept.

    python -m app.deid.build_table /path/to/standard

Basic actions come from the 2026c edition, option columns from 2024e (the newest published as data), types of
attributes per IOD from highdicom's maps. See data/NOTICE.txt for where each comes from and its licence."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_description, tag_for_keyword

_CODES = {
    "D_TAGS": "D",
    "Z_TAGS": "Z",
    "X_TAGS": "X",
    "U_TAGS": "U",
    "Z_D_TAGS": "Z/D",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
_COLUMNS = {
    "rtnSafePrivOpt": "retain_safe_private",
    "rtnUIDsOpt": "retain_uids",
    "rtnDevIdOpt": "retain_device_identity",
    "rtnInstIdOpt": "retain_institution_identity",
    "rtnPatCharsOpt": "retain_patient_characteristics",
    "rtnLongFullDatesOpt": "retain_full_dates",
    "rtnLongModifDatesOpt": "retain_modified_dates",
    "cleanDescOpt": "clean_descriptors",
    "cleanStructContOpt": "clean_structured_content",
    "cleanGraphOpt": "clean_graphics",
}
_STRICTNESS = {"1": 0, "1C": 0, "2": 1, "2C": 1, "3": 2}


def attributes(standard: Path) -> dict[str, dict[str, Any]]:
    """Tag (8 hex digits) -> {"name", "basic", and each option's code}."""
    basic = json.loads((standard / "deid-profiles/ps3.15_table_e1-1_2026c_basic_profile_actions.json").read_text())
    options = json.loads((standard / "innolitics-dicom-standard/confidentiality_profile_attributes.json").read_text())
    by_tag = {entry["id"].upper(): entry for entry in options}
    made: dict[str, dict[str, Any]] = {}
    for group, tags in basic.items():
        if group not in _CODES:  # ALL_TAGS repeats the others
            continue
        for parts in tags:
            if len(parts) != 2:
                continue  # repeating groups stand in table.py
            tag = "".join(parts).upper()
            old = by_tag.get(tag, {})
            entry = {"name": old.get("name") or _name(tag), "basic": _CODES[group]}
            entry |= {ours: old[theirs] for theirs, ours in _COLUMNS.items() if old.get(theirs)}
            made[tag] = entry
    return dict(sorted(made.items()))


def _name(tag: str) -> str:
    try:
        return dictionary_description(int(tag, 16))
    except KeyError:
        return ""


def types(standard: Path, wanted: set[str]) -> dict[str, dict[str, int]]:
    """IOD -> {path of tags joined by ">": 1, 2 or 3} for attributes whose action depends on their type."""
    iods = json.loads((standard / "highdicom/iod_module_map.json").read_text())
    with gzip.open(standard / "highdicom/module_attribute_map.json.gz") as file:
        modules = json.load(file)
    made: dict[str, dict[str, int]] = {}
    for iod, uses in iods.items():
        found: dict[str, int] = {}
        for use in uses:
            for attribute in modules.get(use["key"], ()):
                path = _path([*attribute["path"], attribute["keyword"]])
                if path is None or path.rpartition(">")[2] not in wanted:
                    continue
                kind = _STRICTNESS.get(attribute["type"], 2) + 1
                found[path] = min(kind, found.get(path, 3))
        made[iod] = found
    return made


def _path(keywords: list[str]) -> str | None:
    tags = [tag_for_keyword(keyword) for keyword in keywords]
    return None if None in tags else ">".join(f"{tag:08X}" for tag in tags)


def main(standard: Path) -> None:
    table = attributes(standard)
    combined = {tag for tag, entry in table.items() if "/" in entry["basic"]}
    classes = json.loads((standard / "highdicom/sop_class_iod_map.json").read_text())
    data = Path(__file__).parent / "data"
    (data / "table_e1_1.json").write_text(json.dumps(table, indent=0) + "\n")
    packed = {"classes": classes, "types": types(standard, combined)}
    (data / "types.json.gz").write_bytes(gzip.compress(json.dumps(packed, sort_keys=True).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
