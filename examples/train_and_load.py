"""Train, print metrics, save, load, evaluate."""

from trpo_fast import TRPO, evaluate

model = TRPO("MlpPolicy", "CartPole-v1", n_steps=1024, seed=0)
model.learn(total_timesteps=30_000)
print(f"mean return of the latest episodes: {model.metrics['rollout/ep_rew_mean']:.0f}")
print(f"last update: {model.report.status.value}, KL {model.report.mean_kl:.4f}")
model.save("cartpole")

model = TRPO.load("cartpole")
action, _ = model.predict([0.0, 0.0, 0.0, 0.0], deterministic=True)
result = evaluate(model, "CartPole-v1", n_eval_episodes=5, seed=1)
print(f"action {action}, {result}")
