"""A model's whole state as safetensors and JSON; nothing here reads or writes pickle.

Files of a checkpoint (a folder, see `nlp_gym_agents.runs.snapshots`):

``policy.safetensors``     ``model.policy.state_dict()``: online and target networks
``optimizer.safetensors``  tensors of every optimizer state; its numbers are in ``state.json``
``buffer.safetensors``     replay buffer, the filled part of each array (off-policy only)
``rng.safetensors``        torch's generator states
``episodes.safetensors``   the episodes being played (`nlp_gym_agents.runs.checkpoints.episodes`)
``memory.safetensors``     what a recurrent policy remembers of them
``data.safetensors``       what the algorithm aggregated (`KeepsData`), such as roll-ins
``state.json``             counters, optimizer groups, Python's and numpy's generator states

A run resumed from a checkpoint continues exactly as if it had not stopped: weights, target network,
optimizer, replay buffer, counters, schedules, random generators, the episodes being played, the
running means of their rewards and the memory of a recurrent policy are all restored. A stop
requested inside a long rollout saves the state before it (`Boundary`); the rollout is then played
again. Not exact are: a stop between two checkpoints where Q-learning has an encoder that learns or
writes, or an encoder is on hold (what a rollout caches, which a checkpoint drops, differs in its
last digit by what it was computed together with); replay buffers above `BUFFER_LIMIT` (they start
empty); third-party environments (they begin new episodes); and, as everywhere, another number of
threads or a GPU.
"""
