"""A training loop of your own: only the policy update is from trpo_fast; rollouts and advantages are yours."""

import gymnasium as gym
import numpy as np

from trpo_fast import Batch, Policy, TRPOConfig, trpo_update

env = gym.make("CartPole-v1")
policy = Policy(env.observation_space, env.action_space, net_arch=(32,), normalize_observations=False)
theta = policy.initial_parameters(seed=0)
config = TRPOConfig(target_kl=0.02)
rng = np.random.default_rng(0)

for iteration in range(15):
    actor = policy.actor(theta)
    noise, row = np.empty((1, policy.codec.size), np.float32), np.empty((1, policy.codec.size), np.float32)
    observations, rows, returns, lengths = [], [], [], []
    while len(rows) < 1000:
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        rewards, done = [], False
        while not done:
            observations.append(observation)
            rng.standard_normal(out=noise, dtype=np.float32)
            actor.act(observation[None].astype(np.float64), noise, row)
            rows.append(row[0].copy())
            observation, reward, terminated, truncated, _ = env.step(policy.codec.to_env(row)[0])
            rewards.append(reward)
            done = terminated or truncated
        lengths.append(len(rewards))
        discounted = 0.0
        to_go = [discounted := reward + 0.99 * discounted for reward in reversed(rewards)]
        returns += reversed(to_go)
    returns = np.array(returns)
    batch = Batch(np.array(observations), policy.codec.decode(np.array(rows)), returns - returns.mean(), returns)
    theta, report = trpo_update(policy, theta, batch, config)
    print(f"{iteration}: length {np.mean(lengths):.0f}, {report.status.value}, KL {report.mean_kl:.4f}")
