#!/usr/bin/env python3
"""`python train.py` is `nlp-gym train`."""

import sys

from nlp_gym_agents.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
