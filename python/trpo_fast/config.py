"""Every setting of the algorithm: default, range and effect."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.schedules import AdaptiveRadius, check_schedule, value_at
from trpo_fast.validation import check_choice, check_flag, check_integer, check_real, plain_number


@dataclass(frozen=True)
class TRPOConfig:
    """Settings of TRPO, under sb3-contrib's names where it has one.

    ``target_kl`` and ``learning_rate`` may be functions of the remaining fraction of training, from 1 to 0, and
    ``target_kl`` may be an ``AdaptiveRadius``. ``at`` evaluates them.

    Raises
    ------
    InvalidArgumentError
        If a setting is outside its range or not finite. Nothing is clipped silently.
    """

    n_steps: int = 2048
    """Steps per environment and iteration; a batch has n_steps * n_envs transitions, at least 2."""

    method: Literal["single_path", "vine"] = "single_path"
    """Estimator of the surrogate: one path, or branches from states along it ("vine" restores environments)."""

    vine_trunk_steps: int = 2048
    """Trunk steps per environment and iteration; replaces n_steps (vine only)."""

    vine_states: int = 200
    """States along the trunk from which branches start; rounded up to a multiple of n_envs (vine only)."""

    vine_actions: int = 4
    """Branches per state, at least 2; a Discrete space with no more actions has each of them tried once (vine only)."""

    vine_horizon: int = 10
    """Steps per branch, fewer if the episode ends (vine only)."""

    vine_bootstrap: bool = True
    """Bootstrap truncated branches with the critic (vine only)."""

    gamma: float = 0.99
    """Discount factor, 0..1."""

    gae_lambda: float = 0.95
    """Lambda of generalised advantage estimation, 0..1: 0 has the least variance, 1 is the Monte-Carlo return."""

    advantage: Literal["gae", "rewards_to_go"] = "gae"
    """Advantage estimator: "gae", or "rewards_to_go" (the return minus the value)."""

    normalize_advantage: bool = True
    """Normalise the advantages of a batch to mean 0 and standard deviation 1."""

    ent_coef: float = 0.0
    """Weight of the policy's mean entropy in the surrogate; above 0 the policy explores longer."""

    normalize_reward: bool = False
    """Divide rewards by the running standard deviation of the discounted return."""

    target_kl: float = 0.01
    """Radius of the trust region: bound on the mean KL divergence of an update, in nats."""

    kl_reduction: Literal["sum", "mean"] = "sum"
    """Reduction over action dimensions that target_kl and cg_damping refer to: "sum", or "mean" as in sb3-contrib."""

    trust_region: Literal["mean_kl", "max_kl", "penalty", "none"] = "mean_kl"
    """Limit of a step: bound on the mean KL (TRPO) or on the largest KL, penalty on the mean KL, or fixed step_size."""

    kl_penalty: float | Literal["adaptive"] = "adaptive"
    """Penalty coefficient; "adaptive" chooses it so that the quadratic model's optimum has KL = target_kl."""

    step_size: float = 0.1
    """Length of a step with trust_region "none": this times F⁻¹g (natural gradient) or g (metric "identity")."""

    metric: Literal["fisher", "empirical_fisher", "identity"] = "fisher"
    """Matrix F of the direction F⁻¹g: Fisher matrix, mean outer product of scores, or identity (plain gradient)."""

    cg_max_steps: int = 15
    """Maximum number of conjugate gradient iterations, one Fisher-vector product each."""

    cg_damping: float = 0.1
    """Damping added to the diagonal of the Fisher matrix in conjugate gradient."""

    cg_preconditioner: Literal["none", "kfac"] = "none"
    """Preconditioner of conjugate gradient; "kfac" approximates the Fisher matrix by layers and saves iterations."""

    cg_progress_rtol: float = 0.0
    """Stop conjugate gradient when an iteration adds less than this fraction of predicted improvement; 0: never."""

    step_norm: Literal["undamped", "damped"] = "undamped"
    """Matrix of the step length sqrt(2 target_kl / x^T F x): F itself (the paper), or F + damping (sb3-contrib)."""

    sub_sampling_factor: int = 1
    """Use every k-th transition for the Fisher matrix; the gradient uses all."""

    line_search_max_iter: int = 10
    """Maximum number of step lengths that the line search tries."""

    line_search_shrinking_factor: float = 0.8
    """Factor from one step length of the line search to the next, 0..1."""

    learning_rate: float = 1e-3
    """Learning rate of the critic's Adam."""

    n_critic_updates: int = 10
    """Passes of the critic's fit over a batch."""

    batch_size: int = 128
    """Transitions per minibatch of the critic's fit."""

    normalize_returns: bool = True
    """Fit the critic to returns normalised by their running mean and standard deviation."""

    vf_coef: float = 1.0
    """Weight of the value's error in the step of a shared features extractor; 0: the step is the policy's alone."""

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
        check_real("vf_coef", self.vf_coef, at_least=0.0)
        if self.method == "vine" and (self.metric == "empirical_fisher" or self.cg_preconditioner == "kfac"):
            expected = "the metric fisher or identity and no preconditioner with the vine (they need a path's actions)"
            raise InvalidArgumentError("method", expected, f"{self.metric}, {self.cg_preconditioner}")

        if self.metric == "identity" and self.cg_preconditioner != "none":
            raise InvalidArgumentError("cg_preconditioner", "none with the metric identity", self.cg_preconditioner)
        for f in fields(self):
            object.__setattr__(self, f.name, plain_number(getattr(self, f.name)))

    @property
    def rollout_steps(self) -> int:
        """Steps per environment and iteration, without those of a vine's branches."""
        return self.vine_trunk_steps if self.method == "vine" else self.n_steps

    @property
    def rollout_sizes(self) -> dict[str, int]:
        """The settings by name that the memory of a rollout depends on."""
        names = ("vine_trunk_steps", "vine_states", "vine_actions", "vine_horizon")
        return {name: getattr(self, name) for name in (names if self.method == "vine" else ("n_steps",))}

    def check_rollout(self, n_envs: int) -> None:
        """Raise InvalidArgumentError if no update could learn from rollouts of ``n_envs`` environments.

        The advantage of a single transition says nothing: only the entropy bonus could move the policy.
        """
        if self.method == "single_path" and self.n_steps * n_envs == 1 and self.ent_coef == 0.0:
            raise InvalidArgumentError("n_steps", ">= 2 with one environment, since advantages are compared", 1)

    def at(self, progress_remaining: float, radius: float | None = None) -> "TRPOConfig":
        """These settings with every schedule evaluated.

        Parameters
        ----------
        progress_remaining : float
            Remaining fraction of training, from 1 to 0.
        radius : float, optional
            Present radius of an adaptive trust region; its first one if not given.

        Raises
        ------
        InvalidArgumentError
            If a schedule returns anything but a finite number > 0.
        """
        target_kl = value_at("target_kl", self.target_kl, progress_remaining)
        if radius is not None and isinstance(self.target_kl, AdaptiveRadius):
            target_kl = self.target_kl.within(radius)
        return replace(
            self,
            target_kl=target_kl,
            learning_rate=value_at("learning_rate", self.learning_rate, progress_remaining),
        )
