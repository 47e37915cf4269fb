"""What the tests of outside libraries share with the others: helpers and one encoding cache.

The guard against connections is not shared: nodes of Ray talk by the address of this machine.
"""

from __future__ import annotations

from tests.conftest import (  # noqa: F401 - fixtures, and helpers that tests import from here
    _session_cache,
    _signals,
    one_thread,
    save_bert,
    tiny_bert,
    tiny_task,
    word_piece,
)
