"""Training on images: rollouts, workers, resumed trainings, vines, masks, evaluations and a robot's own transitions."""

import itertools
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import Catch

from trpo_fast import TRPO, InvalidArgumentError, evaluate, get_num_threads, load_policy, nets, set_num_threads

NET = nets.Sequential(nets.Conv2d(4, 4, 2), nets.Flatten(), nets.Dense(8, "tanh"))
FAST = {
    "n_steps": 30, "batch_size": 32, "n_critic_updates": 1, "seed": 0,
    "policy_kwargs": {"features_extractor": NET, "net_arch": []},
}  # fmt: skip
CATCH = partial(Catch, size=5, cell=2, frames=3)


class Camera(gym.ObservationWrapper):
    """Catch seen by a camera, and the paddle's place in a vector; some actions may be impossible."""

    def __init__(self):
        super().__init__(CATCH(channels_last=True))
        spaces = {"eye": self.env.observation_space, "place": gym.spaces.Box(-9, 9, (2,))}
        self.observation_space = gym.spaces.Dict({"camera": gym.spaces.Dict(spaces)})

    def observation(self, observation):
        place = np.array([self.unwrapped.paddle, 1.0], np.float32)
        return {"camera": {"eye": observation, "place": place}}

    def action_masks(self):
        return np.array([self.unwrapped.paddle > 0, True, self.unwrapped.paddle < 4])

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


CAMERA = {
    **FAST, "use_masking": True,
    "policy_kwargs": {"features_extractor": nets.Parallel({"camera": nets.Parallel({"eye": NET})}), "net_arch": [8]},
}  # fmt: skip
TASKS = {"CnnPolicy": (CATCH, FAST), "MultiInputPolicy": (Camera, CAMERA)}
each_policy = pytest.mark.parametrize("policy", TASKS)


def learned(policy, n_steps=180, **arguments):
    make, settings = TASKS[policy]
    model = TRPO(policy, [make] * 3, **{**settings, **arguments}).learn(n_steps)
    model.env.close()
    return model


def bits_of(model):
    return model.theta.tobytes() + model.value_theta.tobytes()


@pytest.fixture
def threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


@each_policy
def test_workers_and_threads_do_not_change_a_bit(policy, threads):
    expected = bits_of(learned(policy))
    set_num_threads(1)
    assert expected == bits_of(learned(policy, n_workers=2))


@pytest.mark.parametrize(("policy", "n_workers"), [("CnnPolicy", 2), ("MultiInputPolicy", 0)])
def test_a_training_that_is_resumed_in_mid_episode_is_the_uninterrupted_one(policy, n_workers, tmp_path):
    make, _ = TASKS[policy]
    first = learned(policy, 90)
    first.save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", [make] * 3, n_workers=n_workers)
    resumed.learn(90, reset_num_timesteps=False)
    assert bits_of(resumed) == bits_of(learned(policy))
    resumed.env.close()


def test_a_vine_of_workers_is_that_of_one_process():
    vine = {"method": "vine", "vine_trunk_steps": 12, "vine_states": 6, "vine_actions": 3, "vine_horizon": 4}
    models = [learned("MultiInputPolicy", 100, n_workers=n, **vine) for n in (0, 2)]
    assert bits_of(models[0]) == bits_of(models[1])
    assert models[0].report.committed


@each_policy
def test_a_rollout_holds_what_was_seen(policy):
    make, settings = TASKS[policy]
    model, seen = TRPO(policy, [make] * 3, **settings), []
    model.learn(90, callback=lambda now, _: seen.append((now["observations"], now["new_obs"])))
    for (_, new), (acted_on, _) in itertools.pairwise(seen):
        assert str(new) == str(acted_on)
    batch = gym.vector.utils.batch_space(model.observation_space, 3)
    assert batch.contains(new)
    batch_of = model.make_batch(model.sample_rollout()).batch.observations
    shape = (3, 10, 10)
    assert [image.shape for image in batch_of.images] == [shape]
    assert len(batch_of) == 90
    assert batch_of.images[0].planes[batch_of.images[0].index.max()].any()


@each_policy
def test_predictions_and_evaluations(policy, tmp_path):
    make, _ = TASKS[policy]
    model = learned(policy, 90)
    model.save(tmp_path / "model")
    loaded = load_policy(tmp_path / "model")
    batch_space = gym.vector.utils.batch_space(model.observation_space, 4)
    batch_space.seed(0)
    batch = batch_space.sample()
    actions, _ = loaded.predict(batch, deterministic=True)
    assert actions.shape == (4,)
    items = model.policy.observation_codec.items(batch, 4)
    assert [loaded.predict(item, deterministic=True)[0] for item in items] == actions.tolist()
    returns = [evaluate(acting, make(), 3, seed=2).returns.tolist() for acting in (model, loaded)]
    assert returns[0] == returns[1]
    with pytest.raises(InvalidArgumentError, match="observation"):
        loaded.predict(np.zeros((3, 9, 9), np.uint8))


def test_statistics_are_those_of_the_vector():
    policy = learned("MultiInputPolicy", 90).policy
    statistics = policy.normalizer.statistics
    assert statistics.mean.shape == (2 + 3,)  # and a mask
    assert 0.5 < statistics.mean[0] < 3.5
    assert statistics.mean[1] == 1.0
    assert learned("CnnPolicy", 90).policy.normalizer.statistics.mean.shape == (0,)


@each_policy
def test_transitions_of_a_robot_are_those_of_a_rollout(policy):
    make, settings = TASKS[policy]
    model, env = TRPO(policy, make(), **settings), make()
    other = TRPO(policy, (model.observation_space, model.action_space), **settings)
    expected = model.make_batch(model.sample_rollout())
    transitions = other.transitions()
    observation, _ = env.reset(seed=model._training._environment_seed)
    for _ in range(30):
        masks = {"action_masks": env.action_masks()} if policy == "MultiInputPolicy" else {}
        observation, reward, terminated, truncated, _ = env.step(transitions.act(observation, **masks))
        transitions.add(reward, observation, terminated=terminated, truncated=truncated)
        if terminated or truncated:
            observation, _ = env.reset()
    batch = other.collect(transitions)
    np.testing.assert_array_equal(batch.advantages, expected.batch.advantages)
    np.testing.assert_array_equal(np.asarray(batch.observations), np.asarray(expected.batch.observations))
    assert bits_of_update(model, expected) == bits_of_update(other, batch)


def bits_of_update(model, batch):
    model.update(batch)
    return bits_of(model)
