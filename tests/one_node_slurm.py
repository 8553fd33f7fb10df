"""A Slurm of one node on this machine, for tests: munged, slurmctld and slurmd, all below one folder.

Debian has them in `slurm-wlm` and `munge`. No service manager, no cgroups, no accounting; jobs run as the user who
starts it. The daemons die with the process that started them.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PARTITION = "all"
_DAEMONS = ("munged", "slurmctld", "slurmd")
_SBIN = ("/usr/sbin", "/usr/local/sbin")
_CONFIGURATION = """\
ClusterName=watari
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={root}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MpiDefault=none
KillWait=2
ReturnToService=2
MaxArraySize=1001
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs that are not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    return [name for name in (*_DAEMONS, "sbatch", "setpriv") if shutil.which(name, path=path) is None]


@contextmanager
def running() -> Iterator[Path]:
    """Start it, give its configuration's path (for SLURM_CONF) when its node is idle, and stop it in the end."""
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    for name in ("state", "spool"):
        (root / name).mkdir()
    key = root / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    configuration = root / "slurm.conf"
    first, second = _free_ports()
    configuration.write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            root=root,
            controller_port=first,
            node_port=second,
        )
    )
    munge = {"key": "key-file", "socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
    arguments = [f"--{option}={root}/munge.{name}" for name, option in munge.items()]
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        daemons.append(_start(root, "munged", "--foreground", "--force", *arguments))
        _wait(lambda: (root / "munge.socket").exists(), root, daemons)
        daemons.append(_start(root, "slurmctld", "-D", "-c", "-f", str(configuration)))
        daemons.append(_start(root, "slurmd", "-D", "-f", str(configuration)))
        _wait(lambda: _node_state(configuration) == "idle", root, daemons)
        yield configuration
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(root, ignore_errors=True)


def queued(configuration: Path) -> list[str]:
    """Return the ids of the array tasks that wait or run."""
    command = ["squeue", "--noheader", "--array", "--format=%A"]
    return subprocess.run(
        command,
        env=os.environ | {"SLURM_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


def _start(root: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN])
    program = shutil.which(name, path=path)
    assert program is not None
    with (root / f"{name}.output").open("wb") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", program, *arguments],
            env=os.environ | {"SLURM_CONF": str(root / "slurm.conf")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _node_state(configuration: Path) -> str:
    command = ["sinfo", "--noheader", "--format=%T"]
    return subprocess.run(
        command,
        env=os.environ | {"SLURM_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()


def _wait(condition: Callable[[], bool], root: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + 60
    while not condition():
        dead = [daemon for daemon in daemons if daemon.poll() is not None]
        if dead or time.monotonic() > end:
            logs = [*sorted(root.glob("*.output")), *sorted(root.glob("*.log"))]
            told = "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1000:]}" for path in logs)
            raise RuntimeError(f"Slurm does not start:\n{told}")
        time.sleep(0.2)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        for one in (first, second):
            one.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
