"""What a person sees while a model is trained."""

import itertools
import sys

import pytest

from trpo_fast import TRPO
from trpo_fast.monitoring import screen
from trpo_fast.monitoring.metrics import format_table
from trpo_fast.monitoring.progress import Bar, progress
from trpo_fast.monitoring.screen import Screen, duration, eight_lines, last_line, one_line

NAN = float("nan")
METRICS = {
    "rollout/ep_rew_mean": 212.44, "rollout/ep_len_mean": 98.0, "rollout/episodes": 40,
    "train/update_status": "committed", "train/kl_divergence_loss": 0.0098, "train/trust_region": 0.01,
    "train/improvement": 0.043, "train/expected_improvement": 0.05, "train/explained_variance": 0.714,
    "time/fps": 4000, "time/iterations": 20, "time/time_elapsed": 12.3, "time/total_timesteps": 40_960,
}  # fmt: skip


class SeenBar(Bar):
    is_shown = True
    text = ""

    def describe(self, text):
        self.text = text


def test_eight_lines_say_what_matters():
    assert eight_lines(METRICS, 1_000_000, 177.34).splitlines() == [
        "steps               40,960 of 1,000,000 (4 %)",
        "return              212.4 (+35.1 since the last report)",
        "episode length      98 steps",
        "KL divergence       0.0098, trust region 0.01",
        "improvement         0.043, predicted 0.05",
        "explained variance  0.71",
        "speed               4,000 steps/s",
        "time left           4 min 0 s",
    ]


def test_what_cannot_be_said_yet_is_said_in_words():
    early = {**METRICS, "rollout/ep_rew_mean": NAN, "rollout/ep_len_mean": NAN, "train/explained_variance": NAN}
    early |= {"train/update_status": "line_search_failed", "train/kl_divergence_loss": 0.0, "time/fps": 0}
    lines = eight_lines(early, 10_000, NAN).splitlines()
    assert len(lines) == 8
    assert lines[0].endswith("40,960 of 10,000 (100 %)")
    assert [line[20:] for line in lines[1:3]] == ["no episode has ended yet"] * 2
    assert lines[3].endswith("0, trust region 0.01 (policy unchanged: line_search_failed)")
    assert lines[5].endswith("undefined (all returns are equal)")
    assert lines[7].endswith("unknown")
    for text in (*lines, one_line(early, 10_000), last_line(early, 0), format_table(early)):
        assert "nan" not in text


def test_lines_for_files_and_for_the_end():
    assert one_line(METRICS, 80_960) == "40,960 of 80,960 (51 %), return 212.4, 10 s left"
    assert last_line(METRICS, 40) == "return 212.4 (mean of the last 40 episodes) after 40,960 steps in 12 s"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_reports_come_at_intervals_and_the_bar_has_the_return(capsys):
    bar = SeenBar()
    shown = Screen(bar, 10**6, interval=10, everything=False, keep_alive=False)
    for i in range(1, 21):
        shown.write({**METRICS, "time/iterations": i, "rollout/ep_rew_mean": NAN if i < 5 else float(i)})
    assert bar.text == ", return 20.0"
    out = capsys.readouterr().out
    assert out.count("KL divergence") == 2
    assert "return              20 (+10 since the last report)" in out
    Screen(bar, 10**6, interval=None, everything=False, keep_alive=False).write(METRICS)
    assert capsys.readouterr().out == ""


def test_a_file_gets_a_line_when_nothing_was_printed_for_a_minute(capsys, monkeypatch):
    clock = itertools.count(0.0, 25.0)
    monkeypatch.setattr(screen.time, "monotonic", lambda: next(clock))
    quiet = Screen(Bar(), 10**6, interval=None, everything=False, keep_alive=True)
    for _ in range(8):
        quiet.write(METRICS)
    assert capsys.readouterr().out.splitlines() == [one_line(METRICS, 10**6)] * 2


def test_a_pipe_has_no_bar_and_a_terminal_has_one(capsys, monkeypatch):
    with progress(10, enabled=True) as bar:
        assert not bar.is_shown
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    capsys.readouterr()
    model = TRPO("MlpPolicy", "CartPole-v1", seed=0, n_steps=64, n_critic_updates=1, verbose=1)
    model.learn(128, log_interval=2, progress_bar=True)
    out = capsys.readouterr().out
    assert out.count("explained variance") == 1
    assert "128/128" in out
    assert "return" in out.rpartition("128/128")[2]
