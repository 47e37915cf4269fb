"""Hyperparameters for RL Zoo's own trainer, one module for each of its algorithms.

``python -m rl_zoo3.train --algo ppo --env NER-CoNLL-v0 --gym-packages nlp_gym --conf-file
nlp_gym_agents.rl_zoo.ppo`` reads `ppo.hyperparams`, whose values are those of the file
``hyperparams/ppo.yml``.
"""
