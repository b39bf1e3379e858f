"""Calls, live and recorded: one session turns blocks of audio into utterances and their shape."""
