"""Names and numbers of the people of one object, and whether a retained text contains any of them (PS3.15 E.1)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import permutations

from app.deid import romanised, words
from app.deid.birth import Dates
from app.deid.encodings import decoded, is_mixed, lookalikes, without_letters
from app.deid.spellings import inflections, transcriptions
from app.deid.vocabulary import Misspelt, is_ordinary, is_term

# In front of or within a family name and in ordinary texts alike; they count only where they are the whole name.
_PARTICLES = frozenset(
    [
        "van",
        "der",
        "den",
        "de",
        "del",
        "della",
        "di",
        "da",
        "do",
        "dos",
        "das",
        "du",
        "la",
        "le",
        "les",
        "lo",
        "las",
        "los",
        "von",
        "vom",
        "zu",
        "zum",
        "zur",
        "ten",
        "ter",
        "op",
        "ap",
        "al",
        "el",
        "ul",
        "ibn",
        "bin",
        "bint",
        "ben",
        "bar",
        "abu",
        "st",
        "san",
        "santa",
        "and",
        "und",
        "et",
        "y",
        "i",
        "e",
        "of",
        "the",
        "af",
        "av",
        "til",
        "mac",
        "mc",
    ]
)
_TITLES = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "miss",
        "dr",
        "prof",
        "professor",
        "med",
        "phd",
        "md",
        "rn",
        "jr",
        "sr",
        "ii",
        "iii",
        "iv",
        "herr",
        "frau",
        "hr",
        "fr",
        "dipl",
        "ing",
        "sir",
        "dame",
        "lord",
        "lady",
        "mme",
        "mlle",
        "dott",
        "sig",
        "sra",
        "don",
        "dona",
        "anon",
        "anonymous",
        "unknown",
        "patient",
        "test",
    ]
)
_FEWEST = 4  # letters and digits of a number; shorter ones are found in every other text by chance
_LOCAL = 7  # digits of a telephone number within a town
_FEWEST_WITHIN = 6  # of a number that is found within a longer one
_FAMILY, _GIVEN, _MIDDLE = 0, 1, 2
_LONGEST = (
    512  # characters of a name or number of which other spellings are looked for; a PN has 64 a group (PS3.5 6.2)
)
_MOST = 5_000  # spellings to look for in every text; an object of one patient has some hundred
_FEWEST_RAW, _MOST_RAW = 7, 500  # bytes of a name that chance does not have in coded data; names looked for there
_WIDE = ("utf-16-le", "utf-16-be")
_ENCODINGS = ("utf-8", "latin-1", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-9", "tis-620", "gb18030",
              "big5", "shift_jis", "euc_jp", "euc_kr", *_WIDE)  # fmt: skip
_TOLD = 64  # letters of a word that are compared beyond these bounds


@dataclass(slots=True)
class Identifiers:
    """The folded words of one object's people.

    certain: they are the patient's own names and numbers. suspected: they are a name cut short, the name of a
    physician, the place; a text that is not kept by an option is removed for them too. characters: single characters of
    scripts without spaces that are a part of the name by themselves. codes: numbers long enough to be found within
    longer ones. plain: words of names and numbers that are too long or too many to look for in every spelling, by their
    first letters; they count as whole words."""

    certain: set[str] = field(default_factory=set)
    suspected: set[str] = field(default_factory=set)
    characters: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)
    dates: Dates = field(default_factory=Dates)
    plain: set[str] = field(default_factory=set)
    misspelt: Misspelt = field(default_factory=Misspelt)
    written: set[bytes] = field(default_factory=set)
    _long: tuple[bytes, ...] | None = None

    def add_patient(self, name: str) -> None:
        """A patient's name (PN), each of its groups (PS3.5 6.2.1)."""
        for group in self._bounded(_groups(name)):
            single, joined = _parts(group)
            self._add_maimed(without_letters(group))
            self.written |= _written(group)
            self.characters.update(part for part in single if len(part) == 1 and words.is_unspaced(part))
            self.certain |= joined | {part for part in single if part not in self.characters}
            for part in single:
                self.certain |= inflections(part)
                self.misspelt.add(part)
                self.suspected.update(part[:length] for length in _cut_lengths(part))

        for group in self._bounded(one for value in name.split("\\") for one in value.split("=")):
            for latin in romanised.names(group):
                single, joined = _parts(latin)
                # A family name of four letters is a word of many texts: "Song", "Long".
                self.certain |= {part for part in single | joined if len(part) > _FEWEST}
                self.suspected |= single

    def _bounded(self, found: Iterable[str]) -> Iterator[str]:
        """Those that can be looked for in every spelling in a sensible time; the words of the others are plain ones."""
        for one in found:
            if len(one) <= _LONGEST and len(self.certain) + len(self.suspected) <= _MOST:
                yield one
            else:
                self.plain.update(
                    word[:_TOLD]
                    for word in words.split(one)
                    if len(word) >= (_FEWEST + 1 if word.isdigit() else 3) and _is_telling(word)
                )

    def _add_maimed(self, group: str) -> None:
        """A name that lost its letters beyond ASCII; what is left of it may be an ordinary word when it is short."""
        for part in set().union(*_parts(group)) if group else ():
            if len(part) >= 3:
                (self.certain if len(part) >= _FEWEST else self.suspected).add(part)

    def add_person(self, name: str) -> None:
        """Another person's name: words of three letters or more."""
        for group in self._bounded(_groups(name)):
            single, joined = _parts(group)
            self.suspected.update(
                part for part in single | joined if len(part) >= (2 if words.is_unspaced(part) else 3)
            )
            for latin in romanised.names(group):
                self.suspected |= {part for part in _parts(latin)[1] if len(part) > _FEWEST}

    def add_number(self, number: str, *, certain: bool = True) -> None:
        """A patient ID, accession number or the like; or a text that is known as a whole."""
        for one in self._bounded([number]):
            self._add_number(one, certain=certain)

    def _add_number(self, number: str, *, certain: bool) -> None:
        found = words.split(number)
        if not certain and len(found) == 1 and is_ordinary(found[0]):
            return  # a Study ID "CHEST", an ethnic group "white"
        squeezed = "".join(found)
        if len(squeezed) >= _FEWEST:
            (self.certain if certain else self.suspected).add(squeezed)
        if certain:
            self._add_code(squeezed)
        for digits in re.findall(r"\d{5,}", number):
            (self.certain if certain else self.suspected).update(
                form for form in (digits, digits.lstrip("0")) if len(form) > _FEWEST
            )
            if certain:
                self.numbers.add(digits.lstrip("0"))
                self._add_code(digits.lstrip("0"))
        if certain:
            self.numbers.add(re.sub(r"\D", "", number).lstrip("0"))  # "123-45-6789" in a numeric string has no hyphens

    def add_telephone(self, number: str) -> None:
        """Also without the code of its country and area, and each part of a text with several."""
        for one in re.split(r"[;,\s]*[a-zA-Z:@]+[;,\s]*", number[:_LONGEST]):
            digits = re.sub(r"\D", "", one)
            if len(digits) >= _LOCAL:
                self.add_number(digits[-_LOCAL:])

    def add_words(self, text: str) -> None:
        """An address or the like: each of its words that is not common to all."""
        for one in self._bounded([text]):
            self.suspected.update(
                word
                for word in words.split(one)
                if len(word) > _FEWEST and word.isalpha() and not words.is_unspaced(word) and not is_ordinary(word)
            )

    def add_date(self, date: str) -> None:
        """A DA of the examination, which links to it; written as a whole date."""
        found = re.match(r"(\d{4})\D?(\d\d)\D?(\d\d)", date)
        if found:
            year, month, day = found.groups()
            self.suspected |= {year + month + day, day + month + year, month + day + year}

    def _add_code(self, code: str) -> None:
        if len(code) >= _FEWEST_WITHIN and any(sign.isdigit() for sign in code):
            self.codes.add(code)

    def add_birth_date(self, date: str) -> None:
        """A DA, in the ways people write dates."""
        self.dates.add(date)
        found = re.fullmatch(r"(\d{4})\D?(\d\d)\D?(\d\d)", date)
        if not found:
            return
        year, month, day = found.groups()
        whole = {year + month + day, day + month + year, month + day + year}
        whole |= {f"{year}年{month}月{day}日", f"{year}年{int(month)}月{int(day)}日"}
        self.numbers |= {one.lstrip("0") for one in (year + month + day, day + month + year, month + day + year)}
        self.codes |= {year + month + day, day + month + year, month + day + year}
        bare = {f"{int(day)}{int(month)}{year}", f"{int(month)}{int(day)}{year}"}
        self.certain |= whole | {one for one in bare if len(one) >= 6}
        self.suspected |= {year[2:] + month + day, day + month + year[2:], month + day + year[2:]}

    def holds(self, text: str, *, only_certain: bool = False) -> bool:
        """Whether a text names one of these people. only_certain: the text is one that the profile promises to keep."""
        for line in words.lines(text):
            if self.plain and any(word[:_TOLD] in self.plain for word in line.words):
                return True
            if any(part in line.run and line.has(part) for part in self.certain):
                return True
            if any(code in line.run for code in self.codes) or self.dates.occur_in(
                line.words, only_certain=only_certain
            ):
                return True
            if only_certain:
                if any(line.has_apart(character) for character in self.characters):
                    return True
            elif (
                any(character in line.run for character in self.characters)
                or any(part in line.run and line.has(part) for part in self.suspected)
                or (not line.fewest and any(self.misspelt.has(word) for word in line.words))
            ):
                return True
        return False

    def is_number(self, text: str) -> bool:
        """Whether a numeric string is one of the patient's numbers, six digits or more."""
        digits = re.sub(r"\.0*$", "", text.strip()).lstrip("+-0")
        return len(digits) >= 6 and digits in self.numbers

    def raw_forms(self) -> set[bytes]:
        """The longer names and numbers as bytes to look for in binary data, lower-case ASCII."""
        return {part.encode() for part in self.certain if len(part) >= 5 and part.isascii()} | {
            form for form in self.written if len(form) >= 5
        }

    def occur_in(self, data: bytes | bytearray) -> bool:
        """Whether coded data hold a name or number of the patient in any encoding: so long a one that chance has none."""
        lower = bytes(data).lower()
        if self._long is None:
            words_of_names = {part.encode() for part in self.certain if len(part) >= _FEWEST_RAW and part.isascii()}
            forms = sorted(words_of_names | {form for form in self.written if len(form) >= _FEWEST_RAW}, key=len)
            # A text with a longer one is found by a shorter one.
            chosen: list[bytes] = []
            for form in forms[:_MOST_RAW]:
                if not any(shorter in form for shorter in chosen):
                    chosen.append(form)
            self._long = tuple(chosen)
        return any(form in lower for form in self._long)


def _groups(name: str) -> Iterator[str]:
    for value in name.split("\\"):
        for group in value.split("="):
            if group.strip(" ^"):
                yield group
                yield from transcriptions(group)
                yield from decoded(group)
                if is_mixed(group):
                    yield from lookalikes(group)


def _parts(group: str) -> tuple[set[str], set[str]]:
    """(words that are a name by themselves, names that are several words run together)."""
    single: set[str] = set()
    joined: set[str] = set()
    whole: list[str] = []
    for place, component in enumerate(group.split("^")):
        compounds = words.names(component)
        flat = [word for compound in compounds for word in compound]
        telling = [word for word in flat if _is_telling(word)]
        # One word alone is the family or given name, whatever it is; elsewhere it may be an initial or a title.
        single.update(flat if len(flat) == 1 and place <= _GIVEN else telling)
        if telling:
            joined.update("".join(compound) for compound in compounds if len(compound) > 1)
            joined.add("".join(flat))
        if flat and place <= _MIDDLE:
            whole.append("".join(flat))
    if len(whole) == 1 and words.is_unspaced(whole[0]) and 2 <= len(whole[0]) <= 4:
        single |= {whole[0][0], whole[0][1:]}  # Chinese and Korean names are often written without a delimiter
    for size in (2, 3):
        joined.update("".join(chosen) for chosen in permutations(whole, size))
    if len(whole) >= 2 and len(whole[_FAMILY]) >= 3 and not words.is_unspaced(whole[_FAMILY]):
        joined |= {whole[_GIVEN][0] + whole[_FAMILY], whole[_FAMILY] + whole[_GIVEN][0]}
    return single, {one for one in joined if len(one) >= _FEWEST or words.is_unspaced(one)} - single


def _written(group: str) -> set[bytes]:
    """The parts of a name as bytes in the encodings of DICOM, small letters of ASCII; of those beyond ASCII."""
    found = set()
    for component in group.split("^")[:_LONGEST]:
        for part in {component, *component.split()}:
            for form in {part, part.lower(), part.upper(), part.title()} if not part.isascii() else {part}:
                for encoding in _ENCODINGS if not part.isascii() else _WIDE:
                    try:
                        found.add(form.encode(encoding).lower())
                    except UnicodeEncodeError:
                        continue
    return found


def _is_telling(word: str) -> bool:
    """Neither a single letter nor a particle nor a title."""
    return (len(word) > 1 or words.is_unspaced(word)) and word not in _PARTICLES and word not in _TITLES


def _cut_lengths(part: str) -> Iterable[int]:
    """How much of a name is still the name: five letters and two thirds of it."""
    if words.is_unspaced(part):
        return ()
    fewest = max(5, -(-2 * len(part) // 3))
    return [length for length in range(fewest, len(part)) if not is_term(part[:length])]  # "Chester" is not a chest
