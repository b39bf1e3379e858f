"""torchaudio beside a torch without CUDA: its transforms run, and transformers imports."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA")
def test_torchaudio_and_transformers_import_after_ours_in_a_fresh_process() -> None:
    code = (
        "import modalities, torch, torchaudio\n"
        "from transformers import BertModel\n"
        "mel = torchaudio.transforms.MelSpectrogram(n_mels=40)(torch.zeros(16000))\n"
        "assert mel.shape[0] == 40\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
