"""Data that is there offline, and the user's own: one contract for all of it, checked before training starts."""

from generative.data.arrays import ArraysConfig, array_data
from generative.data.avatars import AvatarsConfig
from generative.data.bundled import DigitsConfig, PhotographsConfig
from generative.data.check import check_data
from generative.data.cifar import CifarConfig
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
from generative.data.faces import FacesConfig, draw_faces, face_attributes
from generative.data.folder import FolderConfig
from generative.data.idx import IdxConfig
from generative.data.origin import Origin
from generative.data.points import GridConfig, RingConfig
from generative.data.registry import DATA, DataConfig, data_class, data_names, load_data
from generative.data.shapes import ShapesConfig, draw_shapes
from generative.data.wrapped import dataset_data

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
    "data_class",
    "data_names",
    "dataset_data",
    "draw_faces",
    "draw_shapes",
    "face_attributes",
    "image_data",
    "in_values",
    "load_data",
    "one_hot",
]
