"""`python -m benchmarks.finetune`: see `comparison`."""

from benchmarks.finetune.comparison import main
from nlp_gym.messages import one_line_errors

with one_line_errors():
    main()
