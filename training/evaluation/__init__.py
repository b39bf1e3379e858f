"""Judge a checkpoint on labelled items, beside a baseline: what `emotion evaluate` runs."""
