"""Tools of all readers: decoding, tables, JSON, samples; imports `data.text` and `data.tags`."""
