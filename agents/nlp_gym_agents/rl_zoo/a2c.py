"""For RL Zoo: ``--algo a2c --conf-file nlp_gym_agents.rl_zoo.a2c``."""

from nlp_gym_agents.rl_zoo.table import ZooTable

hyperparams = ZooTable("a2c", "ActorCriticPolicy")
