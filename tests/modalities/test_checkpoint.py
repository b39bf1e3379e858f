from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

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


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    state = {name: torch.randn(2, 2) for name in "abcdef"}
    paths = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for path in paths:
        checkpoint.save(path, Dims(), state, tokenizer="中文", recipe={"seed": 1})
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_file_with_a_key_for_each_part_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    metadata = {"dims": json.dumps({"n_state": 4}), "extra": json.dumps({"tokenizer": "中文"})}
    save_file({"w": torch.ones(2).half()}, path, metadata)
    saved = checkpoint.load(path)
    assert (saved.dims, saved.extra) == ({"n_state": 4}, {"tokenizer": "中文"})
    assert torch.equal(saved.state["w"], torch.ones(2))
