"""Q-learning with masks, targets of all actions and demonstrations, and its replay."""
