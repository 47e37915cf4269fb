"""For RL Zoo: ``--algo qrdqn --conf-file nlp_gym_agents.rl_zoo.qrdqn``."""

from nlp_gym_agents.rl_zoo.table import ZooTable

hyperparams = ZooTable("qrdqn", "QuantilePolicy")
