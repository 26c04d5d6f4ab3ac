"""To which level of the query hierarchy an attribute belongs, where one header represents a whole study or series.

Attributes of these groups are the same in all objects of a study (series), but for those named here. Pure."""

STUDY_GROUPS = ("0008", "0010", "0020", "0032", "0038", "0040")
SERIES_GROUPS = (*STUDY_GROUPS, "0018")
BELOW_STUDY = frozenset(
    (
        "00080008", "00080012", "00080013", "00080014", "00080016", "00080018", "00080021", "00080022",
        "00080023", "0008002A", "00080031", "00080032", "00080033", "00080060", "00080064", "00080068",
        "0008103E", "00081050", "00081070", "00081111", "00081115", "00081140", "00081199", "00082111",
        "00082112", "00089215", "00200011", "00200012", "00200013", "00200020", "00200032", "00200037",
        "00200052", "00200060", "00201040", "00201041", "0020000E", "00204000", "00209221", "00209222",
        "00400244", "00400245", "00400250", "00400251", "00400253", "00400254", "00400260", "00400275",
        "0040A730",
    )
)  # fmt: skip
BELOW_SERIES = frozenset(
    ("00080008", "00080012", "00080013", "00080016", "00080018", "00080023", "00080033", "00200013", "00200032")
)


def speaks_for(tag: str, level: str) -> bool:
    """Whether the header of one object defines an attribute (8 hex digits) at a level: study, series, instance."""
    if level == "instance":
        return True
    if level == "series":
        return tag[:4] in SERIES_GROUPS and tag not in BELOW_SERIES
    return level == "study" and tag[:4] in STUDY_GROUPS and tag not in BELOW_STUDY
