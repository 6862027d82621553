"""Which processes a local run consists of, and what each is told of the others.

All ports are taken before the first process starts, so every process can be
told every address at once, and all of them start at the same time.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

from infra.local.children import Child
from infra.local.configuration import LocalConfig
from infra.local.engines import ACCOUNT, JOURNAL, Engine, start_engine
from infra.local.function_host import PREPARE
from infra.local.lifeline import Lifeline
from infra.local.ports import address_of, take_any_port, take_port


class Ports:
    """Every listening socket of a run; those of regions in the order of the region list."""

    def __init__(self, config: LocalConfig) -> None:
        """Take them. Raises: PortInUse."""
        self._taken = contextlib.ExitStack()
        try:
            self.aws = self._keep(
                take_port(config.aws_port, "the AWS endpoint", option="--aws-port")
            )
            self.console = (
                self._keep(take_port(config.base_port, "the console", option="--base-port"))
                if config.console is not None
                else None
            )
            self.fronts = [
                self._keep(
                    take_port(
                        config.base_port + number,
                        f"the HTTP API of {region}",
                        option="--base-port",
                    )
                )
                for number, region in enumerate(config.regions, start=1)
            ]
            # What no user addresses gets whatever is free.
            self.callers = [self._keep(take_any_port()) for _ in config.regions]
            self.hosts = [self._keep(take_any_port()) for _ in config.regions]
            self.engines = [self._keep(take_any_port()) for _ in config.regions]
            self.journal = self._keep(take_any_port())
        except BaseException:
            self._taken.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._taken.close()

    def _keep(self, listener: socket.socket) -> socket.socket:
        self._taken.callback(listener.close)
        return listener


@dataclass(frozen=True, kw_only=True)
class Host:
    """The process of a region's functions, and what is needed to start it once more.

    Attributes:
        listener: kept open here too, so that nobody else gets the port in between.
    """

    child: Child
    region: str
    listener: socket.socket
    start_again: Callable[[], Host]

    @property
    def ready_url(self) -> str:
        """Answers 200 once every function is built."""
        return f"{address_of(self.listener)}{PREPARE}"


@dataclass(frozen=True, kw_only=True)
class Started:
    """The running processes, those of regions in the order of the region list."""

    engines: list[Engine]
    journal: Engine
    hosts: list[Host]
    # Who makes the global tables, with the URL to ask whether it is there.
    wan: tuple[Child, str]
    # What has to answer before the run is ready, with the URL to ask.
    readiness: list[tuple[Child, str]]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Starts the processes; each is added to `children` as soon as it exists.

    Attributes:
        supervisor: the address where regions are killed and started.
        unpacked: where the functions' package is, if they run from one.
    """

    config: LocalConfig
    ports: Ports
    lifeline: Lifeline
    run_directory: Path
    log_directory: Path
    functions: Sequence[str]
    children: list[Child]
    supervisor: str
    unpacked: Path | None = None

    def start(self) -> Started:
        """Start everything; nothing is waited for."""
        journal = self._engine(JOURNAL, self.config.regions[0], self.ports.journal, forward_to=None)
        engines = [
            self._engine(region, region, listener, forward_to=address_of(host))
            for region, listener, host in zip(
                self.config.regions, self.ports.engines, self.ports.hosts, strict=True
            )
        ]
        wan_url = address_of(self.ports.aws)
        callers = [address_of(listener) for listener in self.ports.callers]
        wan = self._wan(journal=journal, engines=engines)
        console = self._console()
        hosts = [
            self._host(engine, endpoint=caller, listener=listener.dup(), life=1)
            for engine, caller, listener in zip(engines, callers, self.ports.hosts, strict=True)
        ]
        return Started(
            engines=engines,
            journal=journal,
            hosts=hosts,
            wan=(wan, f"{wan_url}/_antiphon/wan"),
            readiness=[*((host.child, host.ready_url) for host in hosts), *console],
        )

    def _engine(
        self, name: str, region: str, listener: socket.socket, *, forward_to: str | None
    ) -> Engine:
        functions = {} if forward_to is None else dict.fromkeys(self.functions, f"{forward_to}/")
        engine = start_engine(
            name=name,
            region=region,
            listener=listener,
            functions=functions,
            lifeline=self.lifeline,
            run_directory=self.run_directory,
            log_directory=self.log_directory,
            wan_url=address_of(self.ports.aws),
        )
        self.children.append(engine.child)
        return engine

    def _wan(self, *, journal: Engine, engines: Sequence[Engine]) -> Child:
        return self._child(
            name="wan",
            module="infra.local.wan",
            settings={
                "regions": self.config.regions,
                "witness": self.config.witness,
                "round_trips": self.config.wan,
                "engines": {engine.region: engine.url for engine in engines},
                "journal": {"url": journal.url, "region": journal.region},
                "hosts": {
                    region: address_of(listener)
                    for region, listener in zip(self.config.regions, self.ports.hosts, strict=True)
                },
                "supervisor": self.supervisor,
                "seed": self.config.seed,
            },
            listeners=[self.ports.aws, *self.ports.callers, *self.ports.fronts],
            environment={},
        )

    def _console(self) -> list[tuple[Child, str]]:
        """Start the console, if there is to be one. Returns: what has to answer."""
        if self.config.console is None or self.ports.console is None:
            return []
        url = address_of(self.ports.console)
        child = self._child(
            name="console",
            module=self.config.console,
            settings={
                "regions": self.config.regions,
                "base_port": self.config.base_port,
                "aws_port": self.config.aws_port,
                "key": self.config.development_key,
            },
            listeners=[self.ports.console],
            environment={},
        )
        return [(child, f"{url}/health")]

    def _host(self, engine: Engine, *, endpoint: str, listener: socket.socket, life: int) -> Host:
        """Start a region's functions, for the first time or after they were killed."""
        # Each life has a log of its own: the one before ends in what killed it.
        child = self._child(
            name=f"functions-{engine.region}" + (f"-{life}" if life > 1 else ""),
            module="infra.local.function_host",
            settings={
                "region": engine.region,
                "engine_url": engine.url,
                "builder": self.config.builder,
                "package": None if self.unpacked is None else str(self.unpacked),
            },
            listeners=[listener.dup()],
            # What Lambda would set, and the endpoint that makes every call of
            # the functions pass the WAN as a call from this region.
            environment={
                "AWS_REGION": engine.region,
                "AWS_DEFAULT_REGION": engine.region,
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_ACCESS_KEY_ID": "antiphon",
                "AWS_SECRET_ACCESS_KEY": "local",
                "AWS_CONFIG_FILE": "/dev/null",
                "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_ACCOUNT_ID": ACCOUNT,
            },
            path=() if self.unpacked is None else (self.unpacked,),
        )
        return Host(
            child=child,
            region=engine.region,
            listener=listener,
            start_again=partial(
                self._host, engine, endpoint=endpoint, listener=listener, life=life + 1
            ),
        )

    def _child(
        self,
        *,
        name: str,
        module: str,
        settings: Mapping[str, object],
        listeners: Sequence[socket.socket],
        environment: Mapping[str, str],
        path: tuple[Path, ...] = (),
    ) -> Child:
        child = Child(
            name=name,
            module=module,
            settings=settings,
            listeners=listeners,
            environment=environment,
            lifeline=self.lifeline,
            run_directory=self.run_directory,
            log_directory=self.log_directory,
            path=(*path, *self.config.builder_path),
        )
        self.children.append(child)
        return child
