"""evaluate and evaluate_policy: the episodes, and results in the forms of trpo_fast and of Stable-Baselines3."""

import numpy as np
import pytest
from envs import CountingEnv, Monitor, Scaled, counting_factories

from trpo_fast import TRPO, Evaluation, InvalidArgumentError, Policy, evaluate, evaluate_policy, load_policy
from trpo_fast.callbacks import EvalCallback
from trpo_fast.sampling.rollouts import Episode

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def make(**arguments):
    return TRPO("MlpPolicy", CountingEnv(), **{**FAST, **arguments})


def test_returns_are_those_of_the_episodes():
    env = CountingEnv(lengths=(3, 5))
    result = evaluate(make(), env, 3, seed=0)
    rewards = iter(t.reward for t in env.history)
    assert result == Evaluation([Episode(sum(next(rewards) for _ in range(n)), n) for n in (3, 5, 3)])
    assert result.mean == np.mean(result.returns)
    assert result.std == np.std(result.returns)
    assert str(result) == f"return {result.mean:.2f} +/- {result.std:.2f}, length 3.7, 3 episodes"


def test_episodes_are_shared_out_evenly():
    factories = counting_factories(2, lengths=(1,)) + counting_factories(1, lengths=(50,))
    assert sorted(evaluate(make(), factories, 5).lengths) == [1, 1, 1, 50, 50]


def test_deterministic_is_repeatable():
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    assert evaluate(model, "CartPole-v1", 4, seed=3) == evaluate(model, "CartPole-v1", 4, seed=3)


def test_the_monitors_return_and_success_are_taken():
    result = evaluate(make(), Scaled(Monitor(CountingEnv(lengths=(2, 4)))), 4, seed=0)
    assert (result.returns > result.lengths).all()
    assert result.success_rate == 0.5
    assert "success rate 0.50" in str(result)


def test_results_of_sb3():
    model, env = make(), lambda: CountingEnv(lengths=(3, 5))
    expected = evaluate(model, env(), 4, seed=1)
    mean, std = evaluate_policy(model, env(), 4, seed=1)
    assert (mean, std) == (expected.mean, expected.std)
    lists = evaluate_policy(model, env(), n_eval_episodes=4, return_episode_rewards=True, seed=1)
    assert lists == (expected.returns.tolist(), [3, 5, 3, 5])
    with pytest.raises(InvalidArgumentError, match=r"reward_threshold: expected a mean return above 1000"):
        evaluate_policy(model, env(), 2, reward_threshold=1000)
    assert evaluate_policy(model, env(), 2, True, False, None, -1.0)[0] > 0


def test_a_callback_sees_every_step_that_counts():
    steps = []

    def callback(locals_, globals_):
        steps.append((locals_["i"], locals_["reward"], bool(locals_["done"]), locals_["info"].get("step")))

    factories = [lambda i=i: Monitor(CountingEnv(i, lengths=(2 + i,))) for i in range(2)]
    returns, lengths = evaluate_policy(make(), factories, 3, callback=callback, return_episode_rewards=True)
    assert lengths == [2, 3, 3]
    assert [step for i, _, _, step in steps if i == 0] == [1, 2]
    assert [step for i, _, _, step in steps if i == 1] == [1, 2, 3] * 2
    assert sum(reward for _, reward, _, _ in steps) == pytest.approx(sum(returns))
    assert sum(done for _, _, done, _ in steps) == 3


def test_render_draws_every_step():
    class Drawn(CountingEnv):
        render_mode, frames = "rgb_array", 0

        def render(self):
            self.frames += 1
            return np.zeros((2, 2, 3), np.uint8)

    env = Drawn(lengths=(3,))
    evaluate_policy(make(), env, 2, render=True)
    assert env.frames == 6
    make().learn(20, callback=EvalCallback(env, eval_freq=10, n_eval_episodes=1, render=True, verbose=0))
    assert env.frames == 12
    with pytest.warns(UserWarning, match="render_mode=None") as caught:
        evaluate_policy(make(), CountingEnv(), 2, render=True)
    assert len(caught) == 1


def test_path_policy_and_model_do_alike(tmp_path):
    model = make().learn(40)
    model.save(tmp_path / "model.v1")
    loaded = load_policy(tmp_path / "model.v1")
    policy, theta = loaded
    results = [
        evaluate(acting, CountingEnv(), 3, seed=0)
        for acting in (model, tmp_path / "model.v1", str(tmp_path / "model.v1"), loaded, model.actor, (policy, theta))
    ]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("model", [None, 3, object()])
def test_what_does_not_act_is_refused(model):
    with pytest.raises(InvalidArgumentError, match="model: expected a path of a policy file, a model"):
        evaluate_policy(model, CountingEnv(), 1)


def test_a_policy_without_its_theta_is_refused():
    env = CountingEnv()
    with pytest.raises(InvalidArgumentError, match="what load_policy returned"):
        evaluate_policy(Policy(env.observation_space, env.action_space), env, 1)


def test_another_environment_than_the_policys_is_refused():
    with pytest.raises(InvalidArgumentError, match="env: expected environments with spaces"):
        evaluate_policy(make(), "CartPole-v1", 1)
