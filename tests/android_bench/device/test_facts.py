"""Facts of the device, and conditions that are refused."""
from __future__ import annotations

import pytest

from android_bench.device.facts import QUERY, allow, core_mask, read_facts, read_health
from android_bench.errors import DeviceTrouble


def test_facts(world, phone):
    facts = read_facts(phone.shell(QUERY)[1])
    assert (facts.model, facts.soc, facts.abi) == ("samsung SM-S911B", "SM8550", "arm64-v8a")
    assert (facts.android, facts.sdk, facts.abis) == ("14", "34", ("arm64-v8a", "armeabi-v7a"))
    health = facts.health
    assert (health.battery_percent, health.battery_c) == (87, 29.1)
    assert (health.thermal_status, health.power_save) == (0, False)
    assert health.complaints() == {}
    assert str(facts).startswith("samsung SM-S911B, SM8550, arm64-v8a, Android 14, ")
    assert "battery 87 %, at 29.1 C, thermal status 0" in str(facts)
    world.set(power_save="null")  # a phone on which it was never switched on
    assert read_health(phone.shell(QUERY)[1]).power_save is False


def test_clusters_and_big_cores_of_an_s23():
    rows = "".join(f"{core} {khz}\n" for core, khz in
                   [*((k, 2016000) for k in range(3)), *((k, 2803200) for k in range(3, 7)),
                    (7, 3360000)])
    facts = read_facts(f"@cores\n{rows}@end\n")
    assert [len(cluster.cores) for cluster in facts.clusters] == [3, 4, 1]
    assert facts.big_cores() == (3, 4, 5, 6, 7) and core_mask(facts.big_cores()) == "f8"
    assert read_facts("@cores\n0\n1\n@end\n").big_cores() == ()


@pytest.mark.parametrize("values, name", [({"battery": "24"}, "battery"), ({"thermal": "1"},
                                          "thermal"), ({"power_save": "1"}, "power-save"),
                                          ({"battery": ""}, "battery"), ({"thermal": "?"},
                                          "thermal"), ({"power_save": "?"}, "power-save")])
def test_bad_conditions_are_refused_unless_allowed_by_name(world, phone, values, name):
    world.set(**values)
    health = read_health(phone.shell(QUERY)[1])
    with pytest.raises(DeviceTrouble, match=f"--allow {name}"):
        allow(health, ())
    assert allow(health, (name,)) == (name,)
