"""Every setting of the algorithm, with its default, its range and what it does."""

from dataclasses import dataclass, replace
from typing import Literal

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.schedules import AdaptiveRadius, check_schedule, value_at
from trpo_fast.validation import check_choice, check_flag, check_integer, check_real


@dataclass(frozen=True)
class TRPOConfig:
    """The settings of TRPO. Names are sb3-contrib's wherever it has one.

    ``target_kl`` and ``learning_rate`` may be functions of the part of training that remains, from 1 to 0, and
    ``target_kl`` an ``AdaptiveRadius`` (``trpo_fast.schedules``); ``at`` gives their values.

    Raises
    ------
    InvalidArgumentError
        If a setting is outside its range or not finite; nothing is clipped silently.
    """

    n_steps: int = 2048
    """Steps taken in every environment between two updates; a batch holds n_steps * n_envs transitions."""

    method: Literal["single_path", "vine"] = "single_path"
    """Where the surrogate comes from: a path, or branches from states along it ("vine" restores environments)."""

    vine_trunk_steps: int = 2048
    """Of a vine: steps of its trunk in every environment between two updates, in the place of n_steps."""

    vine_states: int = 200
    """States along the trunk from which branches start; rounded up to a multiple of n_envs."""

    vine_actions: int = 4
    """Branches of each state, 2 or more; with as many or more Discrete actions than there are, each is tried once."""

    vine_horizon: int = 10
    """Steps of a branch, or fewer if its episode ends."""

    vine_bootstrap: bool = True
    """Let the critic's value stand for what would have come after a branch that was cut."""

    gamma: float = 0.99
    """Discount factor, 0..1."""

    gae_lambda: float = 0.95
    """Bias-variance trade-off of generalised advantage estimation, 0..1; 1 is the Monte-Carlo return."""

    advantage: Literal["gae", "rewards_to_go"] = "gae"
    """Advantage estimator: "gae", or "rewards_to_go" (the return minus the value)."""

    normalize_advantage: bool = True
    """Give the advantages of a batch mean 0 and standard deviation 1."""

    ent_coef: float = 0.0
    """Weight of the policy's mean entropy in the surrogate: above 0 it keeps the policy exploring."""

    normalize_reward: bool = False
    """Learn from rewards divided by the running standard deviation of the discounted return."""

    target_kl: float = 0.01
    """Radius of the trust region: a bound on the mean KL of an update, in nats."""

    kl_reduction: Literal["sum", "mean"] = "sum"
    """How action dimensions count in target_kl and cg_damping: their sum, or their mean as in sb3-contrib."""

    trust_region: Literal["mean_kl", "max_kl", "penalty", "none"] = "mean_kl"
    """What keeps a step short: a bound on the mean KL (TRPO) or on the largest, a penalty on the mean, or step_size."""

    kl_penalty: float | Literal["adaptive"] = "adaptive"
    """Of the penalty: its coefficient, or the one with which each batch's quadratic model ends at target_kl."""

    step_size: float = 0.1
    """Without a trust region: the step is this times F⁻¹g (natural gradient) or g (metric "identity")."""

    metric: Literal["fisher", "empirical_fisher", "identity"] = "fisher"
    """The matrix of the direction: the Fisher matrix, outer products of scores, or none (the plain gradient)."""

    cg_max_steps: int = 15
    """Conjugate gradient iterations, each one Fisher-vector product."""

    cg_damping: float = 0.1
    """Added to the diagonal of the Fisher matrix while solving."""

    cg_preconditioner: Literal["none", "kfac"] = "none"
    """Solve the same system in fewer iterations: "kfac" approximates the Fisher matrix layer by layer."""

    cg_progress_rtol: float = 0.0
    """End conjugate gradient when an iteration raises the predicted improvement by less than this part; 0 never."""

    step_norm: Literal["undamped", "damped"] = "undamped"
    """Matrix of the step length sqrt(2 target_kl / x^T F x): F itself (the paper), or F + damping (sb3-contrib)."""

    sub_sampling_factor: int = 1
    """Use every k-th transition for the Fisher matrix (never for the gradient)."""

    line_search_max_iter: int = 10
    """Step lengths that the line search tries."""

    line_search_shrinking_factor: float = 0.8
    """Each is this times the one before, 0..1."""

    learning_rate: float = 1e-3
    """Step size of the critic's Adam."""

    n_critic_updates: int = 10
    """Passes of the critic over a batch."""

    batch_size: int = 128
    """Transitions in a minibatch of the critic."""

    normalize_returns: bool = True
    """Fit the critic to returns normalised by their running mean and standard deviation."""

    def __post_init__(self) -> None:
        check_integer("n_steps", self.n_steps, at_least=1)
        check_choice("method", self.method, ("single_path", "vine"))
        check_integer("vine_trunk_steps", self.vine_trunk_steps, at_least=1)
        check_integer("vine_states", self.vine_states, at_least=1)
        check_integer("vine_actions", self.vine_actions, at_least=2)
        check_integer("vine_horizon", self.vine_horizon, at_least=1)
        check_flag("vine_bootstrap", self.vine_bootstrap)
        check_real("gamma", self.gamma, at_least=0.0, at_most=1.0)
        check_real("gae_lambda", self.gae_lambda, at_least=0.0, at_most=1.0)
        check_choice("advantage", self.advantage, ("gae", "rewards_to_go"))
        check_flag("normalize_advantage", self.normalize_advantage)
        check_real("ent_coef", self.ent_coef, at_least=0.0)
        check_flag("normalize_reward", self.normalize_reward)
        object.__setattr__(self, "target_kl", check_schedule("target_kl", self.target_kl))
        check_choice("kl_reduction", self.kl_reduction, ("sum", "mean"))
        check_choice("trust_region", self.trust_region, ("mean_kl", "max_kl", "penalty", "none"))
        if self.kl_penalty != "adaptive":
            check_real("kl_penalty", self.kl_penalty, above=0.0)
        check_real("step_size", self.step_size, above=0.0)
        check_choice("metric", self.metric, ("fisher", "empirical_fisher", "identity"))
        check_integer("cg_max_steps", self.cg_max_steps, at_least=1)
        check_real("cg_damping", self.cg_damping, at_least=0.0)
        check_choice("cg_preconditioner", self.cg_preconditioner, ("none", "kfac"))
        check_real("cg_progress_rtol", self.cg_progress_rtol, at_least=0.0, at_most=1.0)
        check_choice("step_norm", self.step_norm, ("undamped", "damped"))
        check_integer("sub_sampling_factor", self.sub_sampling_factor, at_least=1)
        check_integer("line_search_max_iter", self.line_search_max_iter, at_least=1)
        check_real("line_search_shrinking_factor", self.line_search_shrinking_factor, above=0.0, at_most=1.0)
        object.__setattr__(self, "learning_rate", check_schedule("learning_rate", self.learning_rate))
        check_integer("n_critic_updates", self.n_critic_updates, at_least=1)
        check_integer("batch_size", self.batch_size, at_least=1)
        check_flag("normalize_returns", self.normalize_returns)
        if self.method == "vine" and (self.metric == "empirical_fisher" or self.cg_preconditioner == "kfac"):
            expected = "the metric fisher or identity and no preconditioner with the vine (they need a path's actions)"
            raise InvalidArgumentError("method", expected, f"{self.metric}, {self.cg_preconditioner}")

        if self.metric == "identity" and self.cg_preconditioner != "none":
            raise InvalidArgumentError("cg_preconditioner", "none with the metric identity", self.cg_preconditioner)

    @property
    def rollout_steps(self) -> int:
        """Steps of every environment between two updates, without those of a vine's branches."""
        return self.vine_trunk_steps if self.method == "vine" else self.n_steps

    def at(self, progress_remaining: float, radius: float | None = None) -> "TRPOConfig":
        """These settings with every schedule's present value, when ``progress_remaining`` (1 to 0) of training is left.

        ``radius`` is that of an adaptive trust region, once it has one.

        Raises
        ------
        InvalidArgumentError
            If a schedule gives no finite number > 0.
        """
        target_kl = value_at("target_kl", self.target_kl, progress_remaining)
        if radius is not None and isinstance(self.target_kl, AdaptiveRadius):
            target_kl = self.target_kl.within(radius)
        return replace(
            self,
            target_kl=target_kl,
            learning_rate=value_at("learning_rate", self.learning_rate, progress_remaining),
        )
