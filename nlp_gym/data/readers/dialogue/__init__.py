"""Readers of dialogues, with replies or with acts; imports `readers.shared` and `data.text`."""
