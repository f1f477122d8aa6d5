"""Data sets by name, each a frozen dataclass of options with `load()`; packages of third parties can add theirs."""

import dataclasses
from typing import Any, Protocol, cast, runtime_checkable

from generative.core.catalogue import Catalogue
from generative.core.facts import FactsView
from generative.core.options import ComponentError, config_from_mapping
from generative.data.fields import Data
from generative.runs.run_folder import Choice


class DataConfig(Protocol):
    """A frozen dataclass of options.

    A class that reads files names the options that say where they lie in `path_options: ClassVar[tuple[str, ...]]`;
    they are made absolute, and may change when the files move. What it read it puts into its source's `origin`.
    """

    def load(self) -> Data:
        """Return the data."""


@runtime_checkable
class StandsFor(Protocol):
    """A data set whose items stand for images of another one, which its `draw` makes of them."""

    def source(self) -> Choice:
        """Return that other data set."""


@runtime_checkable
class Counted(Protocol):
    """A data set of as many items as are asked for."""

    count: int


def _data_config(found: object, name: str, place: str) -> type:
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and hasattr(found, "load")):
        raise ComponentError(f"{place}: must be a dataclass with a method load()")
    return found


DATA = Catalogue[type](
    "data",
    "data set",
    {
        "shapes": "generative.data.drawn.shapes:ShapesConfig",
        "outlines": "generative.data.drawn.outlines:OutlinesConfig",
        "faces": "generative.data.drawn.faces:FacesConfig",
        "glyphs": "generative.data.drawn.glyphs:GlyphsConfig",
        "pen-digits": "generative.data.drawn.pen_digits:PenDigitsConfig",
        "digits": "generative.data.images.bundled:DigitsConfig",
        "photographs": "generative.data.images.bundled:PhotographsConfig",
        "textures": "generative.data.images.textures:TexturesConfig",
        "emoji": "generative.data.images.emoji:EmojiConfig",
        "avatars": "generative.data.rows.avatars:AvatarsConfig",
        "text": "generative.data.text.corpus:TextConfig",
        "passages": "generative.data.text.corpus:PassagesConfig",
        "copy": "generative.data.text.languages:CopyConfig",
        "reverse": "generative.data.text.languages:ReverseConfig",
        "dates": "generative.data.text.languages:DatesConfig",
        "recall": "generative.data.text.languages:RecallConfig",
        "brackets": "generative.data.text.brackets:BracketsConfig",
        "stories": "generative.data.text.stories:StoriesConfig",
        "questions": "generative.data.text.stories:QuestionsConfig",
        "tales": "generative.data.text.tales:TalesConfig",
        "halves": "generative.data.text.tales:HalvesConfig",
        "progressions": "generative.data.music.progressions:ProgressionsConfig",
        "chorales": "generative.data.music.chorales:ChoralesConfig",
        "json-chorales": "generative.data.music.json_chorales:JsonChoralesConfig",
        "midi": "generative.data.music.midi:MidiConfig",
        "ring": "generative.data.points.gaussians:RingConfig",
        "grid": "generative.data.points.gaussians:GridConfig",
        "moons": "generative.data.points.moons:MoonsConfig",
        "codes": "generative.data.codes:CodesConfig",
        "folder": "generative.data.images.folder:FolderConfig",
        "domains": "generative.data.images.domains:DomainsConfig",
        "idx": "generative.data.images.idx:IdxConfig",
        "cifar": "generative.data.images.cifar:CifarConfig",
        "arrays": "generative.data.images.arrays:ArraysConfig",
    },
    _data_config,
)
"""The data sets; what `find` returns are classes of configs."""


def load_data(name: str, options: FactsView | None = None) -> Data:
    """Return a data set by name.

    Args:
        name: one of `DATA.names()`.
        options: those of its config, as JSON types.

    Raises:
        ComponentError: name or option is unknown, or files cannot be used.
        ValueError: an option has a wrong type or value.
    """
    config: Any = config_from_mapping(DATA.find(name), options or {})
    return cast(DataConfig, config).load()
