"""Tasks that label a text or a turn: classification, label sets, acts; imports `tasks.core`."""
