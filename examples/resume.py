"""A resumed training is bit-identical to an uninterrupted one."""

from trpo_fast import TRPO, Checkpoints
from trpo_fast.storage.checkpoints import latest_checkpoint

settings = {"n_steps": 512, "seed": 0}
whole = TRPO("MlpPolicy", "Pendulum-v1", **settings).learn(10_240)

model = TRPO("MlpPolicy", "Pendulum-v1", **settings)
model.sinks.append(Checkpoints(model, "checkpoints", every=1024))
model.learn(5_000)  # interrupted here

model = TRPO.load(latest_checkpoint("checkpoints"), env="Pendulum-v1")
model.learn(10_240 - model.num_timesteps, reset_num_timesteps=False)
print("bit-identical:", (model.theta == whole.theta).all())
