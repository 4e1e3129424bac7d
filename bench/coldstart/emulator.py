"""One cold start under the Lambda Runtime Interface Emulator, which aws-sam-cli brings along."""

from __future__ import annotations

import http.client
import importlib.resources
import platform
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_INVOKE = "/2015-03-31/functions/function/invocations"
_REPORT = re.compile(r"INIT REPORT\(.*?durationMs: ([0-9.]+)")
_READY = "INIT RTDONE(status: success"
_PATIENCE_SECONDS = 60
_LAST_LINES = 12


class NoColdStart(Exception):
    """The handler did not start; the message has the emulator's last words."""


def binary(system: str, machine: str) -> Path:
    """The emulator for an operating system and a processor, as `platform` calls them.

    Raises:
        NoColdStart: there is none for it.
    """
    architecture = _ARCHITECTURES.get(machine.lower())
    found = Path(str(importlib.resources.files("samcli"))) / "local" / "rapid" / f"aws-lambda-rie-{architecture}"
    if system != "Linux" or not found.is_file():
        raise NoColdStart(
            f"the Runtime Interface Emulator does not run on {system} {machine}: use Linux on x86_64 or arm64"
        )
    return found


def cold_start_ms(task: Path, runtime: Path, handler: str, variables: Mapping[str, str]) -> float:
    """Start a handler once, and say how long its INIT took by the emulator's report, in milliseconds.

    The invocation that causes it is cut off there: nobody waits for AWS, which is not reached from here.

    Raises:
        NoColdStart: it failed, or took too long.
    """
    api, door = _free_port(), _free_port()
    command = [
        str(binary(platform.system(), platform.machine())),
        *("--log-level", "info"),
        # By default it listens on every interface.
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{door}"),
        # -S: the packages of this environment stay out of sight.
        *(sys.executable, "-S", "-m", "awslambdaric", handler),
    ]
    environment = {**variables, "PYTHONPATH": str(runtime), "LAMBDA_TASK_ROOT": str(task)}
    with subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=task, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(_PATIENCE_SECONDS, process.kill)
        watchdog.start()
        try:
            call = _invoke(process, door)
            found = _report(process, handler)
            call.close()
        finally:
            watchdog.cancel()
            _end(process)
    return found


def _end(process: subprocess.Popen[str]) -> None:
    """On SIGTERM the emulator ends the runtime, then itself."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _invoke(process: subprocess.Popen[str], port: int) -> http.client.HTTPConnection:
    """Send the first invocation, which is what starts INIT. Its answer is not waited for."""
    call = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        try:
            call.connect()
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise NoColdStart(f"the emulator ended with {process.returncode} before it listened") from None
            time.sleep(0.01)
        else:
            call.request("POST", _INVOKE, body="{}")
            return call


def _report(process: subprocess.Popen[str], handler: str) -> float:
    said: list[str] = []
    for line in process.stderr or ():
        said.append(line.rstrip())
        if found := _REPORT.search(line):
            if not any(_READY in each for each in said):
                break
            return float(found.group(1))
    raise NoColdStart(f"{handler} did not start: " + " / ".join(said[-_LAST_LINES:]))
