"""``model.get_env()``: environments to play in, and everything that takes environments takes them back."""

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, FakeEnvPool, FakeVecEnv, MaskedEnv, counting_factories
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from trpo_fast import TRPO, InvalidArgumentError, ResumeWarning, evaluate, evaluate_policy
from trpo_fast.callbacks import EvalCallback

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}
N = 3
ENVIRONMENTS = {
    "single": lambda: {"env": counting_factories(N)},
    "workers": lambda: {"env": counting_factories(N), "n_workers": 2},
    **{
        mode.name: lambda mode=mode: {"env": SyncVectorEnv(counting_factories(N), autoreset_mode=mode)}
        for mode in AutoresetMode
    },
    "EnvPool": lambda: {"env": FakeEnvPool(counting_factories(N))},
    "VecEnv": lambda: {"env": FakeVecEnv([make() for make in counting_factories(N)])},
}


@pytest.fixture(params=ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def model(request):
    model = TRPO("MlpPolicy", **{**FAST, **request.param()})
    yield model
    model.env.close()


def test_one_can_play(model):
    env = model.get_env()
    observations, ends = env.reset(), 0
    assert observations.shape == (N, 3)
    assert observations.dtype == np.float32
    assert env.num_envs == N
    for _ in range(12):
        actions, _ = model.predict(observations)
        observations, rewards, dones, infos = env.step(actions)
        assert rewards.shape == dones.shape == (N,)
        for i in np.flatnonzero(dones):
            ends += 1
            assert infos[i]["terminal_observation"][0] == i
            assert infos[i]["terminal_observation"][2] > 0
            assert isinstance(infos[i]["TimeLimit.truncated"], bool | np.bool_)
    assert ends >= N
    for actions in (0, [0] * (N + 1)) if not isinstance(env, FakeVecEnv) else ():
        with pytest.raises(InvalidArgumentError, match=f"actions: expected {N} actions"):
            env.step(actions)


def test_playing_begins_new_episodes_in_training(model, recwarn):
    model.learn(60)
    env = model.get_env()
    env.reset()
    env.step(np.zeros(N, np.int64))
    model.learn(60, reset_num_timesteps=False)
    assert any(issubclass(w.category, ResumeWarning) for w in recwarn)


@pytest.mark.filterwarnings("ignore:training continues with new episodes")
def test_what_a_model_gives_out_is_accepted_back(model, tmp_path):
    model.learn(60).save(tmp_path / "model")
    for env in (model.get_env(), model.env):
        mean, std = evaluate_policy(model, env, 3)
        assert np.isfinite([mean, std]).all()
        loaded = TRPO.load(tmp_path / "model", env=env)
        assert loaded.learn(60).num_timesteps >= 60
        separate = TRPO("MlpPolicy", counting_factories(N), **FAST)
        for eval_env in (separate.get_env(), separate.env):
            loaded.learn(60, callback=EvalCallback(eval_env, eval_freq=10, n_eval_episodes=1, verbose=0))
        if not model.n_workers:
            model.set_env(env)
    made = TRPO("MlpPolicy", model.get_env(), **FAST).learn(60)
    assert made.n_envs == N


def test_episodes_are_the_same_in_a_view():
    policy = TRPO("MlpPolicy", counting_factories(1), **FAST)
    expected = evaluate(policy, counting_factories(N), 7, seed=3)
    for arguments in (ENVIRONMENTS["single"](), ENVIRONMENTS["workers"](), ENVIRONMENTS["NEXT_STEP"]()):
        model = TRPO("MlpPolicy", **{**FAST, **arguments})
        assert evaluate(policy, model.get_env(), 7, seed=3) == expected
        model.env.close()


def test_observations_keep_their_structure():
    space = gym.spaces.Dict(a=gym.spaces.Box(-1, 1, (2,)), b=gym.spaces.Tuple([gym.spaces.Discrete(3)]))

    class Structured(CountingEnv):
        def observe(self):
            return {"a": np.full(2, 0.5, np.float32), "b": (np.int64(self.t % 3),)}

        def step(self, action):
            self.t += 1
            return self.observe(), 1.0, self.t == 5, False, {}

        observation_space = property(lambda self: space, lambda self, _: None)

    model = TRPO("MlpPolicy", [Structured] * 2, **FAST)
    env = model.get_env()
    observation = env.reset()
    assert observation["a"].shape == (2, 2)
    assert observation["b"][0].tolist() == [0, 0]
    actions, _ = model.predict(observation)
    assert env.step(actions)[0]["b"][0].tolist() == [1, 1]


def test_masks_are_in_the_infos():
    model = TRPO("MlpPolicy", [MaskedEnv] * 2, use_masking=True, **FAST)
    env = model.get_env()
    observation = env.reset()
    for _ in range(10):
        masks = [info["action_mask"] for info in env.reset_infos]
        actions, _ = model.predict(observation, action_masks=masks)
        observation, _, dones, env.reset_infos = env.step(actions)
        if dones.any():
            observation = env.reset()
    evaluate(model, env, 2)


@pytest.fixture(scope="module", params=[0, 2], ids=["single", "workers"])
def cart_poles(request):
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=3, n_workers=request.param, **FAST)
    yield model.get_env()
    model.env.close()


class TestAttributes:
    def test_are_read_and_set(self, cart_poles):
        assert [spec.id for spec in cart_poles.get_attr("spec")] == ["CartPole-v1"] * 3
        assert cart_poles.get_attr("gravity", indices=[2, 0]) == [9.8, 9.8]
        cart_poles.set_attr("gravity", 5.0, indices=1)
        assert cart_poles.get_attr("gravity") == [9.8, 5.0, 9.8]
        assert cart_poles.env_method("has_wrapper_attr", "gravity", indices=0) == [True]
        assert cart_poles.has_attr("gravity")
        assert not cart_poles.has_attr("levity")
        with pytest.raises(AttributeError):
            cart_poles.get_attr("levity")
        assert cart_poles.env_is_wrapped(gym.wrappers.TimeLimit) == [True] * 3
        assert cart_poles.env_is_wrapped(gym.wrappers.ClipAction, indices=0) == [False]

    def test_seeds_are_those_of_the_environments(self, cart_poles):
        cart_poles.seed(5)
        seeded = cart_poles.reset()
        for i in range(3):
            assert (seeded[i] == gym.make("CartPole-v1").reset(seed=5 + i)[0]).all()
        assert (cart_poles.reset() != seeded).all()

    def test_render_says_that_there_is_no_mode(self, cart_poles):
        with pytest.warns(UserWarning, match="render_mode=None"):
            assert cart_poles.render() is None


def test_images_are_tiles():
    class Painted(CountingEnv):
        render_mode = "rgb_array"

        def render(self):
            return np.full((2, 4, 3), self.env_id + 1, np.uint8)

    model = TRPO("MlpPolicy", [lambda i=i: Painted(i) for i in range(3)], **FAST)
    image = model.get_env().render()
    assert image.shape == (4, 8, 3)
    assert [image[0, 0, 0], image[0, 4, 0], image[2, 0, 0], image[2, 4, 0]] == [1, 2, 3, 0]


def test_another_number_of_environments_is_refused(tmp_path):
    model = TRPO("MlpPolicy", counting_factories(2), **FAST)
    other = TRPO("MlpPolicy", counting_factories(N), **FAST)
    with pytest.raises(InvalidArgumentError, match="env"):
        model.set_env(other.get_env())
    with pytest.raises(InvalidArgumentError, match="n_envs"):
        TRPO("MlpPolicy", other.get_env(), n_envs=2)
