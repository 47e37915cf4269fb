"""For RL Zoo: ``--algo ppo --conf-file nlp_gym_agents.rl_zoo.ppo``."""

from nlp_gym_agents.rl_zoo.table import ZooTable

hyperparams = ZooTable("ppo", "ActorCriticPolicy")
