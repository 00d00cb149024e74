"""What users of Stable-Baselines3 pass to a model: taken, or refused with the nearest argument of TRPO."""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar, cast

from trpo_fast._core.diagnostics import show_config
from trpo_fast.config import TRPOConfig
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import describe, suggestion

SETTINGS = tuple(f.name for f in fields(TRPOConfig))
IN_ORDER = (
    "learning_rate", "n_steps", "batch_size", "gamma", "cg_max_steps", "cg_damping", "line_search_shrinking_factor",
    "line_search_max_iter", "n_critic_updates", "gae_lambda",
)  # fmt: skip
"""Settings that sb3-contrib's TRPO takes by position, after ``policy`` and ``env``."""

_POLICY_KWARGS = "policy_kwargs, a dict with net_arch, activation_fn, log_std_init, ortho_init"
_OFF_POLICY = "n_steps: it is on-policy, and has no replay buffer"
_CRITIC = "learning_rate, n_critic_updates and batch_size for its critic, which has an optimiser of its own"
_RADIUS = "target_kl, the radius of the trust region, which limits the step"
_NAMES = {
    _RADIUS: "clip_range clip_range_vf clip_ratio max_grad_norm max_kl delta desired_kl kl_target trust_region_size",
    "n_critic_updates, the passes of its critic's fit": "n_epochs epochs vf_iters train_vf_iters n_updates",
    _CRITIC: "vf_lr critic_lr lr optimizer_class use_rms_prop rms_prop_eps",
    "gae_lambda": "lam lambda_ gae_tau",
    "ent_coef": "entropy_coef entropy_coeff ent_coeff entcoeff",
    "cg_max_steps": "cg_iters cg_iterations cg_max_iter",
    "cg_damping": "damping damping_coeff cg_reg",
    "line_search_shrinking_factor": "backtrack_coeff backtrack_ratio",
    "line_search_max_iter": "backtrack_iters max_backtracks",
    "n_steps": "timesteps_per_batch rollout_steps steps_per_epoch horizon",
    "batch_size": "minibatch_size n_minibatches nminibatches",
    "n_envs": "num_envs n_env",
    "normalize_observations": "normalize norm_obs",
    "normalize_reward": "norm_reward",
    _POLICY_KWARGS: "net_arch activation_fn log_std_init ortho_init hidden_sizes squash state_dependent_std",
    _OFF_POLICY: "buffer_size learning_starts tau train_freq gradient_steps replay_buffer_class replay_buffer_kwargs "
    "optimize_memory_usage target_update_interval exploration_fraction action_noise target_entropy",
}
_MEANT = {name: meant for meant, names in _NAMES.items() for name in names.split()}


def make_config(in_order: tuple[Any, ...], settings: dict[str, Any], arguments: Iterable[str]) -> TRPOConfig:
    """Settings from what the constructor of a model was given.

    Parameters
    ----------
    in_order : tuple
        Settings by position, as ``IN_ORDER``.
    settings : dict
        Settings by name, and arguments that only sb3-contrib has.
    arguments : iterable of str
        Names of the constructor's other arguments, for suggestions.

    Raises
    ------
    InvalidArgumentError
        If a name is not a setting, or given twice, or a value is out of range.
    """
    if len(in_order) > len(IN_ORDER):
        expected = f"at most {len(IN_ORDER)} settings by position ({', '.join(IN_ORDER)}), the others by name"
        raise InvalidArgumentError("TRPO", expected, f"{len(in_order)}")
    given = dict(zip(IN_ORDER, in_order, strict=False))
    for name in given.keys() & settings.keys():
        raise InvalidArgumentError(name, "one value", "two: by position and by name")
    given |= settings
    given.pop("sde_sample_freq", None)  # of a noise that use_sde=False does not have
    for name in ("rollout_buffer_class", "rollout_buffer_kwargs"):
        if given.pop(name, None) is not None:
            raise InvalidArgumentError(name, "None (rollouts are kept in arrays of its own)", describe(settings[name]))
    for name in given.keys() - set(SETTINGS):
        expected = f"an argument of TRPO{what_it_has(name, (*SETTINGS, *arguments))}"
        raise InvalidArgumentError(name, expected, describe(given[name]))
    return TRPOConfig(**given)


def what_it_has(name: str, names: Iterable[str]) -> str:
    """What TRPO has instead of ``name``, or the nearest of ``names``, as the end of a sentence."""
    return f"; TRPO has {_MEANT[name]}" if name in _MEANT else suggestion(name, names)


def take_load_arguments(kwargs: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Arguments of ``TRPO.load`` under the names of SB3's.

    Returns
    -------
    kwargs : dict
        Arguments of the constructor.
    force_reset : bool
        Whether training begins with new episodes.
    """
    rest = {k: v for k, v in kwargs.items() if k not in ("print_system_info", "custom_objects", "force_reset")}
    if kwargs.get("print_system_info", False):
        show_config()
    custom_objects = kwargs.get("custom_objects") or {}
    for name in custom_objects.keys() - set(SETTINGS):
        text = f"custom_objects: a file of trpo_fast holds no {name}, which is ignored{what_it_has(name, SETTINGS)}"
        warnings.warn(text, stacklevel=3)
    return {**{k: v for k, v in custom_objects.items() if k in SETTINGS}, **rest}, bool(kwargs.get("force_reset"))


def warn_of_selection(exclude: Any, include: Any) -> None:
    """Warn that a file holds everything that acting and learning need, whatever is excluded or included."""
    for name, value in (("exclude", exclude), ("include", include)):
        if value:
            text = f"{name}={value!r} is ignored: a file holds what acting and learning need, and never an environment"
            warnings.warn(text, stacklevel=3)


Method = TypeVar("Method")


def returns_new_model(method: Method) -> Method:
    """Decorate a classmethod that returns a new model: called on a model, which it does not change, it says so."""
    constructor: Any = _Constructor(cast(Any, method).__func__)
    return cast(Method, constructor)


class _Constructor(classmethod):  # type: ignore[type-arg]
    def __get__(self, instance: Any, owner: Any = None) -> Callable[..., Any]:
        bound: Callable[..., Any] = super().__get__(instance, owner)
        if instance is None:
            return bound

        def warned(*args: Any, **kwargs: Any) -> Any:
            kind = type(instance).__name__
            text = f"load returns a new model and leaves this one as it is: write model = {kind}.load(path)"
            warnings.warn(text, stacklevel=2)
            return bound(*args, **kwargs)

        return warned
