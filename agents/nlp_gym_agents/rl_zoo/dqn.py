"""For RL Zoo: ``--algo dqn --conf-file nlp_gym_agents.rl_zoo.dqn``."""

from nlp_gym_agents.rl_zoo.table import ZooTable

hyperparams = ZooTable("dqn", "QPolicy")
