"""Data that is there offline, and the user's own: one contract for all of it, checked before training starts."""

from generative.data.check import check_data
from generative.data.contract import (
    Batches,
    Data,
    ImageData,
    ImageSource,
    PointData,
    RowData,
    image_data,
    in_values,
    one_hot,
)
from generative.data.drawn.faces import FacesConfig, draw_faces, face_attributes
from generative.data.drawn.shapes import ShapesConfig, draw_shapes
from generative.data.images.arrays import ArraysConfig, array_data
from generative.data.images.bundled import DigitsConfig, PhotographsConfig
from generative.data.images.cifar import CifarConfig
from generative.data.images.folder import FolderConfig
from generative.data.images.idx import IdxConfig
from generative.data.images.wrapped import dataset_data
from generative.data.origin import Origin
from generative.data.points.gaussians import GridConfig, RingConfig
from generative.data.registry import DATA, DataConfig, load_data
from generative.data.rows.avatars import AvatarsConfig

__all__ = [
    "DATA",
    "ArraysConfig",
    "AvatarsConfig",
    "Batches",
    "CifarConfig",
    "Data",
    "DataConfig",
    "DigitsConfig",
    "FacesConfig",
    "FolderConfig",
    "GridConfig",
    "IdxConfig",
    "ImageData",
    "ImageSource",
    "Origin",
    "PhotographsConfig",
    "PointData",
    "RingConfig",
    "RowData",
    "ShapesConfig",
    "array_data",
    "check_data",
    "dataset_data",
    "draw_faces",
    "draw_shapes",
    "face_attributes",
    "image_data",
    "in_values",
    "load_data",
    "one_hot",
]
