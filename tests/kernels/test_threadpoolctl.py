"""threadpoolctl sees and limits our threads."""

import threadpoolctl

import trpo_fast
from trpo_fast.integrations import threadpoolctl as hook


def ours():
    return [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "trpo_fast"]


def test_limits_apply_and_are_lifted():
    hook.register()
    before = trpo_fast.get_num_threads()
    trpo_fast.set_num_threads(3)
    try:
        assert [library["num_threads"] for library in ours()] == [3]
        assert ours()[0]["version"] == trpo_fast.__version__
        with threadpoolctl.threadpool_limits(2, user_api="trpo_fast"):
            assert trpo_fast.get_num_threads() == 2
        assert trpo_fast.get_num_threads() == 3
    finally:
        trpo_fast.set_num_threads(before)
