from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
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


def matrix() -> torch.Tensor:
    """A large one, of rows of very different sizes and one of zeros."""
    torch.manual_seed(0)
    rows = torch.randn(500, 256) * torch.logspace(-2, 1, 500).unsqueeze(-1)
    rows[7] = 0
    return rows


def test_a_large_matrix_is_stored_in_eight_bits_with_a_scale_a_row(tmp_path: Path) -> None:
    path, large = tmp_path / "model.safetensors", matrix()
    assert large.numel() >= checkpoint.LARGE
    small, vector = large[:2].clone(), torch.randn(2 * checkpoint.LARGE)
    counts = torch.arange(checkpoint.LARGE * 2).view(2, -1)
    state = {"large": large, "small": small, "vector": vector, "counts": counts}
    checkpoint.save(path, Dims(), state)
    with safe_open(path, framework="pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    half, eight = torch.float16, torch.int8
    assert kinds == {
        "large": eight, "large.scale": half, "small": half, "vector": half, "counts": torch.int64,
    }  # fmt: skip
    loaded = checkpoint.load(path).state
    assert loaded.keys() == state.keys()
    assert torch.equal(loaded["counts"], counts)
    assert torch.equal(loaded["small"], small.half().float())
    # Half a step of the row's own scale, which fp16 rounds; a row of zeros stays one.
    step = large.abs().amax(1, keepdim=True) / 127
    assert ((loaded["large"] - large).abs() <= 0.501 * step).all()
    assert not loaded["large"][7].any()
    assert (loaded["large"] - large).norm() < 0.01 * large.norm()


def test_a_change_of_less_than_half_a_step_is_kept_without_eight_bits(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, Dims(), {"large": matrix()})
    parent = checkpoint.load(path).state["large"]
    learned = parent + 0.1 * parent.abs().amax(1, keepdim=True) / 127
    checkpoint.save(path, Dims(), {"large": learned}, eight_bits=False)
    torch.testing.assert_close(checkpoint.load(path).state["large"], learned.half().float())


def test_what_was_loaded_is_written_again_as_the_same_file(tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    checkpoint.save(first, Dims(), {"large": matrix(), "bias": torch.randn(9)})
    checkpoint.save(second, Dims(), checkpoint.load(first).state)
    assert second.read_bytes() == first.read_bytes()
