"""What a person sees while a model is trained: eight lines or a table at intervals, and a line a minute in a file."""

import math
import time

from trpo_fast.monitoring.metrics import format_table
from trpo_fast.monitoring.progress import Bar
from trpo_fast.protocols import Metrics

QUIET_SECONDS = 60.0  # after which a file or pipe gets a line
STEPS = "time/total_timesteps"
RETURN = "rollout/ep_rew_mean"


class Screen:
    """Prints metrics for a person.

    Parameters
    ----------
    bar : Bar
        Shows the return too.
    target : int
        Transitions at the end of training.
    interval : int, optional
        Iterations between two prints; None prints nothing.
    everything : bool
        Print all metrics instead of eight lines.
    keep_alive : bool
        Print a line when nothing was printed for a minute; for a file or pipe, which has no bar.
    """

    def __init__(self, bar: Bar, target: int, *, interval: int | None, everything: bool, keep_alive: bool) -> None:
        self.bar = bar
        self._target, self._interval, self._everything, self._keep_alive = target, interval, everything, keep_alive
        self._return = math.nan  # as last printed
        self._printed_at = time.monotonic()

    def write(self, metrics: Metrics) -> None:
        """Show the metrics of one iteration."""
        if self.bar.is_shown and not math.isnan(number(metrics, RETURN)):
            self.bar.describe(f", return {number(metrics, RETURN):.1f}")
        if self._interval is not None and metrics["time/iterations"] % self._interval == 0:
            self._print(format_table(metrics) if self._everything else eight_lines(metrics, self._target, self._return))
            self._return = number(metrics, RETURN)
        elif self._keep_alive and time.monotonic() - self._printed_at >= QUIET_SECONDS:
            self._print(one_line(metrics, self._target))

    def _print(self, text: str) -> None:
        print(text, flush=True)
        self._printed_at = time.monotonic()


def number(metrics: Metrics, name: str) -> float:
    """A metric as a float; NaN if there is none, or it is text."""
    value = metrics.get(name, math.nan)
    return math.nan if isinstance(value, str) else float(value)


def eight_lines(metrics: Metrics, target: int, return_before: float) -> str:
    """What matters of an iteration: progress, return and its trend, KL, improvement, critic, speed, time left."""
    mean, change = number(metrics, RETURN), number(metrics, RETURN) - return_before
    trend = "" if math.isnan(change) else f" ({change:+.4g} since the last report)"
    no_episode = "no episode has ended yet"
    status = metrics.get("train/update_status", "committed")
    unchanged = "" if status == "committed" else f" (policy unchanged: {status})"
    variance = number(metrics, "train/explained_variance")
    rows = {
        "steps": _steps(metrics, target),
        "return": no_episode if math.isnan(mean) else f"{mean:.4g}{trend}",
        "episode length": no_episode if math.isnan(mean) else f"{number(metrics, 'rollout/ep_len_mean'):.4g} steps",
        "KL divergence": "{:.2g}, trust region {:.2g}{}".format(
            number(metrics, "train/kl_divergence_loss"), number(metrics, "train/trust_region"), unchanged
        ),
        "improvement": "{:.2g}, predicted {:.2g}".format(
            number(metrics, "train/improvement"), number(metrics, "train/expected_improvement")
        ),
        "explained variance": "undefined (all returns are equal)" if math.isnan(variance) else f"{variance:.2f}",
        "speed": f"{number(metrics, 'time/fps'):,.0f} steps/s",
        "time left": _time_left(metrics, target),
    }
    return "".join(f"{name:<20}{text}\n" for name, text in rows.items())


def one_line(metrics: Metrics, target: int) -> str:
    """Progress, return and time left."""
    mean = number(metrics, RETURN)
    value = "no episode has ended yet" if math.isnan(mean) else f"return {mean:.4g}"
    return f"{_steps(metrics, target)}, {value}, {_time_left(metrics, target)} left"


def last_line(metrics: Metrics, n_episodes: int) -> str:
    """How well a training ended, and how long it took."""
    mean = number(metrics, RETURN)
    value = (
        "no episode has ended" if math.isnan(mean) else f"return {mean:.4g} (mean of the last {n_episodes} episodes)"
    )
    took = number(metrics, "time/time_elapsed")
    after = f"{number(metrics, STEPS):,.0f} steps" + ("" if math.isnan(took) else f" in {duration(took)}")
    return f"{value} after {after}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 45 s, 12 min 5 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _steps(metrics: Metrics, target: int) -> str:
    steps = number(metrics, STEPS)
    return f"{steps:,.0f} of {target:,} ({100.0 * min(steps / target, 1.0):.0f} %)"


def _time_left(metrics: Metrics, target: int) -> str:
    speed, steps = number(metrics, "time/fps"), number(metrics, STEPS)
    return duration(max(target - steps, 0.0) / speed) if speed > 0.0 else "unknown"
