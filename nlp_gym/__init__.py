"""nlp_gym: classic NLP tasks as Gymnasium environments over real text.

``import nlp_gym`` registers every id (see `nlp_gym.registration.ENVS`) and imports neither torch
nor transformers; the first encoding does.
"""

from nlp_gym.envs.make import make_vec_env
from nlp_gym.registration import ENVS, register_envs
from nlp_gym.tasks.core.make import make_task

__version__ = "0.1.0"
__all__ = ["ENVS", "__version__", "make_task", "make_vec_env", "register_envs"]

register_envs()
