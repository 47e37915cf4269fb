"""What the readers share: rows, encodings, tables, JSON; imports `data.text` and `data.tags`."""
