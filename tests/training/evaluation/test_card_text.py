from __future__ import annotations

from training import card_text

LOG = (
    "train: 10 rows; emotion neutral 10\n"
    "general: 59,690,506 parameters, 26.8% of them trained\n"
    "epoch 1:   0%|          | 0/108 [00:00<?, ?it/s]\repoch 1:  10%|█  | 11/108 [00:10<01:35]"
    "0.949 s/step × 540 steps = 8.5 min\n"
    "\repoch 1: 100%|██████████| 108/108 [01:48<00:00,  1.00s/it]\n"
    "dev macro-F1: brighter 0.367, cped 0.134\n"
    "epoch 1: loss 1.9001, validation 0.4012 (best 0.4012), 130 s\n"
    "epoch 2: loss 1.8073, validation 0.4549 (best 0.4549), 234 s\n"
    "sentiment: temperature 0.91\n"
    "customers: 59,690,506 parameters, 26.8% of them trained\n"
    "epoch 1: loss 1.5000, validation 0.5012 (best 0.5012), 250 s\n"
)


def test_a_log_becomes_a_line_a_round() -> None:
    assert list(card_text.rounds(LOG)) == [
        ("general", "1", "1.9001", "0.4012", "130"),
        ("general", "2", "1.8073", "0.4549", "234"),
        ("customers", "1", "1.5000", "0.5012", "250"),
    ]
