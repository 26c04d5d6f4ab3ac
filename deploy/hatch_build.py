"""Hook of hatchling: a wheel is never built without its translations. The web bundle cannot be forgotten either, hatchling
itself refuses a build where `web/dist` is missing."""

from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Catalogues(BuildHookInterface[Any]):
    """Compiles app/locale/*/LC_MESSAGES/*.po beside themselves; pyproject.toml names the results as artifacts."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not Path(self.root, "web", "dist", "manifest.json").is_file() and version == "standard":
            raise FileNotFoundError("the web bundle is not built: `make setup` first")
        for source in sorted(Path(self.root, "app", "locale").glob("*/LC_MESSAGES/*.po")):
            with source.open("rb") as file:
                catalogue = read_po(file, locale=source.parts[-3])
            with source.with_suffix(".mo").open("wb") as file:
                write_mo(file, catalogue)
