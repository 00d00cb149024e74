"""AtariEnv: frames as ale-py's vector environment shows them, the protocols, scores, and exact snapshots."""

import dataclasses
import functools

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import TRPO, InvalidArgumentError, SnapshotError, evaluate
from trpo_fast.atari.games import GAMES, env_id_of
from trpo_fast.environments import snapshots
from trpo_fast.nets import Conv2d, Dense, Flatten, Sequential
from trpo_fast.storage.plain_values import from_json, to_json

ale_py = pytest.importorskip("ale_py")

from trpo_fast.atari import PROTOCOLS, AtariEnv  # noqa: E402
from trpo_fast.atari.protocols import protocol_of  # noqa: E402

NOOP, FIRE = 0, 1  # of Breakout's and Pong's minimal actions


made = functools.cache(AtariEnv)  # loading a game takes long; tests begin with a seeded reset


def play(env, actions):
    """What ``env`` returns; it is reset when an episode ends."""
    answers = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        answers.append((observation.tobytes(), reward, terminated, truncated, info))
        if terminated or truncated:
            observation, info = env.reset()
            answers.append((observation.tobytes(), info))
    return answers


def actions_of(env, n, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(n)]


def ends(answers):
    return [answer for answer in answers if len(answer) == 5 and (answer[2] or answer[3])]


@pytest.mark.parametrize(("game", "size"), [("pong", (84, 84)), ("space_invaders", (52, 40))])
def test_frames_rewards_and_ends_are_those_of_the_vector_environment(game, size):
    settings = {"repeat_action_probability": 0.0, "use_fire_reset": False, "reward_clipping": False}
    vector = ale_py.vector_env.AtariVectorEnv(
        game, 1, img_height=size[0], img_width=size[1], noop_max=2, num_threads=1, **settings
    )
    observations, infos = vector.reset(seed=0)
    assert infos["episode_frame_number"] == 1  # it begins with a frame without action, as ours does
    env = AtariEnv(
        game, screen_size=size, noop_max=0, fire_reset=False, terminal_on_life_loss=False, clip_rewards=False
    )
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(observation.astype(int), observations[0], atol=1)
    assert (observation[:3] == 0).all()
    rewards = 0
    for action in actions_of(env, 150):
        observations, *expected, infos = vector.step(np.array([action]))
        observation, *got, info = env.step(action)
        assert got == [value[0] for value in expected]
        assert info["lives"] == infos["lives"][0]
        np.testing.assert_allclose(observation.astype(int), observations[0], atol=1)
        rewards += got[0]
    assert rewards != 0
    vector.close()


def test_every_game_of_ale_py_is_registered():
    from ale_py import roms

    assert set(GAMES) == set(roms.get_all_rom_ids()) - {"combat", "joust", "maze_craze", "warlords"}  # of two players
    for game in GAMES:
        ours, theirs = gym.spec(env_id_of(game)), env_id_of(game).replace("trpo_fast", "ALE").replace("-v0", "-v5")
        assert gym.spec(theirs).kwargs["game"] == game == ours.kwargs["game"]


@pytest.mark.parametrize(
    ("protocol", "game", "shape", "actions"),
    [
        ("v4", "pong", (4, 84, 84), gym.spaces.Discrete(6)),
        ("machado", "breakout", (4, 84, 84), gym.spaces.Discrete(18)),
        ("paper", "adventure", (4, 52, 40), gym.spaces.MultiDiscrete([3, 3, 2])),  # of a screen of 250 rows
    ],
)
def test_spaces(protocol, game, shape, actions):
    env = gym.make(env_id_of(game), protocol=protocol)
    assert env.observation_space == gym.spaces.Box(0, 255, shape, np.uint8)
    assert env.action_space == actions
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation[-1].any()
    assert "lives" in info


def test_the_paper_skips_two_frames_in_space_invaders_only():
    assert protocol_of("paper", "space_invaders") == dataclasses.replace(PROTOCOLS["paper"], frameskip=3)
    for name, game in (("paper", "pong"), ("v4", "space_invaders"), ("machado", "space_invaders")):
        assert protocol_of(name, game) == PROTOCOLS[name]


def test_a_seed_fixes_the_game_and_another_one_changes_it():
    env = made("breakout", "machado", noop_max=5)
    actions = actions_of(env, 60)

    def game(env, seed):
        return env.reset(seed=seed)[0].tobytes(), play(env, actions)

    first = game(env, 1)
    assert game(env, 2) != first
    assert game(env, 1) == first  # whatever was played before
    assert game(AtariEnv("breakout", "machado", noop_max=5), 1) == first


def through_a_file(state):
    arrays = {}
    return from_json(to_json(state, arrays, "state"), arrays)


@pytest.mark.parametrize(
    ("game", "protocol", "changes", "n"),
    [("breakout", "v4", {}, 200), ("qbert", "machado", {}, 300), ("pong", "paper", {"max_num_frames": 200}, 100)],
)
def test_snapshots_are_exact_through_ends_of_lives_and_games(game, protocol, changes, n):
    env = AtariEnv(game, protocol, **changes)
    actions = actions_of(env, 40 + n)
    env.reset(seed=4)
    play(env, actions[:40])
    state = through_a_file(snapshots.capture(env))
    expected = play(env, actions[40:])
    assert ends(expected)
    snapshots.restore(env, state)
    assert play(env, actions[40:]) == expected
    fresh = AtariEnv(game, protocol, **changes)  # that was never reset
    snapshots.restore(fresh, state)
    assert play(fresh, actions[40:]) == expected


def test_a_snapshot_between_a_lost_life_and_the_reset_is_exact():
    env, fresh = made("breakout"), AtariEnv("breakout")
    env.reset(seed=0)
    while not env.step(NOOP)[2]:
        pass
    snapshots.restore(fresh, snapshots.capture(env))
    for each in (env, fresh):
        with pytest.raises(gym.error.ResetNeeded):
            each.step(NOOP)
    assert env.reset()[1] == {"lives": 4}
    fresh.reset()
    assert play(fresh, [FIRE, NOOP, NOOP]) == play(env, [FIRE, NOOP, NOOP])


def spoiled(**changes):
    def spoil(state):
        state.update(changes)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoiled(game="pong"), "expected a state of the game breakout, got one of pong"),
        (spoiled(stack=np.zeros((3, 84, 84), np.uint8)), "expected images of shape"),
        (spoiled(emulator=np.ones(100, np.uint8)), "expected the bytes of an emulator"),
        (spoiled(last_action=18), "KeyError"),
        (spoiled(counts=[1, 2]), "not enough values"),
    ],
)
def test_what_is_no_state_is_refused_and_changes_nothing(spoil, message):
    env = made("breakout")
    env.reset(seed=0)
    before, state = env.get_state(), snapshots.capture(env)
    spoil(state[0][1]["state"])
    with pytest.raises(SnapshotError, match=message):
        snapshots.restore(env, state)
    after = env.get_state()
    assert after["counts"] == before["counts"]
    assert (after["stack"] == before["stack"]).all()


def test_a_lost_life_ends_the_episode_but_neither_the_game_nor_its_score():
    env = made("breakout")
    env.reset(seed=1)
    lives, score, steps, n_ends = 5, 0.0, 0, 0
    while True:
        observation, reward, terminated, truncated, info = env.step(actions_of(env, 1, steps)[0])
        score, steps = score + reward, steps + 1
        assert not truncated
        if "episode" in info:
            break
        assert info.get("episode_continues", False) == terminated == (info["lives"] < lives)
        lives = info["lives"]
        if terminated:
            n_ends += 1
            following, info = env.reset()
            assert info == {"lives": lives}
            np.testing.assert_array_equal(following[0], observation[3])  # three steps later: none, FIRE and another one
    assert terminated
    assert n_ends == 4
    assert info["episode"]["l"] == steps
    assert info["episode"]["r"] >= score > 0.0  # bricks of the back rows count more than 1
    assert env.reset()[1] == {"lives": 5}


def test_other_protocols_play_on_when_a_life_is_lost():
    env = made("breakout", "paper", noop_max=0)
    env.reset(seed=0)
    lives = []
    while True:
        _, _, terminated, truncated, info = env.step([0, 0, 1])
        lives.append(info["lives"])
        if terminated or truncated:
            break
    assert set(lives) == {0, 1, 2, 3, 4, 5}
    assert terminated


class Lives(gym.Env):
    """A game of three lives of four steps each, with a reward of 1 for the learner and 10 of the score in each."""

    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.t = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0 if seed is not None else self.t % 12
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        ends = {"episode": {"r": 120.0, "l": 12}} if self.t == 12 else {"episode_continues": True}
        is_end = self.t % 4 == 0
        return np.zeros(1, np.float32), 1.0, is_end, False, ends if is_end else {}


@pytest.mark.parametrize("n_workers", [0, 1])
def test_scores_are_of_whole_games(n_workers):
    model = TRPO("MlpPolicy", [Lives], seed=0, n_steps=32, n_workers=n_workers).learn(64)
    assert [(episode["r"], episode["l"]) for episode in model.ep_info_buffer] == [(120.0, 12)] * 5
    assert model.get_env() is not None
    evaluation = evaluate(model, [Lives], 3, seed=0)
    assert evaluation.returns.tolist() == [120.0] * 3
    assert evaluation.lengths.tolist() == [12] * 3


NETWORK = Sequential(Conv2d(3, 8, 4), Flatten(), Dense(5, "relu"))


def test_training_resumes_bit_identically_and_scores_are_of_whole_games(tmp_path):
    env_id, changes = "trpo_fast/Breakout-v0", {"noop_max": 5, "screen_size": (42, 40), "max_num_frames": 320}
    settings = {"n_steps": 64, "n_critic_updates": 1, "policy_kwargs": {"features_extractor": NETWORK}}
    model = TRPO("auto", env_id, env_kwargs=changes, seed=0, **settings).learn(64)
    model.save(tmp_path / "model")
    model.learn(64, reset_num_timesteps=False)
    resumed = TRPO.load(tmp_path / "model", env=env_id, env_kwargs=changes, n_workers=1)
    resumed.learn(64, reset_num_timesteps=False)
    assert resumed.theta.tobytes() == model.theta.tobytes()
    assert resumed.ep_info_buffer == model.ep_info_buffer
    assert {episode["l"] for episode in model.ep_info_buffer} < set(range(40, 81))  # a life has about ten steps
    assert model.metrics["train/update_status"] == "committed"


def test_the_vine_restores_games():
    model = TRPO(
        "CnnPolicy", "trpo_fast/Breakout-v0", env_kwargs={"protocol": "paper"}, seed=0, method="vine",
        vine_trunk_steps=24, vine_states=4, vine_horizon=4, policy_kwargs={"features_extractor": NETWORK},
    )  # fmt: skip
    branches = model.sample_rollout().branches
    tails = np.asarray(branches.tails)["image"].reshape(4, 4, -1)
    same = np.all(branches.actions[0, :, :, None] == branches.actions[0, :, None], axis=-1)  # (4, 4, 4)
    equal = np.all(tails[:, :, None] == tails[:, None], axis=-1)
    assert same.sum() > 16  # some of the branches of a state have the same first action
    assert equal[same].all()  # and therefore the same end
    assert not equal.all()
    model.learn(100)
    assert model.metrics["train/update_status"] == "committed"


def test_frames_are_capped():
    env = AtariEnv("pong", max_num_frames=42, noop_max=0, fire_reset=False)
    env.reset(seed=0)
    answers = [env.step(NOOP) for _ in range(11)]
    assert [answer[3] for answer in answers] == [False] * 10 + [True]
    assert not any(answer[2] for answer in answers)
    assert answers[-1][4]["episode"] == {"r": 0.0, "l": 11}


class Emulator:
    """Records the actions of an emulator."""

    def __init__(self, ale):
        self.ale, self.taken = ale, []

    def __getattr__(self, name):
        return getattr(self.ale, name)

    def act(self, action):
        self.taken.append(action.value)
        return self.ale.act(action)


@pytest.fixture
def recorded(monkeypatch):
    def record(env):
        emulator = Emulator(env._ale)
        monkeypatch.setattr(env, "_ale", emulator)
        env.reset(seed=0)
        return env, emulator.taken

    return record


@pytest.mark.parametrize(
    ("protocol", "action"),
    [("v4", 6), ("v4", -1), ("v4", 1.0), ("v4", None), ("paper", [0, 0, 2]), ("paper", [0, 0]), ("paper", 1),
     ("paper", [0.5, 0, 0])],
)  # fmt: skip
def test_an_action_outside_the_space_is_named(protocol, action):
    env = AtariEnv("pong", protocol)
    env.reset(seed=0)
    with pytest.raises(InvalidArgumentError, match="action: expected one of"):
        env.step(action)


def test_sticky_actions_repeat_the_action_of_the_frame_before(recorded):
    env, taken = recorded(made("breakout", "machado", noop_max=5))
    taken.clear()
    actions = [int(k) for k in np.random.default_rng(0).permutation(np.tile(np.arange(18), 8))]
    for action in actions:
        env.step(action)
    frames = np.array(taken).reshape(-1, 4)
    previous = np.concatenate([[0], frames.ravel()[:-1]]).reshape(-1, 4)
    asked = np.array(actions)[:, None]
    assert ((frames == asked) | (frames == previous)).all()
    could_differ = previous != asked
    n, repeated = could_differ.sum(), (could_differ & (frames == previous)).sum()
    assert abs(repeated / n - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)


def test_no_ops_are_drawn_and_fire_is_pressed(recorded):
    env, taken = recorded(AtariEnv("breakout", noop_max=4))
    counts = set()
    for seed in range(12):
        taken.clear()
        env.reset(seed=seed)
        assert taken[-8:] == [1] * 4 + [3] * 4  # FIRE and RIGHT, for a step each
        counts.add(len(taken) - 8 + 1)  # the first one is of the state that games start with
    assert counts == {1, 2, 3, 4}


def test_factored_actions_are_all_eighteen(recorded):
    env, taken = recorded(made("breakout", "paper", noop_max=0))
    taken.clear()
    for action in np.ndindex(3, 3, 2):
        env.step(np.array(action))
    names = [ale_py.Action(number).name for number in taken[::4]]
    assert len(set(names)) == 18
    assert names[0] == "NOOP"
    for (horizontal, vertical, fire), name in zip(np.ndindex(3, 3, 2), names, strict=True):
        assert ("LEFT" in name, "RIGHT" in name) == (horizontal == 1, horizontal == 2)
        assert ("UP" in name, "DOWN" in name) == (vertical == 1, vertical == 2)
        assert ("FIRE" in name) == (fire == 1)


@pytest.mark.parametrize("action", [-1, 6, 1.5, None])
def test_what_is_no_action_is_refused(action):
    env = made("pong")
    env.reset(seed=0)
    with pytest.raises((InvalidArgumentError, TypeError)):
        env.step(action)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"game": "pongg"}, "game: expected the name of a game .did you mean pong.*, got 'pongg'"),
        ({"protocol": "v5"}, "protocol: expected one of v4, machado, paper"),
        ({"frameskip": 0}, "frameskip"),
        ({"repeat_action_probability": 1.5}, "repeat_action_probability"),
        ({"noop_max": -1}, "noop_max"),
        ({"fire_reset": 1}, "fire_reset"),
        ({"actions": "all"}, "actions"),
        ({"screen_size": (211, 84)}, "screen_size"),
        ({"screen_size": 84}, "screen_size"),
        ({"frame_stack": 0}, "frame_stack"),
        ({"max_num_frames": 0}, "max_num_frames"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
def test_invalid_settings_are_refused(settings, message):
    with pytest.raises(InvalidArgumentError, match=f"^{message}"):
        AtariEnv(**{"game": "pong", **settings})


def test_every_setting_of_a_protocol_is_an_argument():
    changed = {
        "frameskip": 2, "repeat_action_probability": 0.5, "noop_max": 3, "fire_reset": False,
        "terminal_on_life_loss": False, "actions": "full", "clip_rewards": False, "screen_size": (42, 42),
        "frame_stack": 2, "max_num_frames": 100,
    }  # fmt: skip
    assert dataclasses.asdict(AtariEnv("pong", **changed).protocol) == changed
    assert not set(changed.items()) & set(dataclasses.asdict(PROTOCOLS["v4"]).items())


def test_render():
    env = gym.make(env_id_of("pong"), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (210, 160, 3)
