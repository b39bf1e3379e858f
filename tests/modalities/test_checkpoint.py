from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from modalities import checkpoint


@dataclass(frozen=True)
class Dims:
    n_state: int = 4


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = {"w": torch.randn(3, 2), "steps": torch.tensor([7])}
    checkpoint.save(path, Dims(), state, temperature={"sentiment": 1.5}, tokenizer="中文")
    saved = checkpoint.load(path)
    assert saved.dims == {"n_state": 4}
    assert saved.extra == {"temperature": {"sentiment": 1.5}, "tokenizer": "中文"}
    assert saved.state["w"].dtype == torch.float32
    assert torch.equal(saved.state["w"], state["w"].half().float())
    assert torch.equal(saved.state["steps"], state["steps"])
    assert saved.revision == checkpoint.sha256(path)[:12]
    assert list(tmp_path.iterdir()) == [path]
