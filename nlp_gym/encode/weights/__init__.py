"""Where a pretrained model's files are: a package, a folder, the Hub's cache; imports `errors`."""
