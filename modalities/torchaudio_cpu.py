"""Let torchaudio import beside a torch that was built without CUDA.

torchaudio's wheel links its compiled extension against CUDA; with a CPU build of torch
`import torchaudio` raises OSError, and so does any library that imports it when present
(transformers does). Its transforms are pure Python: a stand-in for `torchaudio._extension`,
in place before the first import, is all they need. With a CUDA build nothing is touched.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
import types
from pathlib import Path


def install() -> None:
    """Put the stand-in in place; a no-op with a CUDA torch or once torchaudio is imported."""
    if "torchaudio" in sys.modules or _torch_has_cuda():
        return

    def unavailable(*_: object, **__: object) -> None:
        raise RuntimeError("this torchaudio function needs its CUDA-linked extension")

    stub = types.ModuleType("torchaudio._extension")
    stub.__dict__.update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=lambda _function: unavailable,
    )
    sys.modules["torchaudio._extension"] = stub


def _torch_has_cuda() -> bool:
    """By its build, without importing it: a decoder's process needs no torch."""
    found = importlib.util.find_spec("torch")
    assert found is not None and found.origin is not None
    version = runpy.run_path(str(Path(found.origin).with_name("version.py")))
    return version["cuda"] is not None
