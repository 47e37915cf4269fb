"""``nlp-gym envs``: the registered ids and where their corpora are."""

from __future__ import annotations

from nlp_gym_agents.cli.shared.output import say

HEADER = ("id", "family", "task", "corpus", "metric", "full corpus")


def env_rows() -> list[tuple[str, ...]]:
    """One row per id: id, family, task, corpus, metric, and the place of the full corpus."""
    import gymnasium as gym

    from nlp_gym import make_task
    from nlp_gym.data.corpora.named import find_corpus
    from nlp_gym.errors import NLPGymError
    from nlp_gym.tasks.core.make import task_class, task_ids

    rows: list[tuple[str, ...]] = []
    for env_id in task_ids():
        kwargs = gym.spec(env_id).kwargs
        task, dataset = str(kwargs["task"]).rpartition(":")[2], str(kwargs.get("dataset", "-"))
        family = metric = "-"
        try:
            kind = task_class(env_id)
            family = kind.family
            metric = make_task(env_id, "test", corpus="sample", encoder="hashed").metric_name
            if kwargs.get("data") is not None:  # the row of another package brings its own
                where = str(kwargs["data"])
            elif kind.is_mixture:
                dataset, where = "-", "those of its tasks"
            else:
                place = find_corpus(dataset)
                where = str(place) if place else f"not here: nlp-gym data download {dataset}"
        except NLPGymError as error:  # a third party's row must not hide the others
            where = str(error)
        rows.append((env_id, family, task, dataset, metric, where))
    return rows


def env_table() -> str:
    """The rows as aligned text; never cut, whatever the width of the terminal."""
    rows = [HEADER, *env_rows()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=True)), row[-1]])
        for row in rows
    )


def envs_command() -> None:
    """List the environments, and where their corpora are."""
    say(env_table(), lines=True)
