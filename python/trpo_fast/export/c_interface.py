"""What the numbers of a policy mean, as comments and tables that C and C++ read alike."""

import re

from trpo_fast.export.c_network import array
from trpo_fast.export.deployment import Deployment
from trpo_fast.spaces.interface import Interface


def c_interface(d: Deployment, name: str) -> str:
    """Tables of names, units and scale, and a comment for people; nothing if there is nothing to say.

    Tables have the policy's name: ``static const char *const NAME_observation_names[]``.
    """
    facts = d.interface
    lines = [*_numbers("observation", facts), *_numbers("action", facts), *_training(facts)]
    lines += [f"{key}: {_plain(text)}" for key, text in d.more.items()]
    if not lines:
        return ""
    tables = [
        f"static const char *const {name}_{field}[] = {{{', '.join(map(_literal, getattr(facts, field)))}}};"
        for field in ("observation_names", "observation_units", "action_names", "action_units")
        if getattr(facts, field)
    ]
    tables += [
        f"static const float {name}_{field}[] = {array(getattr(facts, field))};"
        for field in ("action_scale", "action_offset")
        if getattr(facts, field)
    ]
    return "\n".join(["/*", *(f"  {line}" for line in lines), "*/", *tables, "", ""])


def _numbers(what: str, facts: Interface) -> list[str]:
    """A line for each number that has a name."""
    names, units = getattr(facts, f"{what}_names"), getattr(facts, f"{what}_units")
    units = units or [""] * len(names)
    return [
        f"{what}[{i}]  {_plain(name)}" + (f", {_plain(unit)}" if unit else "")
        for i, (name, unit) in enumerate(zip(names, units, strict=False))
    ]


def _training(facts: Interface) -> list[str]:
    """Lines on the environment that the policy was trained in."""
    lines = [f"trained in {_plain(facts.environment)}"] if facts.environment else []
    if facts.control_period is not None:
        lines.append(f"one action every {facts.control_period:g} s")
    if facts.frame_stack > 1:
        lines.append(f"an observation is the latest {facts.frame_stack} ones, the oldest first")
    if facts.action_scale:
        lines.append("the environment was given action_offset + action_scale * action")
    return lines


def _plain(text: str) -> str:
    """Text for a comment: a character other than ASCII letters, digits and plain punctuation is "_"."""
    return re.sub(r"[^\w.,:()\[\] +^/-]", "_", text, flags=re.ASCII)


def _literal(text: str) -> str:
    """A string constant of C: bytes of UTF-8, in octal if they are not plain ASCII."""
    is_plain = re.compile(r"[ !#->@-\[\]-~]").match  # ASCII without ", ? and the backslash
    return '"' + "".join(c if is_plain(c) else "".join(f"\\{b:03o}" for b in c.encode()) for c in text) + '"'
