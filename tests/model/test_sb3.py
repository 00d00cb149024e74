"""With Stable-Baselines3 installed: its scripts run after changing the import, and its models can be imported."""

import csv
import inspect
from contextlib import closing
from dataclasses import asdict

import gymnasium as gym
import numpy as np
import pytest
from envs import MaskedEnv

import trpo_fast
from trpo_fast import TRPO, PolicyFileError, TRPOConfig
from trpo_fast.callbacks import CheckpointCallback, EvalCallback

pytestmark = pytest.mark.filterwarnings(
    "ignore:You have specified a mini-batch size", "ignore:Detected pickle protocol"
)
sb3 = pytest.importorskip("stable_baselines3")
sb3_contrib = pytest.importorskip("sb3_contrib")

from stable_baselines3.common import callbacks  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.monitor import Monitor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # noqa: E402

from trpo_fast.cli.hyperparameters import read_hyperparameters  # noqa: E402
from trpo_fast.integrations.sb3 import load_model  # noqa: E402

FAST = {"n_steps": 128, "n_critic_updates": 2, "seed": 0}


@pytest.mark.filterwarnings("ignore:Training and eval env are not of the same type")
def test_a_script_written_for_sb3_contrib(tmp_path):
    model = TRPO(
        "MlpPolicy", "CartPole-v1", verbose=0, device="cpu", learning_rate=1e-3, target_kl=0.01, cg_max_steps=15,
        policy_kwargs={"net_arch": {"pi": [16], "vf": [16]}}, tensorboard_log=None, **FAST,
    )  # fmt: skip
    eval_env = Monitor(gym.make("CartPole-v1"))
    stop = callbacks.StopTrainingOnRewardThreshold(1e6)
    evaluation = callbacks.EvalCallback(
        eval_env, callback_on_new_best=stop, eval_freq=200, n_eval_episodes=2, verbose=0,
        best_model_save_path=str(tmp_path), log_path=str(tmp_path),
    )  # fmt: skip
    checkpoint = callbacks.CheckpointCallback(save_freq=250, save_path=str(tmp_path), name_prefix="rl_model")
    steps = []
    function = lambda locals_, globals_: steps.append(locals_["dones"].shape) or True  # noqa: E731
    model.learn(total_timesteps=512, callback=callbacks.CallbackList([evaluation, checkpoint]), log_interval=1)
    log = callbacks.LogEveryNTimesteps(50)
    model.learn(total_timesteps=128, callback=[callbacks.StopTrainingOnMaxEpisodes(10**6), function, log])
    assert steps == [(1,)] * 128
    assert (tmp_path / "best_model.safetensors").exists()
    assert TRPO.load(tmp_path / "rl_model_250_steps").num_timesteps == 128  # the last whole iteration
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert arrays["timesteps"].tolist() == [200, 400]
    model.save(str(tmp_path / "trpo"))
    del model
    model = TRPO.load(str(tmp_path / "trpo"), env="CartPole-v1")
    mean, std = evaluate_policy(model, eval_env, n_eval_episodes=3)
    assert mean > 0
    assert std >= 0
    model.learn(total_timesteps=128, reset_num_timesteps=False)
    assert model.num_timesteps == 256


def test_a_file_of_the_zoo_leaves_out_what_means_the_same_here(tmp_path):
    """What a section does not name has sb3-contrib's value."""
    (tmp_path / "zoo.yml").write_text("CartPole-v1: {n_timesteps: 100}")
    settings = read_hyperparameters(tmp_path / "zoo.yml", "CartPole-v1")
    ours = {**asdict(TRPOConfig()), **settings}
    theirs = inspect.signature(sb3_contrib.TRPO).parameters
    shared = ours.keys() & theirs.keys()
    assert len(shared) == 13
    assert {name: ours[name] for name in shared} == {name: theirs[name].default for name in shared}
    policy = sb3_contrib.TRPO("MlpPolicy", "CartPole-v1", device="cpu").policy
    assert (policy.log_std_init, policy.ortho_init) == (settings["log_std_init"], True)
    assert policy.net_arch == {"pi": [64, 64], "vf": [64, 64]}


def test_a_vec_env_learns_as_the_environments_it_holds():
    class Seeded(gym.Wrapper):
        """A VecEnv is seeded differently from our environments: make both start alike."""

        def reset(self, *, seed=None, options=None):
            return self.env.reset(seed=None if seed is None else 5, options=options)

    def factory():
        return Seeded(gym.make("CartPole-v1", max_episode_steps=30))

    ours = TRPO("MlpPolicy", [factory] * 2, **FAST).learn(512)
    theirs = TRPO("MlpPolicy", DummyVecEnv([factory] * 2), **FAST).learn(512)
    np.testing.assert_array_equal(ours.theta, theirs.theta)
    np.testing.assert_array_equal(ours.value_theta, theirs.value_theta)


ENVS = {"Box": "Pendulum-v1", "Discrete": "CartPole-v1"}


def multi_env(space):
    class Multi(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (3,), np.float32)
        action_space = space

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

        def step(self, action):
            return self.np_random.uniform(-1, 1, 3).astype(np.float32), float(np.sum(action)), False, False, {}

    return gym.wrappers.TimeLimit(Multi(), 20)


MAKE = {
    "Box": lambda: gym.make("Pendulum-v1"),
    "Discrete": lambda: gym.make("CartPole-v1"),
    "MultiDiscrete": lambda: multi_env(gym.spaces.MultiDiscrete([3, 2])),
    "MultiBinary": lambda: multi_env(gym.spaces.MultiBinary(3)),
}


def close(ours, theirs, tolerance=1e-5):
    return np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max())


@pytest.mark.parametrize("kind", MAKE)
@pytest.mark.parametrize("algorithm", [sb3_contrib.TRPO, sb3.PPO, sb3.A2C])
def test_an_imported_sb3_model_acts_the_same(kind, algorithm, tmp_path):
    import torch

    env = MAKE[kind]()
    kwargs = {"net_arch": {"pi": [24, 16], "vf": [8]}, "activation_fn": torch.nn.ReLU}
    theirs = algorithm("MlpPolicy", env, n_steps=64, policy_kwargs=kwargs, seed=1, device="cpu").learn(128)
    theirs.save(tmp_path / "theirs")
    ours = load_model(tmp_path / "theirs.zip", env)
    observations = np.stack([env.observation_space.sample() for _ in range(2000)])
    observations = np.clip(observations, -1e3, 1e3)
    actions, _ = theirs.predict(observations, deterministic=True)
    assert close(ours.predict(observations, deterministic=True)[0], actions)
    values = theirs.policy.predict_values(torch.as_tensor(observations)).detach().numpy()[:, 0]
    inputs = ours.policy.normalize(observations.astype(np.float64))
    assert close(ours.value_function.predict(ours._training.model.critic, inputs), values)
    ours.learn(64)


def test_vec_normalize(tmp_path):
    venv = VecNormalize(DummyVecEnv([MAKE["Box"]]))
    theirs = sb3_contrib.TRPO("MlpPolicy", venv, n_steps=64, seed=1, device="cpu").learn(128)
    theirs.save(tmp_path / "theirs")
    venv.save(str(tmp_path / "venv.pkl"))
    rms = venv.obs_rms
    np.savez(tmp_path / "venv.npz", mean=rms.mean, var=rms.var, count=rms.count)
    raw = np.stack([venv.observation_space.sample() for _ in range(2000)])
    actions, _ = theirs.predict(venv.normalize_obs(raw), deterministic=True)
    for name in ("venv.pkl", "venv.npz"):
        ours = load_model(tmp_path / "theirs.zip", MAKE["Box"](), vec_normalize=tmp_path / name)
        assert close(ours.predict(raw, deterministic=True)[0], actions)


@pytest.mark.parametrize(
    ("make", "env", "message"),
    [
        (lambda: sb3.PPO("MlpPolicy", "CartPole-v1", device="cpu"), "Acrobot-v1", "fit the environment"),
        (lambda: sb3.PPO("MlpPolicy", "Pendulum-v1", use_sde=True, device="cpu"), "Pendulum-v1", "use_sde"),
        (lambda: sb3.DQN("MlpPolicy", "CartPole-v1", device="cpu"), "CartPole-v1", "MlpPolicy"),
    ],
    ids=["another environment", "gSDE", "DQN"],
)
def test_what_does_not_fit_is_refused(make, env, message, tmp_path):
    make().save(tmp_path / "theirs")
    with pytest.raises(PolicyFileError, match=message):
        load_model(tmp_path / "theirs.zip", env)


def test_masks_of_a_vec_env_are_those_of_its_environments():
    def make(i):
        return lambda: MaskedEnv(i, action_space=gym.spaces.Discrete(4), by="method")

    vec_env = DummyVecEnv([make(0), make(1)])
    learned = [
        TRPO("MlpPolicy", env, use_masking=True, policy_kwargs={"net_arch": [8]}, **FAST).learn(512)
        for env in (vec_env, [make(0), make(1)])
    ]
    assert (learned[0].theta == learned[1].theta).all()


def pendulum(training=True, norm_reward=True):
    venv = DummyVecEnv([lambda: Monitor(gym.make("Pendulum-v1", max_episode_steps=50))])
    return VecNormalize(venv, training=training, norm_reward=norm_reward)


class TestVecNormalize:
    """The silent faults: evaluations, returns and environments under VecNormalize are those of SB3 itself."""

    def make(self, env=None):
        return TRPO("MlpPolicy", env or pendulum(), normalize_observations=False, **FAST)

    @pytest.mark.parametrize("callback", [callbacks.EvalCallback, EvalCallback], ids=["SB3's", "ours"])
    def test_an_evaluation_is_of_the_policy_that_is_trained(self, callback):
        model, eval_env = self.make(), pendulum(training=False, norm_reward=False)
        evaluation = callback(eval_env, n_eval_episodes=3, eval_freq=256, verbose=0)
        model.learn(256, callback=evaluation)
        assert (eval_env.obs_rms.mean == model.get_vec_normalize_env().obs_rms.mean).all()
        assert eval_env.obs_rms.count == model.get_vec_normalize_env().obs_rms.count
        assert eval_env.ret_rms.var == model.get_vec_normalize_env().ret_rms.var
        assert evaluation.last_mean_reward < -1

    def test_both_callbacks_say_the_same(self):
        model = self.make().learn(256)
        results = []
        for callback in (callbacks.EvalCallback, EvalCallback):
            env = pendulum(training=False)
            env.seed(3)
            evaluation = callback(env, n_eval_episodes=3, eval_freq=1, verbose=0)
            evaluation.init_callback(model)
            evaluation.on_training_start({}, {})
            evaluation.n_calls = 0
            assert evaluation.on_step()
            results.append(evaluation.last_mean_reward)
        assert results[0] == pytest.approx(results[1], abs=1e-9)

    def test_sb3s_and_our_evaluate_policy_say_the_same(self):
        model = self.make().learn(256)
        results = []
        for evaluate in (evaluate_policy, trpo_fast.evaluate_policy):
            for lists in (False, True):
                env = pendulum(training=False)
                env.obs_rms = model.get_env().obs_rms
                env.seed(4)
                results.append(evaluate(model, env, 3, return_episode_rewards=lists))
        assert results[0] == pytest.approx(results[2])
        assert results[1] == (pytest.approx(results[3][0]), results[3][1])

    def test_returns_are_the_monitors(self):
        model = self.make().learn(256)
        monitor = model.get_env().venv.envs[0]
        assert [episode["r"] for episode in model.ep_info_buffer] == pytest.approx(
            monitor.get_episode_rewards(), abs=1e-4
        )
        assert model.metrics["rollout/ep_rew_mean"] == pytest.approx(np.mean(monitor.get_episode_rewards()), abs=1e-4)

    @pytest.mark.parametrize("callback", [callbacks.CheckpointCallback, CheckpointCallback], ids=["SB3's", "ours"])
    def test_a_checkpoint_has_the_statistics(self, callback, tmp_path):
        model = self.make()
        model.learn(256, callback=callback(256, str(tmp_path), "run", save_vecnormalize=True))
        loaded = VecNormalize.load(str(tmp_path / "run_vecnormalize_256_steps.pkl"), pendulum().venv)
        assert (loaded.obs_rms.mean == model.get_env().obs_rms.mean).all()
        assert (
            tmp_path / f"run_256_steps.{'zip' if callback is callbacks.CheckpointCallback else 'safetensors'}"
        ).exists()


@pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped", "ignore:training continues with new")
@pytest.mark.parametrize("env", ["CartPole-v1", pendulum], ids=["id", "VecNormalize"])
def test_what_a_model_gives_out_is_accepted_by_sb3_and_by_us(env, tmp_path):
    model = TRPO("MlpPolicy", env if isinstance(env, str) else env(), **FAST).learn(256)
    model.save(tmp_path / "model")
    for evaluate in (evaluate_policy, trpo_fast.evaluate_policy):
        assert np.isfinite(evaluate(model, model.get_env(), 2)).all()
    model.set_env(model.get_env())
    loaded = TRPO.load(tmp_path / "model", env=model.get_env())
    assert loaded.learn(128).num_timesteps == 128
    if isinstance(env, str):
        wrapped = VecNormalize(model.get_env())
        assert TRPO("MlpPolicy", wrapped, **FAST).learn(128).get_vec_normalize_env() is wrapped


def test_a_callback_of_sb3_sees_infos_and_actions():
    class Look(callbacks.BaseCallback):
        def _on_step(self):
            if self.locals["dones"][0]:
                self.seen = {name: self.locals[name] for name in ("infos", "actions", "rewards", "new_obs")}
            return True

    look = Look()
    TRPO("MlpPolicy", Monitor(gym.make("CartPole-v1", max_episode_steps=16)), **FAST).learn(128, callback=look)
    assert look.seen["infos"][0]["episode"]["l"] <= 16
    assert look.seen["actions"].shape == (1,)


def test_set_logger_feeds_sb3s_logger(tmp_path):
    from stable_baselines3.common.logger import configure

    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    with closing(configure(str(tmp_path), ["csv", "json", "log"])) as logger:
        model.set_logger(logger)
        model.learn(256, callback=lambda *_: model.logger.record("mine", np.float32(1.5), exclude="json"))
    with (tmp_path / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["time/total_timesteps"] for row in rows] == ["128", "256"]
    assert rows[1]["mine"] == "1.5"
    assert "mine" not in (tmp_path / "progress.json").read_text()
    assert "kl_divergence_loss" in (tmp_path / "log.txt").read_text()


def test_dict_observations_in_a_vec_normalize():
    class Goal(gym.Env):
        observation_space = gym.spaces.Dict(at=gym.spaces.Box(-9, 9, (2,)), goal=gym.spaces.Box(-9, 9, (1,)))
        action_space = gym.spaces.Discrete(2)

        def observe(self):
            return {"at": self.np_random.uniform(-9, 9, 2).astype(np.float32), "goal": np.ones(1, np.float32)}

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.t = 0
            return self.observe(), {}

        def step(self, action):
            self.t += 1
            return self.observe(), float(action), self.t == 5, False, {"is_success": self.t == 5}

    def make():
        return VecNormalize(DummyVecEnv([lambda: Monitor(Goal())]), norm_obs_keys=["at"])

    model, eval_env = TRPO("MultiInputPolicy", make(), **FAST), make()
    evaluation = EvalCallback(eval_env, eval_freq=128, n_eval_episodes=2, verbose=0)
    model.learn(256, callback=evaluation)
    assert (eval_env.obs_rms["at"].mean == model.get_env().obs_rms["at"].mean).all()
    assert model.metrics["rollout/success_rate"] == model.metrics["eval/success_rate"] == 1.0
    other = VecNormalize(DummyVecEnv([lambda: Monitor(Goal())]))
    with pytest.raises(trpo_fast.InvalidArgumentError, match="norm_obs_keys"):
        model.learn(128, callback=EvalCallback(other, eval_freq=64, n_eval_episodes=2, verbose=0))
