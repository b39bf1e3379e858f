"""What each modality says of one utterance: a folder each, with prepare, model and infer."""

from modalities import torchaudio_cpu

torchaudio_cpu.install()
