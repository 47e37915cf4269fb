"""From a name or a file to a `Corpus`: where it is, its splits; imports `catalog` and `readers`."""
