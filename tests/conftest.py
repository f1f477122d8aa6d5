"""Checks every tensor annotation while testing, and keeps BLAS and torch to one thread."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from jaxtyping import install_import_hook

install_import_hook(["worldmodels", "agents", "envs", "generative"], "beartype.beartype")

import torch

torch.set_num_threads(1)
