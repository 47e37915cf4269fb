"""The Gymnasium shells around any task, single and vectorised; imports `tasks.core`, `render`."""
