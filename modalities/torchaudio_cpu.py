"""Let torchaudio import beside a torch that was built without CUDA.

torchaudio's wheel links its compiled extension against CUDA; with a CPU build of torch
`import torchaudio` raises OSError, and so does any library that imports it when present
(transformers does). Its transforms are pure Python: a stand-in for `torchaudio._extension`,
in place before the first import, is all they need. With a CUDA build nothing is touched.
"""

from __future__ import annotations

import sys
import types

import torch


def install() -> None:
    """Put the stand-in in place; a no-op with a CUDA torch or once torchaudio is imported."""
    if torch.version.cuda is not None or "torchaudio" in sys.modules:
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
