"""Many small cases in one test: all of them run, and every failure is reported."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest


@contextmanager
def collected_failures() -> Iterator[Callable[..., AbstractContextManager[None]]]:
    """Yield ``case(*words)``, a context for one case; at the end the test fails if a case did, with all their words."""
    failures = []

    @contextmanager
    def case(*words: object) -> Iterator[None]:
        try:
            yield
        except (Exception, pytest.fail.Exception) as error:
            failures.append(f"{', '.join(map(str, words))}: {type(error).__name__}: {error}")

    yield case
    if failures:
        pytest.fail(f"{len(failures)} cases:\n" + "\n".join(failures), pytrace=False)
