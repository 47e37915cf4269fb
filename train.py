#!/usr/bin/env python3
"""`python train.py` is `nlp-gym train`."""

import sys

from agents.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
