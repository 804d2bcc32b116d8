"""Slots of GPU workers: their devices and shares of memory, computed and set without a GPU."""

import os

import pytest

from harness.execution.gpu_slots import VISIBLE, Slot, slots_of, visible

GIB = 1 << 30
MACHINES = {
    "two equal devices": ([(78, 80), (78, 80)], None, [(0, 0.4875), (1, 0.4875), (0, 0.4875), (1, 0.4875)]),
    "one in use by others": ([(3, 80), (60, 80)], None, [(0, 3 / 80), (1, 0.375), (1, 0.375)]),
    "one that is full": ([(1, 80), (60, 80)], 3, [(1, 0.25), (1, 0.25), (1, 0.25)]),
    "more workers than fit": ([(8, 10), (8, 10)], 5, [(0, 4 / 15), (1, 0.4), (0, 4 / 15), (1, 0.4), (0, 4 / 15)]),
    "no room anywhere": ([(1, 4), (1.5, 4)], None, [(1, 0.375)]),
}


@pytest.mark.parametrize("name", MACHINES)
def test_workers_go_round_robin_to_devices_with_free_memory(name: str) -> None:
    devices, workers, expected = MACHINES[name]
    slots = slots_of([(int(free * GIB), total * GIB) for free, total in devices], workers)
    assert [(slot.device, pytest.approx(slot.memory_share)) for slot in slots] == expected


@pytest.mark.parametrize(("before", "inside"), [(None, "1"), ("4,7", "7"), ("GPU-aa,MIG-bb", "MIG-bb")])
def test_a_worker_sees_the_device_of_its_slot_only(
    before: str | None, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if before:
        monkeypatch.setenv(VISIBLE, before)
    with visible(Slot(1, 0.5)):
        assert os.environ[VISIBLE] == inside
    assert os.environ.get(VISIBLE) == before
