"""Data that is there offline, and the user's own: one contract for all of it, checked before training starts."""

from generative.data.check import check_data
from generative.data.drawn.faces import FacesConfig, draw_faces, face_attributes
from generative.data.drawn.shapes import ShapesConfig, draw_shapes
from generative.data.fields import Data, Field, Modes, as_input
from generative.data.images.arrays import ArraysConfig, array_data
from generative.data.images.bundled import DigitsConfig, PhotographsConfig
from generative.data.images.cifar import CifarConfig
from generative.data.images.domains import DomainsConfig, two_domains
from generative.data.images.folder import FolderConfig
from generative.data.images.idx import IdxConfig
from generative.data.images.source import ImageSource, image_data
from generative.data.images.wrapped import dataset_data
from generative.data.orders import Batches, Order
from generative.data.origin import Origin
from generative.data.points.gaussians import GridConfig, RingConfig
from generative.data.points.moons import MoonsConfig
from generative.data.registry import DATA, DataConfig, load_data
from generative.data.rows.avatars import AvatarsConfig
from generative.data.rows.one_hot import one_hot
from generative.data.text.corpus import TextConfig

__all__ = [
    "DATA",
    "ArraysConfig",
    "AvatarsConfig",
    "Batches",
    "CifarConfig",
    "Data",
    "DataConfig",
    "DigitsConfig",
    "DomainsConfig",
    "FacesConfig",
    "Field",
    "FolderConfig",
    "GridConfig",
    "IdxConfig",
    "ImageSource",
    "Modes",
    "MoonsConfig",
    "Order",
    "Origin",
    "PhotographsConfig",
    "RingConfig",
    "ShapesConfig",
    "TextConfig",
    "array_data",
    "as_input",
    "check_data",
    "dataset_data",
    "draw_faces",
    "draw_shapes",
    "face_attributes",
    "image_data",
    "load_data",
    "one_hot",
    "two_domains",
]
