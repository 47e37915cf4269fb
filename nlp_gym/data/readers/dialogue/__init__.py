"""Readers of dialogues: replies, and acts; imports `readers.shared`."""
