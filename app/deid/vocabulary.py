"""Words that belong to radiology and its devices, and so are not names when they only resemble one: the words of the
standard's own dictionaries, its codes with their meanings (anatomy, findings, techniques), and makers of devices."""

from functools import cache
from typing import Any

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

from app.deid import terms, words

_FEWEST = 4  # letters
_MAKERS = """
    agfa alcon aloka amico barco bayer bracco brainlab bruker canon carestream carl chison codonics curapix dentsply digirad
    drager edan elekta esaote eizo fischer fonar fuji fujifilm gehealthcare gendex getinge guerbet hamamatsu heidelberg healthcare
    healthineers hitachi hologic icad imaging instrumentarium intelerad intuitive ivoclar karl kodak konica lorad lumedx lunit
    mallinckrodt mammomat mckesson medical medicor medison medtronic merge merit micro mindray minolta mitsubishi natus nemoto
    neusoft newtom nidek nikon nucletron olympus optovue orthanc osirix pentax philips phillips picker planmeca prosat quantum
    radius raysearch rayscan revolution samsung sectra shimadzu siemens signa sirona somatom sonosite sonoscape stephanix storz
    stryker supersonic swissray symphony systems technologies tomotherapy topcon toshiba trex trophy unisyn united uniteds
    varian vatech velocity vieworks villa visage vital wuxi xoran yxlon zeiss ziehm zimmer zonare aquilion avanto achieva
    allura artis axiom aera biograph brilliance definition discovery espree ingenia ingenuity innova lightspeed magnetom
    mobilett multix optima prisma precise revelation sensation skyra sonata trio verio vivid voluson
"""
# Products, formats, and words of programs, which no dictionary of the standard has.
_PRODUCTS = """
    acuson logiq senographe gyroscan genesis syngo essential lumisys spectralis supria millennium mortara marquette gevaert flair
    turbo parity rtstruct rtplan rtdose rtimage rhapsode oncentra grappa dicom dicomlib pixelmed dcmqi offis osirix slicer horos
    labelmap multicoil polyline scintillator applicator laboratory laboratories corporation international engineering electronics
    electronic electric products instruments instrument annotations viewer editor driver search release master calculator factory
    portrait landscape resampled sparse scanner scanners station workstation console server client version software hardware package
    program module update build default custom standard normal special super ultra extra smart clear bright sharp smooth softer
    harder detail details quality speed rapid express classic elite compact mobile portable digital analog detector generator
    cathode anode tube table bucky stand wall ceiling left right upper lower front trigger phantom water sample testing tester
    export import backup archive storage printer camera copier scanning exercise physician operator patient
"""
_ADDRESS = """
    street avenue road lane square place court drive strasse straat gasse platz allee ring chemin boulevard route impasse calle avenida
    plaza paseo rua travessa piazza viale corso vicolo ulica straße north south east west northern southern eastern western upper lower
    saint sankt santa city town village county state district province region country floor suite room building house apartment
    wing ward clinic clinics klinik kliniken klinikum clinique clinica hospital hospitals hopital ospedale krankenhaus spital
    universitat universite universidad universita university universitair medical medicine medizin centre center centro zentrum
    institute institut instituto istituto department abteilung service radiology radiologie radiologia imaging diagnostic
    general regional national central foundation trust health care healthcare group practice praxis cabinet insurance versicherung
    krankenkasse assurance seguro plan basic standard premium private public company limited gmbh corporation telephone phone
    mobile fax email none unknown other another white black asian african american european caucasian hispanic latino
    married single student worker employee retired teacher self housewife
"""


@cache
def _ordinary() -> frozenset[str]:
    from pydicom.sr import _concepts_dict

    concepts: Any = _concepts_dict.concepts
    texts = [row[2] for row in DicomDictionary.values()]
    texts += [name for uid in UID_dictionary.values() for name in (uid[0], uid[3])]
    texts += [
        meaning for keywords in concepts.values() for values in keywords.values() for meaning, _ in values.values()
    ]
    found = {word for text in texts for word in words.split(text)}
    found.update(word for text in (_MAKERS, _PRODUCTS, _ADDRESS) for word in words.split(text))
    return frozenset(one for one in found if len(one) >= _FEWEST)


def is_ordinary(word: str) -> bool:
    """Whether a folded word, or its singular, is one of the subject's own."""
    known = _ordinary()
    return word in known or (word.endswith("s") and word[:-1] in known)


def is_term(word: str) -> bool:
    """Whether a folded word is one of the few that occur in every object: parts of the body, techniques, makers."""
    return word.upper() in terms.TERMS or word in words.COMPANIONS


class Misspelt:
    """Names to be found with one typing error: a letter too many, too few, another one, or two in the wrong order.

    Letters are folded ones. Of names of six letters and more; shorter ones resemble too much."""

    FEWEST, _MOST = 6, 40

    def __init__(self) -> None:
        self._shortened: dict[str, list[str]] = {}

    def add(self, name: str) -> None:
        """A folded name of one word."""
        if not self.FEWEST <= len(name) <= self._MOST or not name.isalpha() or words.is_unspaced(name):
            return
        for form in (name, *_without_one(name)):
            known = self._shortened.setdefault(form, [])
            if name not in known:
                known.append(name)

    def has(self, word: str) -> bool:
        """Whether a word of a text is one of the names but for one error; ordinary words are not."""
        if not self._shortened or not self.FEWEST - 1 <= len(word) <= self._MOST + 1:
            return False
        candidates = {name for form in (word, *_without_one(word)) for name in self._shortened.get(form, ())}
        return any(_is_one_error(word, name) for name in candidates) and not is_ordinary(word)


def _without_one(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(len(word))}


def _is_one_error(one: str, other: str) -> bool:
    """Whether two words are the same but for at most one error."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    if short[at + 1 :] == long[at + 1 :]:
        return True
    return short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
