"""Word vectors from a pretrained transformer; imports `encode.weights` and modules of `encode`."""
