"""The settings of a run: of its protocol, its method, and a variant of them."""

from typing import Any

from trpo_fast import nets

# The policy's network and the critic's. Patches of 4 x 4 pixels cost a quarter of Mnih's 8 x 8, and the emulator then
# takes as much time as all of the learning.
SMALL_CNN = nets.Sequential(
    nets.Conv2d(16, 4, 4), nets.Conv2d(16, 4, 2), nets.Flatten(), nets.Dense(128, activation_fn="relu")
)

# Mnih et al. 2013
DQN_CNN = nets.Sequential(
    nets.Conv2d(16, 8, 4), nets.Conv2d(32, 4, 2), nets.Flatten(), nets.Dense(256, activation_fn="relu")
)

# Small batches: the path that the policy can take within a million steps is many steps of the trust region long
OURS = {
    "n_envs": 8, "n_steps": 128, "gamma": 0.99, "gae_lambda": 0.95, "target_kl": 0.01, "cg_max_steps": 10,
    "sub_sampling_factor": 8, "n_critic_updates": 2, "policy_kwargs": {"features_extractor": SMALL_CNN},
}  # fmt: skip

# The paper's: batches of 100,000 steps, a tenth of them for the Fisher matrix, returns instead of a critic's
# predictions. A baseline, which one pass over a batch fits, is subtracted from them; the paper mentions none.
PAPER = {
    "n_envs": 8, "n_steps": 12_500, "gamma": 0.99, "target_kl": 0.01, "cg_max_steps": 10, "sub_sampling_factor": 10,
    "advantage": "rewards_to_go", "n_critic_updates": 1, "policy_kwargs": {"features_extractor": nets.PaperCNN()},
}  # fmt: skip

# The paper's four branches from each state, and 400,000 steps of an iteration; the paper does not say how they are
# divided among trunk and branches.
VINES = {
    "paper": {
        "method": "vine", "vine_trunk_steps": 12_500, "vine_states": 750, "vine_actions": 4, "vine_horizon": 100,
        "vine_bootstrap": False,
    },
    "other": {
        "method": "vine", "vine_trunk_steps": 256, "vine_states": 48, "vine_actions": 4, "vine_horizon": 10,
        "vine_bootstrap": True,
    },
}  # fmt: skip
METHODS = ("single path", "vine")

# What decides how fast a game is learned, one change at a time
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "batch 512": {"n_steps": 64},
    "batch 2k": {"n_steps": 256},
    "batch 4k": {"n_steps": 512},
    "batch 32k": {"n_steps": 4096},
    "batch 100k": {"n_steps": 12_500},
    "KL 0.001": {"target_kl": 0.001},
    "KL 0.003": {"target_kl": 0.003},
    "KL 0.03": {"target_kl": 0.03},
    "all rows": {"sub_sampling_factor": 1},
    "returns": {"advantage": "rewards_to_go"},
    "lambda 1": {"gae_lambda": 1.0},
    "1 critic pass": {"n_critic_updates": 1},
    "5 critic passes": {"n_critic_updates": 5},
    "NatureCNN": {"policy_kwargs": {"features_extractor": {"pi": nets.NatureCNN(), "vf": SMALL_CNN}}},
    "Mnih's layers": {"policy_kwargs": {"features_extractor": {"pi": DQN_CNN, "vf": SMALL_CNN}}},
    "paper's layers": {"policy_kwargs": {"features_extractor": {"pi": nets.PaperCNN(), "vf": SMALL_CNN}}},
}


def settings_of(protocol: str, method: str, variant: str) -> dict[str, Any]:
    """Arguments of TRPO."""
    settings = PAPER if protocol == "paper" else OURS
    vine = VINES["paper" if protocol == "paper" else "other"] if method == "vine" else {}
    return {**settings, **vine, **VARIANTS[variant]}
