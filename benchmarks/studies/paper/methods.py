"""The methods that the paper compares; those that follow a gradient are settings of trpo_fast."""

from typing import Any

from benchmarks.studies.paper.derivative_free import cem, cma_es
from benchmarks.studies.paper.tasks import Task
from trpo_fast import TRPO

N_STEPS = 5000  # of a batch; the paper's are 50,000 to 1,000,000, and its runs 200 times that
COMMON = {"gamma": 0.99, "target_kl": 0.01, "cg_max_steps": 10, "n_steps": N_STEPS, "advantage": "rewards_to_go"}
TRUNK, ACTIONS = 1000, 4


def vine(task: Task) -> dict[str, Any]:
    """The paper's vine: its branch length, no bootstrapping, as many states as fit into a batch."""
    states = (N_STEPS - TRUNK) // (ACTIONS * task.paper_horizon)
    return {
        "method": "vine", "vine_trunk_steps": TRUNK, "vine_actions": ACTIONS, "vine_states": states,
        "vine_horizon": task.paper_horizon, "vine_bootstrap": False,
    }  # fmt: skip


def short_vine(task: Task) -> dict[str, Any]:
    """Our vine: more states, and branches of ten steps that are bootstrapped with the critic."""
    return {
        "method": "vine", "vine_trunk_steps": TRUNK, "vine_actions": ACTIONS,
        "vine_states": (N_STEPS - TRUNK) // (ACTIONS * 10), "vine_horizon": 10, "vine_bootstrap": True,
    }  # fmt: skip


# name -> task -> settings in addition to COMMON. Fixed steps are the best of 0.1, 0.3 and 1 (REINFORCE: of 0.03 to 1)
# on cart-pole and hopper with seed 1.
GRADIENTS = {
    "single path": lambda task: {},
    "vine": vine,
    "vine, short branches": short_vine,
    "natural gradient": lambda task: {"trust_region": "none", "step_size": 1.0},
    "max KL": lambda task: {"trust_region": "max_kl"},
    "empirical FIM": lambda task: {"metric": "empirical_fisher"},
    "REINFORCE": lambda task: {"trust_region": "none", "metric": "identity", "step_size": task.gradient_step},
}
SEARCHES = {"CEM": cem, "CMA-ES": cma_es}
METHODS = (*GRADIENTS, *SEARCHES)
PEERS = ("PPO", "A2C")  # of Stable-Baselines3; on demand


def make_model(method: str, task: Task, seed: int) -> TRPO:
    """A model that learns by one of GRADIENTS."""
    return TRPO(
        "MlpPolicy", [task.make], policy_kwargs={"net_arch": [task.hidden]}, seed=seed,
        **{**COMMON, **GRADIENTS[method](task)},
    )  # fmt: skip
