"""Ports are taken before anything starts, and a clash is told in words that help."""

import socket

import pytest

from infra.local.launch import Ports
from infra.local.ports import PortInUse, port_of, take_any_port, take_port
from infra.local.regions import LocalConfig, LocalRegions


@pytest.fixture
def taken():
    with take_any_port() as listener:
        yield port_of(listener)


def test_a_port_in_use_is_named_with_its_purpose_and_the_option_that_changes_it(taken):
    with pytest.raises(PortInUse) as raised:
        take_port(taken, "the AWS endpoint", option="--aws-port")
    assert raised.value.port == taken
    for part in (str(taken), "the AWS endpoint", "--aws-port"):
        assert part in str(raised.value)


def test_a_port_that_another_program_serves_on_all_interfaces_is_in_use_too():
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))  # noqa: S104 - what the other program does
        everywhere.listen()
        with pytest.raises(PortInUse):
            take_port(everywhere.getsockname()[1], "a test", option="--base-port")


def test_a_port_is_free_again_at_once_after_its_listener_closed(taken):
    with take_any_port() as first:
        port = port_of(first)
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()
    with take_port(port, "a test", option="--base-port") as again:
        assert port_of(again) == port


def test_only_the_loopback_interface_is_bound(taken):
    with take_any_port() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_ports_taken_before_the_clash_are_given_back(taken):
    with pytest.raises(PortInUse, match="the HTTP API of eu-west-1"):
        Ports(LocalConfig(base_port=taken - 2, aws_port=port_that_is_free()))
    with take_port(taken - 1, "what us-east-1 had", option="--base-port"):
        pass


def test_regions_that_find_a_port_in_use_start_nothing(taken, tmp_path):
    config = LocalConfig(
        aws_port=taken, base_port=port_that_is_free(), directory=tmp_path / "never-made"
    )
    steps: list[str] = []
    with pytest.raises(PortInUse, match="--aws-port"):
        LocalRegions(config, progress=steps.append).start()
    assert steps == []
    assert not config.directory.exists()


def port_that_is_free() -> int:
    with take_any_port() as listener:
        return port_of(listener)


@pytest.mark.parametrize(
    "wrong",
    [
        {"regions": ("us-east-1", "eu-west-1")},
        {"regions": ("us-east-1", "eu-west-1", "us-east-1")},
        {"regions": ("us-east-1", "eu-west-1"), "witness": "eu-west-1"},
        {"regions": ("us-east-1", "eu-west-1", "ap-south-1"), "witness": "eu-west-2"},
        {"regions": tuple("abcd")},
        {"regions": tuple("abcdef"), "mode": "eventual"},
        {"regions": ("us-east-1",), "mode": "eventual"},
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(wrong):
    with pytest.raises(ValueError, match=r"3 regions are needed, or two|named twice"):
        LocalConfig(**wrong)


@pytest.mark.parametrize("regions", ["ab", "abc", "abcd", "abcde"])
def test_in_eventual_mode_two_to_five_regions_can_be_run(regions):
    witness = "w" if len(regions) == 2 else None
    assert LocalConfig(regions=tuple(regions), witness=witness, mode="eventual").regions
