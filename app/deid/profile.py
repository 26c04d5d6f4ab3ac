"""Profiles: the Basic Profile and its options (PS3.15 E.2, E.3), the ready-made ones, and how the method is recorded."""

from dataclasses import dataclass, fields

from app.deid.errors import UnknownProfile
from app.kit.phrases import phrase

_BASIC = ("113100", "Basic Application Confidentiality Profile")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of PS3.15 E.3 that are offered. Each field is a column of table E.1-1."""

    retain_uids: bool = False
    retain_device_identity: bool = False
    retain_institution_identity: bool = False
    retain_patient_characteristics: bool = False
    retain_full_dates: bool = False
    retain_modified_dates: bool = False

    def chosen(self) -> tuple[str, ...]:
        return tuple(f.name for f in fields(self) if getattr(self, f.name))


# Codes of CID 7050 (PS3.16), written into De-identification Method Code Sequence.
_CODES = {
    "retain_full_dates": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "retain_modified_dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "retain_patient_characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain_device_identity": ("113109", "Retain Device Identity Option"),
    "retain_uids": ("113110", "Retain UIDs Option"),
    "retain_institution_identity": ("113112", "Retain Institution Identity Option"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A named choice of options."""

    name: str
    options: Options = Options()

    def codes(self) -> list[tuple[str, str]]:
        """(code, meaning) of everything that is done, scheme DCM."""
        return [_BASIC, *(_CODES[name] for name in self.options.chosen())]

    @property
    def dates(self) -> str:
        """Longitudinal Temporal Information Modified (0028,0303)."""
        if self.options.retain_full_dates:
            return "UNMODIFIED"
        return "MODIFIED" if self.options.retain_modified_dates else "REMOVED"


PROFILES = {
    "basic": Options(),
    "research": Options(retain_modified_dates=True),
}
# Named by the requirements and not kept yet: what they promise beyond `basic` would be a lie today.
_REFUSED = {
    "full": "The profile full cleans burned-in text from pixels, which cannot be done yet.",
    "clean_pixel_data": "Burned-in text cannot be cleaned yet.",
    "clean_descriptors": "Descriptions cannot be cleaned yet; the Basic Profile removes them.",
    "clean_structured_content": "Report content cannot be cleaned yet; the Basic Profile removes it.",
    "clean_graphics": "Graphics cannot be cleaned yet; the Basic Profile removes them.",
    "retain_safe_private": "Private attributes cannot be kept yet; the Basic Profile removes them.",
}


def resolve(name: str, options: list[str] | None = None) -> Profile:
    """The profile of this name with further options. Raises UnknownProfile with the reason for what is not kept."""
    for asked, where in [(name, "profile"), *((option, "options") for option in options or [])]:
        if asked in _REFUSED:
            raise UnknownProfile(_REFUSED[asked], hint="Use basic, and look at the pictures.", field=where)
    base = PROFILES.get(name)
    if base is None:
        known = ", ".join(PROFILES)
        raise UnknownProfile(
            phrase("Unknown profile {name}.", name=name),
            hint=phrase("Use one of {known}.", known=known),
            field="profile",
        )
    known_options = {f.name for f in fields(Options)}
    for option in options or []:
        if option not in known_options:
            raise UnknownProfile(
                phrase("Unknown option {option}.", option=option),
                hint=phrase("Use {known}.", known=", ".join(_CODES)),
                field="options",
            )
    wanted = Options(**dict.fromkeys({*base.chosen(), *(options or [])}, True))
    if wanted.retain_full_dates and wanted.retain_modified_dates:
        raise UnknownProfile("Dates are either kept or shifted, not both.", field="options")
    return Profile(name, wanted)
