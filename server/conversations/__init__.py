"""Conversations for those who look at them: those in the store, and those that go on."""
