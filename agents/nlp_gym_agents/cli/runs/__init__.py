"""Commands that take trained runs: to score, compare, draw, explain, attack and use them."""
