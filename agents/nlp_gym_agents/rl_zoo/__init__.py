"""Hyperparameters for RL Zoo's own trainer, one module for each of its algorithms.

``python -m rl_zoo3.train --algo ppo --env NER-CoNLL-v0 --gym-packages nlp_gym --conf-file
nlp_gym_agents.rl_zoo.ppo`` reads `ppo.hyperparams`. The values are those of ``hyperparams/ppo.yml``.
"""
