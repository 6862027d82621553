"""The regions on one machine: start all of it, deploy, check, and stop all of it.

Leaves no process and no temporary file behind, however this process ends; the
logs stay, for whoever wants to know why. Keeps no data: every start is a new,
empty deployment.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.children import Child, EngineFailed
from infra.local.configuration import LocalConfig
from infra.local.deployment import Deployment, checkout, function_names
from infra.local.engines import wait_until_ready
from infra.local.launch import Launch, Ports, Started
from infra.local.lifeline import Lifeline
from infra.local.ports import PortInUse
from infra.local.supervisor import Supervisor

__all__ = ["EngineFailed", "LocalConfig", "LocalRegions", "PortInUse"]


class LocalRegions:
    """The running regions; a context manager."""

    def __init__(self, config: LocalConfig, *, progress: Callable[[str], None]) -> None:
        """Args: progress: told in a few words what is being done."""
        self._config = config
        self._progress = progress
        self._lifeline: Lifeline | None = None
        self._children: list[Child] = []
        self._run_directory: Path | None = None
        self._supervisor = Supervisor()

    def start(self) -> None:
        """Start the processes and deploy the templates; on any failure, stop again.

        Raises:
            PortInUse: before anything was started.
            EngineFailed: a process died, or a stack could not be made.
        """
        try:
            started = self._launch()
            self._supervisor.take_over(engines=started.engines, hosts=started.hosts)
            self._progress("deploying the templates")
            self._deploy(started)
            self._progress("waiting for the functions")
            for child, url in started.readiness:
                wait_until_ready(child, url)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every process and remove the temporary files; calling it again does nothing."""
        if self._lifeline is not None:
            self._lifeline.cut()
            self._lifeline = None
        self._supervisor.stop()
        for child in self._children:
            child.wait_or_kill()
        self._children.clear()
        if self._run_directory is not None:
            shutil.rmtree(self._run_directory, ignore_errors=True)
            self._run_directory = None

    def check(self) -> None:
        """Raise EngineFailed if a process has died that nobody has killed on purpose."""
        # A copy: the supervisor may be starting one.
        for child in list(self._children):
            child.check()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self) -> Started:
        with Ports(self._config) as ports:
            self._progress("starting the engines")
            self._lifeline = Lifeline()
            self._run_directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
            logs = self._config.directory / "logs" / str(self._config.base_port)
            logs.mkdir(parents=True, exist_ok=True)
            return Launch(
                config=self._config,
                ports=ports,
                lifeline=self._lifeline,
                run_directory=self._run_directory,
                log_directory=logs.resolve(),
                functions=function_names(),
                children=self._children,
                supervisor=self._supervisor.begin(),
                unpacked=self._unpack(self._run_directory),
            ).start()

    def _unpack(self, run_directory: Path) -> Path | None:
        """Unpack the functions' package, as Lambda does; None if the checkout is to run."""
        if self._config.package is None:
            return None
        try:
            with zipfile.ZipFile(self._config.package) as packed:
                packed.extractall(run_directory / "package")
        except (OSError, zipfile.BadZipFile) as error:
            raise EngineFailed(f"{self._config.package} is no package: {error}") from error
        return run_directory / "package"

    def _deploy(self, started: Started) -> None:
        """Deploy as to AWS: the global stack once, in the first region, then all others at once."""
        regions, mode = self._config.regions, self._config.mode
        secret = self._config.secret or secrets.token_hex(32)
        generation = self._config.generation
        built = self._config.package
        code = checkout() if built is None else built.read_bytes()
        for engine in (started.journal, *started.engines):
            wait_until_ready(engine.child, f"{engine.url}/_ministack/health")
        wait_until_ready(*started.wan)
        deployments = [Deployment(engine) for engine in started.engines]
        deployments[0].deploy_global(regions, witness=self._config.witness, mode=mode)
        Deployment(started.journal).make_personal_key()
        with ThreadPoolExecutor() as pool:
            running = [
                pool.submit(
                    deployment.deploy_region,
                    regions,
                    mode=mode,
                    secret=secret,
                    generation=generation,
                    access=self._config.access,
                    code=code,
                    settings=self._config.settings,
                )
                for deployment in deployments
            ]
            for one in running:
                one.result()
