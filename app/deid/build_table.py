"""Makes app/deid/data/table_e1_1.json from the published tables; run once per edition, its result is kept.

    python -m app.deid.build_table /path/to/standard

Basic actions come from the 2026c edition, option columns from 2024e (the newest published as data), the trees of
attributes and their types per IOD (data/iods.json.gz) from highdicom's maps. See data/NOTICE.txt for where each comes from and its licence."""

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
# As in app/deid/iods.py: negative where the type is conditional.
_TYPES = {"1": 1, "1C": -1, "2": 2, "2C": -2}


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
                continue  # repeating groups are in table.py
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


def modules(standard: Path) -> dict[str, str]:
    """Module -> JSON of its tree: tag (8 hex digits) -> type, or [type, tree of its items]. See app/deid/iods.py."""
    with gzip.open(standard / "highdicom/module_attribute_map.json.gz") as file:
        raw = json.load(file)
    made: dict[str, str] = {}
    for module, attributes in raw.items():
        tree: dict[str, Any] = {}
        for attribute in attributes:
            tags = [tag_for_keyword(keyword) for keyword in (*attribute["path"], attribute["keyword"])]
            if None in tags:
                continue  # repeating groups, which table.py settles
            *above, last = [f"{tag:08X}" for tag in tags]
            node = tree
            for tag in above:
                if not isinstance(node.get(tag), list):
                    node[tag] = [node.get(tag, 3), {}]
                node = node[tag][1]
            node.setdefault(last, _TYPES.get(attribute["type"], 3))
        made[module] = json.dumps(tree, separators=(",", ":"), sort_keys=True)
    return made


def main(standard: Path) -> None:
    classes = json.loads((standard / "highdicom/sop_class_iod_map.json").read_text())
    iods = json.loads((standard / "highdicom/iod_module_map.json").read_text())
    data = Path(__file__).parent / "data"
    (data / "table_e1_1.json").write_text(json.dumps(attributes(standard), indent=0) + "\n")
    used = {iod: [(use["key"], use["usage"]) for use in uses] for iod, uses in iods.items()}
    packed = {"classes": classes, "iods": used, "modules": modules(standard)}
    (data / "iods.json.gz").write_bytes(gzip.compress(json.dumps(packed, sort_keys=True).encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
