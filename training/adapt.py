"""Fine-tuning with less than all parameters: frozen layers, LoRA and AdaLoRA through peft.

    model.bert = adapt(model.bert, model.bert.encoder.layer, [model.bert.embeddings], options, n)
    fit(model, …)
    model.bert = merged(model.bert)

`training.loop.fit` steps AdaLoRA's rank budget by itself, so a recipe has nothing else to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modalities.errors import InputError
from training.options import Options

RANK, ALPHA = 8, 16  # of LoRA; of AdaLoRA the mean rank at the end
INITIAL_RANK = 12  # of AdaLoRA: 1.5 times the last, as in the paper
RANK_PHASES = 0.1, 0.3  # shares of AdaLoRA's steps before ranks are cut, and after
ORTHOGONALITY = 0.5  # weight of AdaLoRA's regulariser, peft's default


def adapt(
    encoder: nn.Module,
    layers: Sequence[nn.Module],
    embeddings: Sequence[nn.Module],
    options: Options,
    total_steps: int,
) -> nn.Module:
    """Leave trainable of `encoder` what `options` ask for; use the module that is returned.

    layers, embeddings  modules inside the encoder, the layers from the lowest to the highest
    total_steps         optimizer steps of the whole run, for AdaLoRA's schedule

    LoRA: Hu et al., ICLR 2022, on every linear layer and two-dimensional convolution without
    groups that is not frozen; AdaLoRA: Zhang et al., ICLR 2023, on every linear layer. With either
    only the adapters train; heads outside of the encoder always do.
    Raises InputError where there are fewer layers than to freeze or none to adapt.
    """
    if options.freeze > len(layers):
        raise InputError(f"the encoder has {len(layers)} layers", "freeze")
    for module in (*layers[: options.freeze], *(embeddings if options.freeze else ())):
        module.requires_grad_(False)
    if options.peft is None:
        return encoder
    kinds = (nn.Linear, nn.Conv2d) if options.peft == "lora" else (nn.Linear,)
    name_of = {module: name for name, module in encoder.named_modules()}
    targets = [
        name_of[module]
        for layer in layers[options.freeze :]
        for module in layer.modules()
        if isinstance(module, kinds) and getattr(module, "groups", 1) == 1
    ]
    if not targets:
        raise InputError("no layer is left that it can adapt", "peft")
    return _wrapped(encoder, targets, options, total_steps)


def merged(encoder: nn.Module) -> nn.Module:
    """The plain encoder with its adapters folded in: what is served never knows of peft."""
    from peft import PeftModel

    return encoder.merge_and_unload() if isinstance(encoder, PeftModel) else encoder


def trained_share(model: nn.Module) -> float:
    """Parameters that train over all of them, [0, 1]."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trained / sum(p.numel() for p in model.parameters())


class RankSchedule:
    """AdaLoRA's budget in `model`: ranks are cut while it trains. Without AdaLoRA it does nothing.

    The importance of the ranks is no part of the model's state: a checkpoint of a run needs both.
    """

    def __init__(self, model: nn.Module) -> None:
        # Asked of the class: a PeftModel passes attributes of the tuner inside of it on.
        self._tuners: list[Any] = [
            module for module in model.modules() if hasattr(type(module), "update_and_allocate")
        ]

    def step(self, step: int) -> None:
        """After optimizer step number `step` (from 1), while its gradients are still there."""
        for tuner in self._tuners:
            tuner.update_and_allocate(step)

    def state_dict(self) -> list[dict[str, Any]]:
        return [
            {
                "importance": [
                    tuner.rankallocator.ipt,
                    tuner.rankallocator.exp_avg_ipt,
                    tuner.rankallocator.exp_avg_unc,
                ],
                "rank_pattern": tuner.peft_config["default"].rank_pattern,
            }
            for tuner in self._tuners
        ]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        for tuner, saved in zip(self._tuners, state, strict=True):
            device = next(tuner.parameters()).device
            allocator = tuner.rankallocator
            allocator.ipt, allocator.exp_avg_ipt, allocator.exp_avg_unc = (
                {name: values.to(device) for name, values in moments.items()}
                for moments in saved["importance"]
            )
            tuner.peft_config["default"].rank_pattern = saved["rank_pattern"]


def _wrapped(
    encoder: nn.Module, targets: list[str], options: Options, total_steps: int
) -> nn.Module:
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    if options.peft == "lora":
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets)
        return get_peft_model(encoder, config)
    before, after = (int(share * total_steps) for share in RANK_PHASES)
    config = AdaLoraConfig(
        init_r=INITIAL_RANK,
        target_r=RANK,
        lora_alpha=ALPHA,
        tinit=before,
        tfinal=after,
        deltaT=max(1, total_steps // 100),
        total_step=total_steps,
        target_modules=targets,
    )
    encoder = get_peft_model(encoder, config)
    factors = [
        p for name, p in encoder.named_parameters() if "lora_A." in name or "lora_B." in name
    ]
    for factor in factors:
        factor.register_hook(_Orthogonality(factor, ORTHOGONALITY / len(factors)))
    return encoder


class _Orthogonality:
    """Adds the gradient of w · ‖P Pᵀ − I‖ to a factor's own.

    peft adds this term of AdaLoRA to a loss that the model itself returns; ours do not.
    """

    def __init__(self, factor: nn.Parameter, weight: float) -> None:
        self.factor, self.weight = factor, weight

    def __call__(self, gradient: Tensor) -> Tensor:
        rows, columns = self.factor.shape
        p = self.factor.detach() if rows < columns else self.factor.detach().T  # (r, d)
        excess = p @ p.T - torch.eye(len(p), device=p.device)  # (r, r)
        own = 2 * excess @ p / excess.norm().clamp_min(1e-12)
        return gradient + self.weight * (own if rows < columns else own.T)
