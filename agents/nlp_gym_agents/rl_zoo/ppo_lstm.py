"""For RL Zoo: ``--algo ppo_lstm --conf-file nlp_gym_agents.rl_zoo.ppo_lstm``."""

from nlp_gym_agents.rl_zoo.table import ZooTable

hyperparams = ZooTable("recurrent_ppo", "RecurrentPolicy")
