"""Readers of dialogues, with candidate replies or with acts; imports `readers.shared`."""
