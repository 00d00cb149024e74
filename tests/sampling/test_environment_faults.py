"""Invalid data and settings: each is rejected by name and leaves the model unchanged."""

import pickle
import re
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, FaultyEnv, FaultyVectorEnv
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from trpo_fast import TRPO, EnvironmentFaultError, InvalidArgumentError, TRPOConfig, UnsupportedSpaceError
from trpo_fast.errors import MissingExtraError
from trpo_fast.policies.factory import POLICY_KWARGS

EPISODE, N_STEPS = 5, 12  # of FaultyEnv; the first update comes after step 12, the faults after it
AT = {"observation": 18, "final observation": 20, "reset observation": 20, "reward": 18, "terminated": 18}
AT |= {"truncated": 18, "step": 18, "reset": 20}


def raising(_):
    raise RuntimeError("the simulator is gone")


def put(value):
    """Corrupt an observation in its component 1."""

    def corrupt(observation):
        observation[1] = value
        return observation

    return corrupt


def constant(value):
    return lambda _: value


NOT_FINITE = {
    "nan": (put(np.nan), r"finite values of magnitude <= 1e\+18", "nan at index 1"),
    "+inf": (put(np.inf), r"finite values of magnitude <= 1e\+18", "inf at index 1"),
    "-inf": (put(-np.inf), r"finite values of magnitude <= 1e\+18", "-inf at index 1"),
    "absurd": (put(1e30), r"finite values of magnitude <= 1e\+18", r"1\.0+\d*e\+30 at index 1"),
}
ARRAY = r"a real array of shape \(3,\)"
BAD_OBSERVATION = {
    **NOT_FINITE,
    "too long": (lambda o: np.append(o, 0.0), ARRAY, r"a float64 array of shape \(4,\)"),
    "of shape (1,)": (lambda o: o[:1], ARRAY, r"a float32 array of shape \(1,\)"),
    "a column": (lambda o: o[:, None], ARRAY, r"a float32 array of shape \(3, 1\)"),
    "0-d": (lambda o: np.array(o[0]), ARRAY, r"a float32 array of shape \(\)"),
    "a scalar": (lambda o: o[0], ARRAY, r".*\(float32\)"),
    "objects": (lambda o: o.astype(object), ARRAY, r"a object array of shape \(3,\)"),
    "None inside": (lambda o: np.array([None, 0, 0]), ARRAY, r"a object array of shape \(3,\)"),
    "complex": (lambda o: o + 1j, ARRAY, r"a complex\d+ array of shape \(3,\)"),
    "text": (lambda o: o.astype(str), ARRAY, r"a <U\d+ array of shape \(3,\)"),
    "None": (constant(None), ARRAY, r"None \(NoneType\)"),
    "a list": (lambda o: o.tolist(), ARRAY, r"\[.*\] \(list\)"),
}
NUMBER = r"a finite number of magnitude <= 1e\+18"
BAD_REWARD = {
    "nan": (constant(np.nan), NUMBER, r"nan \(float\)"),
    "+inf": (constant(np.float32("inf")), NUMBER, r".*inf.* \(float32\)"),
    "-inf": (constant(-np.inf), NUMBER, r"-inf \(float\)"),
    "absurd": (constant(1e30), NUMBER, r"1e\+30 \(float\)"),
    "None": (constant(None), NUMBER, r"None \(NoneType\)"),
    "text": (constant("1.0"), NUMBER, r"'1.0' \(str\)"),
    "0-d": (constant(np.array(1.0)), NUMBER, r"a float64 array of shape \(\)"),
    "of shape (1,)": (constant(np.array([1.0])), NUMBER, r"a float64 array of shape \(1,\)"),
    "complex": (constant(1 + 0j), NUMBER, r"\(1\+0j\) \(complex\)"),
}
BAD_FLAG = {
    "an int": (constant(0), "True or False", r"0 \(int\)"),
    "None": (constant(None), "True or False", r"None \(NoneType\)"),
    "text": (constant("False"), "True or False", r"'False' \(str\)"),
    "a 0-d array": (constant(np.array(False)), "True or False", r"a bool array of shape \(\)"),
    "an array": (constant(np.array([True, False])), "True or False", r"a bool array of shape \(2,\)"),
}
RAISES = r"RuntimeError\('the simulator is gone'\)"
RAISES_AT = RAISES + r" in test_environment_faults.py:23"  # in an environment of this process


def faults(table, *fields):
    return [pytest.param(field, *row, id=f"{field}-{name}") for field in fields for name, row in table.items()]


def make_model(env, **settings):
    fast = dict(n_steps=N_STEPS, n_critic_updates=1, batch_size=12, policy_kwargs={"net_arch": (4,)})
    return TRPO("MlpPolicy", env, seed=0, **{**fast, **settings})


def state(model):
    """Everything that learning changes, as bytes."""
    statistics = [model.policy.normalizer.statistics, model.return_statistics]
    arrays = [model.theta, model.value_theta, *(a for s in statistics for a in (s.mean, s.var, np.array(s.count)))]
    return [a.tobytes() for a in arrays], model.metrics.get("train/n_updates"), model.report


def assert_refused_and_unharmed(env, where, field, expected, got):
    """The first iteration succeeds; the fault occurs in the second."""
    model = make_model(env, normalize_returns=True).learn(1)
    before = state(model)
    assert before[1] == 1
    message = f"^{where}, step {AT[field]}, {field}: expected {expected}, got {got}$"
    with pytest.raises(EnvironmentFaultError, match=message) as caught:
        model.learn(10 * N_STEPS, reset_num_timesteps=False)
    assert (caught.value.step, caught.value.field) == (AT[field], field)
    assert state(model) == before
    assert model.predict(np.zeros(3))[0] in model.policy.action_space
    return caught.value


@pytest.mark.parametrize(
    ("field", "corrupt", "expected", "got"),
    [
        *faults(BAD_OBSERVATION, "observation", "final observation", "reset observation"),
        *faults(BAD_REWARD, "reward"),
        *faults(BAD_FLAG, "terminated", "truncated"),
        pytest.param("step", raising, "five values", RAISES_AT, id="step-raises"),
        pytest.param("reset", raising, "an observation and an info", RAISES_AT, id="reset-raises"),
    ],
)
def test_a_fault_of_a_single_environment_names_it_and_harms_nothing(field, corrupt, expected, got):
    factories = [CountingEnv, partial(FaultyEnv, field, corrupt, AT[field], env_id=1)]
    error = assert_refused_and_unharmed(factories, "environment 1", field, expected, got)
    assert error.env_index == 1


@pytest.mark.parametrize("wrap", [lambda envs: envs, SyncVectorEnv], ids=["single", "vector"])
def test_of_two_faults_at_once_the_observation_is_named_and_that_of_the_first_environment(wrap):
    class Exploding(CountingEnv):
        def step(self, action):
            observation, _, *rest = super().step(action)
            return observation + np.nan, np.nan, *rest

    with pytest.raises(EnvironmentFaultError) as caught:
        make_model(wrap([CountingEnv, Exploding, Exploding])).learn(1)
    assert (caught.value.env_index, caught.value.step, caught.value.field) == (1, 1, "observation")


def test_after_a_fault_of_a_reset_everything_is_reset_again(monkeypatch):
    envs = [CountingEnv(), CountingEnv(env_id=1)]
    model = make_model([lambda: envs[0], lambda: envs[1]]).learn(1)
    reset, envs[1].reset = envs[1].reset, lambda **_: raising(None)
    with pytest.raises(EnvironmentFaultError, match="environment 1.+reset"):
        model.learn(1)
    envs[1].reset = reset
    resets, reset_all = [], model.env.reset
    monkeypatch.setattr(model.env, "reset", lambda seed: resets.append(seed) or reset_all(seed))
    model.learn(1, reset_num_timesteps=False, callback=lambda *_: False)
    assert len(resets) == 1


@pytest.mark.parametrize(("field", "corrupt"), [("reset observation", put(np.nan)), ("reset", raising)])
def test_a_fault_at_the_first_reset_is_of_step_0(field, corrupt):
    model = make_model([CountingEnv, partial(FaultyEnv, field, corrupt, 0, env_id=1)])
    before = state(model)
    with pytest.raises(EnvironmentFaultError, match=f"^environment 1, step 0, {field}: expected .+, got .+"):
        model.learn(1)
    assert state(model) == before


def test_learning_goes_on_after_a_fault_from_a_reset_everywhere():
    envs = [
        CountingEnv(),
        FaultyEnv("step", raising, AT["step"], env_id=1),
    ]  # the first has stepped, the second has not
    model = make_model([lambda: envs[0], lambda: envs[1]]).learn(1)
    with pytest.raises(EnvironmentFaultError):
        model.learn(10 * N_STEPS, reset_num_timesteps=False)
    resets = [len(env.seeds) for env in envs]
    model.learn(1, reset_num_timesteps=False, callback=lambda *_: False)
    assert [len(env.seeds) for env in envs] == [n + 1 for n in resets]
    assert [env.t for env in envs] == [1, 1]


def test_a_step_of_four_values_is_refused():
    class OldGym(CountingEnv):
        def step(self, action):
            return super().step(action)[:4]

    with pytest.raises(
        EnvironmentFaultError, match=r"^environment 0, step 1, step: expected five values, got .*unpack"
    ):
        make_model(OldGym()).learn(1)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize(
    ("field", "corrupt", "expected", "got"),
    [
        *faults(NOT_FINITE, "observation", "final observation", "reset observation"),
        pytest.param("reward", constant(np.nan), NUMBER, ".*nan.*", id="reward-nan"),
        pytest.param("reward", constant(None), NUMBER, ".*nan.*", id="reward-None"),
        pytest.param("reward", constant(-np.inf), NUMBER, ".*inf.*", id="reward-inf"),
        pytest.param("reward", constant(1e30), NUMBER, r".*1e\+30.*", id="reward-absurd"),
    ],
)
def test_what_a_vector_environment_lets_through_is_refused(mode, field, corrupt, expected, got):
    factories = [partial(FaultyEnv, f, corrupt, AT[field]) for f in ("nothing", field)]
    env = SyncVectorEnv(factories, autoreset_mode=mode)
    model = make_model(env, normalize_returns=True).learn(1)
    before = state(model)
    with pytest.raises(
        EnvironmentFaultError, match=f"^environment 1, step .+: expected {expected}, got {got}$"
    ) as caught:
        model.learn(10 * N_STEPS, reset_num_timesteps=False)
    assert caught.value.env_index == 1
    assert field.endswith(caught.value.field.split()[-1])
    assert state(model) == before


def row(value, i=1):
    """Corrupt row i of an array, whatever the value."""

    def corrupt(array):
        array = array.astype(object)
        array[i] = value
        return array

    return corrupt


WHOLE = r"an array of shape \(2,{}\)".format
VECTOR_FAULTS = {
    "observation-list": (0, lambda o: o.tolist(), "observation", WHOLE(" 3"), r".* \(list\)", None),
    "observation-None": (0, constant(None), "observation", WHOLE(" 3"), "None .*", None),
    "observation-0-d": (0, constant(np.array(1.0)), "observation", WHOLE(" 3"), r".*shape \(\)", None),
    "observation-of-one-env": (0, lambda o: o[:1], "observation", WHOLE(" 3"), r".*shape \(1, 3\)", None),
    "observation-1-d": (0, lambda o: o[:, 0], "observation", ARRAY, r".*\(float32\)", 0),
    "observation-too-long": (0, lambda o: np.tile(o, 2), "observation", ARRAY, r".*shape \(6,\)", 0),
    "observation-objects": (0, lambda o: o.astype(object), "observation", ARRAY, "a object array.*", 0),
    "observation-complex": (0, lambda o: o + 1j, "observation", ARRAY, "a complex.*", 0),
    "reward-list": (1, lambda r: r.tolist(), "reward", WHOLE(""), r".* \(list\)", None),
    "reward-None": (1, constant(None), "reward", WHOLE(""), "None .*", None),
    "reward-number": (1, constant(1.0), "reward", WHOLE(""), r"1\.0 .*", None),
    "reward-column": (1, lambda r: r[:, None], "reward", WHOLE(""), r".*shape \(2, 1\)", None),
    "reward-complex": (1, lambda r: r + 1j, "reward", NUMBER, r".*\(complex128\)", 0),
    "reward-one-None": (1, row(None), "reward", NUMBER, "None .*", 1),
    "reward-one-text": (1, row("1.0"), "reward", NUMBER, "'1.0' .*", 1),
    "terminated-list": (2, lambda f: f.tolist(), "terminated", r"a bool array of shape \(2,\)", ".*(list)", None),
    "terminated-ints": (2, lambda f: f.astype(int), "terminated", r"a bool array of shape \(2,\)", "a int64.*", None),
    "truncated-None": (3, constant(None), "truncated", r"a bool array of shape \(2,\)", "None .*", None),
}


@pytest.mark.parametrize(
    ("part", "corrupt", "field", "expected", "got", "env_index"), VECTOR_FAULTS.values(), ids=VECTOR_FAULTS
)
def test_a_fault_of_a_vector_environment_names_the_row_or_the_whole(part, corrupt, field, expected, got, env_index):
    env = FaultyVectorEnv(SyncVectorEnv([CountingEnv, CountingEnv]), part, corrupt, AT[field])
    where = "vector environment" if env_index is None else f"environment {env_index}"
    got = got.replace("(list)", r"\(list\)")
    assert assert_refused_and_unharmed(env, where, field, expected, got).env_index == env_index


FINAL = "final observation"
FINAL_FAULTS = {
    "missing": (lambda infos: {}, r"an array infos\['final_obs'\] of 2", "None .*"),
    "no infos": (constant(None), r"an array infos\['final_obs'\] of 2", "None .*"),
    "a list": (lambda infos: {"final_obs": [None, None]}, r"an array infos\['final_obs'\] of 2", r".* \(list\)"),
    "None": (lambda infos: {"final_obs": np.array([None, None])}, ARRAY, "None .*"),
    "nan": (lambda infos: {"final_obs": np.full((2, 3), np.nan)}, ".*", "nan at index 0"),
    "too long": (lambda infos: {"final_obs": np.zeros((2, 4))}, ARRAY, r".*shape \(4,\)"),
}


@pytest.mark.parametrize(("corrupt", "expected", "got"), FINAL_FAULTS.values(), ids=FINAL_FAULTS)
def test_a_bad_final_observation_in_same_step_mode_is_refused(corrupt, expected, got):
    factories = [partial(FaultyEnv, "nothing", raising, 0)] * 2
    env = FaultyVectorEnv(SyncVectorEnv(factories, autoreset_mode=AutoresetMode.SAME_STEP), 4, corrupt, AT[FINAL])
    assert_refused_and_unharmed(env, "environment 0", FINAL, expected, got)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore::UserWarning")  # gymnasium's log
@pytest.mark.parametrize("make", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize(("field", "mode"), [("step", "NextStep"), ("reset", "SameStep"), ("reset", "Disabled")])
def test_a_vector_environment_that_raises_is_refused(make, field, mode):
    factories = [partial(FaultyEnv, f, raising, AT[field]) for f in ("nothing", field)]
    env = make(factories, autoreset_mode=AutoresetMode(mode))
    call = field if mode == "Disabled" else "step"
    model = make_model(env).learn(1)
    before = state(model)
    with pytest.raises(EnvironmentFaultError, match=rf"^vector environment, step \d+, {call}: .*{RAISES}"):
        model.learn(10 * N_STEPS, reset_num_timesteps=False)
    assert state(model) == before
    env.close()


class SpacesOnly(gym.Env):
    """Environment that allows access to its spaces only."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    reset = step = raising


VECTOR, CHOICE = gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.Discrete(2)
UNSUPPORTED = {
    "observation scalar": (gym.spaces.Box(-1.0, 1.0, ()), CHOICE),
    "observation empty": (gym.spaces.Box(-1.0, 1.0, (0,)), CHOICE),
    "observation none": (None, CHOICE),
    "action Dict": (VECTOR, gym.spaces.Dict(x=CHOICE)),
    "action Tuple": (VECTOR, gym.spaces.Tuple([CHOICE])),
    "action Text": (VECTOR, gym.spaces.Text(3)),
    "action integers": (VECTOR, gym.spaces.Box(0, 5, (2,), np.int64)),
    "action scalar": (VECTOR, gym.spaces.Box(-1.0, 1.0, ())),
    "action empty": (VECTOR, gym.spaces.Box(-1.0, 1.0, (0,))),
    "action 2-d MultiDiscrete": (VECTOR, gym.spaces.MultiDiscrete([[2, 3], [4, 5]])),
    "action empty MultiDiscrete": (VECTOR, gym.spaces.MultiDiscrete([])),
    "action 2-d MultiBinary": (VECTOR, gym.spaces.MultiBinary([2, 2])),
    "action none": (VECTOR, None),
}


@pytest.mark.parametrize(("observation_space", "action_space"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_an_unsupported_space_is_refused_before_anything_steps(observation_space, action_space, request):
    role = request.node.callspec.id.split()[0]
    with pytest.raises(UnsupportedSpaceError, match=f"^{role} space: expected .+, got .+"):
        TRPO("MlpPolicy", SpacesOnly(observation_space, action_space))


NO_NUMBER = (None, "1", [1], 1j, np.array(1.0), np.nan, np.inf, -np.inf)
NO_INTEGER = (*NO_NUMBER, True, 1.0, 1.5)
NO_FLAG = (None, 0, 1, "True", np.array(True))
NO_CHOICE = (None, "", "other", 1, ("gae",), np.array(["gae"]))
BAD_SETTINGS = {
    "n_steps": (*NO_INTEGER, 0, -1),
    "method": NO_CHOICE,
    "vine_trunk_steps": (*NO_INTEGER, 0, -1),
    "vine_states": (*NO_INTEGER, 0, -1),
    "vine_actions": (*NO_INTEGER, 0, 1, -1),
    "vine_horizon": (*NO_INTEGER, 0, -1),
    "vine_bootstrap": NO_FLAG,
    "trust_region": NO_CHOICE,
    "kl_penalty": (*NO_NUMBER, True, 0.0, -1.0, "adapt"),
    "step_size": (*NO_NUMBER, True, 0.0, -0.1),
    "metric": NO_CHOICE,
    "gamma": (*NO_NUMBER, True, -0.1, 1.1),
    "gae_lambda": (*NO_NUMBER, True, -0.1, 1.1),
    "advantage": NO_CHOICE,
    "normalize_advantage": NO_FLAG,
    "ent_coef": (*NO_NUMBER, True, -0.1),
    "normalize_reward": NO_FLAG,
    "target_kl": (*NO_NUMBER, True, 0.0, -0.01),
    "kl_reduction": NO_CHOICE,
    "cg_max_steps": (*NO_INTEGER, 0, -3),
    "cg_damping": (*NO_NUMBER, True, -0.1),
    "cg_preconditioner": NO_CHOICE,
    "cg_progress_rtol": (*NO_NUMBER, True, -0.1, 1.1),
    "step_norm": NO_CHOICE,
    "sub_sampling_factor": (*NO_INTEGER, 0, -1),
    "line_search_max_iter": (*NO_INTEGER, 0, -1),
    "line_search_shrinking_factor": (*NO_NUMBER, True, 0.0, -0.5, 2.0),
    "learning_rate": (*NO_NUMBER, True, 0.0, -1e-3),
    "n_critic_updates": (*NO_INTEGER, 0, -1),
    "batch_size": (*NO_INTEGER, 0, -1),
    "normalize_returns": NO_FLAG,
    "vf_coef": (*NO_NUMBER, True, -0.1),
}
BAD_ARGUMENTS = {
    "policy": (None, "CnnPolicy", 1),
    "n_envs": (*NO_INTEGER, 0, -1, 3),
    "env_kwargs": ("render_mode", {"render_mode": None}),
    "policy_kwargs": ("net_arch", 5, [4], {"widths": (4,)}, {1: (4,)}),
    "net_arch": (64, "64", (0,), (-1,), (1.5,), (True,), ("64",), {"pi": (4,)}, {"pi": (4,), "vf": None}),
    "activation_fn": (None, "Tanh", np.tanh, int, ""),
    "log_std_init": (*NO_NUMBER, True, -21.0, 2.1),
    "ortho_init": NO_FLAG,
    "normalize_observations": NO_FLAG,
    "state_dependent_std": NO_FLAG,
    "squash": NO_FLAG,
    "use_masking": NO_FLAG,
    "dtype": (None, "float16", "int32", int, ">f4", "nonsense", 32, [1]),
    "seed": (True, -1, 1.0, "0", np.nan, [0]),
    "verbose": (None, -1, 0.5, True, "1"),
    "stats_window_size": (*NO_INTEGER, 0, -1),
}
BAD_LEARN = {
    "total_timesteps": (*NO_NUMBER, True, 1.5, 0, -1),
    "log_interval": (*(bad for bad in NO_INTEGER if bad is not None), 0, -1),
    "callback": (1, "print", [1]),
}


def values(table):
    return [pytest.param(name, bad, id=f"{name}-{bad!r}") for name, row in table.items() for bad in row]


def refused(argument):
    return pytest.raises(InvalidArgumentError, match=f"^{re.escape(argument)}: expected .+, got .+")


def test_every_setting_is_in_the_table():
    assert BAD_SETTINGS.keys() == TRPOConfig.__dataclass_fields__.keys()


@pytest.mark.parametrize(("name", "bad"), values(BAD_SETTINGS))
def test_a_setting_out_of_range_is_refused_by_name(name, bad):
    with refused(name):
        TRPOConfig(**{name: bad})
    with refused(name):
        TRPO("MlpPolicy", SpacesOnly(VECTOR, CHOICE), **{name: bad})


@pytest.mark.parametrize(("name", "bad"), values(BAD_ARGUMENTS))
def test_a_constructor_argument_out_of_range_is_refused_by_name(name, bad):
    arguments = {"policy": "MlpPolicy", "env": SpacesOnly(VECTOR, gym.spaces.Box(-1.0, 1.0, (2,)))}
    of_policy = name in POLICY_KWARGS
    with refused(name):
        TRPO(**{**arguments, **({"policy_kwargs": {name: bad}} if of_policy else {name: bad})})


@pytest.mark.parametrize(("name", "bad"), values(BAD_LEARN))
def test_a_bad_argument_of_learn_is_refused_before_anything_steps(name, bad):
    model = make_model(SpacesOnly(VECTOR, CHOICE))
    with refused(name):
        model.learn(**{"total_timesteps": 10, name: bad})


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(InvalidArgumentError, match="max_kl: expected an argument of TRPO; TRPO has target_kl"):
        TRPO("MlpPolicy", "CartPole-v1", max_kl=0.01)


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgumentError("gamma", "0..1", 2.0),
        EnvironmentFaultError(1, 3, "reward", "a number", None),
        MissingExtraError("plot", "plot"),
    ],
)
def test_errors_cross_processes(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


BAD_OBSERVATIONS = {
    "nan": np.array([0.0, np.nan, 0.0]),
    "inf": np.array([0.0, 0.0, -np.inf]),
    "one nan in a batch": np.array([[0.0, 0.0, 0.0], [0.0, np.nan, 0.0]]),
    "too short": np.zeros(2),
    "a batch of too long ones": np.zeros((2, 4)),
    "0-d": np.float64(0.0),
    "3-d": np.zeros((1, 1, 3)),
    "empty": np.zeros(0),
    "an empty batch": np.zeros((0, 3)),
    "complex": np.zeros(3, dtype=complex),
    "objects": np.zeros(3, dtype=object),
    "text": np.array(["0", "0", "0"]),
    "None": None,
    "ragged": [[0.0, 0.0, 0.0], [0.0]],
    "a dict": {"x": np.zeros(3)},
}


@pytest.mark.parametrize("observation", BAD_OBSERVATIONS.values(), ids=BAD_OBSERVATIONS)
@pytest.mark.parametrize("deterministic", [True, False])
def test_predict_refuses_a_bad_observation(observation, deterministic):
    with refused("observation"):
        make_model(SpacesOnly(VECTOR, CHOICE)).predict(observation, deterministic=deterministic)


@pytest.mark.parametrize("action_space", [CHOICE, gym.spaces.Box(-0.1, 0.1, (2, 2)), gym.spaces.MultiBinary(3)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", ">f4"])
def test_predict_takes_any_real_observation_and_gives_an_action_of_the_space(action_space, dtype):
    model = make_model(SpacesOnly(VECTOR, action_space))
    rows = np.array([[1, 2, 3], [1e18, -1e18, 0]]).astype(dtype)
    actions, state = model.predict(rows)
    assert state is None
    assert len(actions) == 2
    for action in (*actions, model.predict(rows[0])[0], model.predict(rows[1].tolist())[0]):
        assert action in action_space
