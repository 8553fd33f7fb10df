"""What the engines that hand tasks to a cluster need to know of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

ENGINES = ("pool", "datatrove-local", "datatrove-ray", "datatrove-slurm")
"""The engines by name; the first is the default."""


class EngineOptions(BaseModel):
    """How datatrove's executors ask for machines. `pool` and `datatrove-local` need none of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    partition: str | None = Field(
        default=None,
        description="Slurm: the partition that the array job is sent to; `datatrove-slurm` needs it",
    )
    time: str = Field(
        default="24:00:00", description="Slurm: time limit of one array task, as sbatch reads it (D-HH:MM:SS)"
    )
    cpus_per_task: int = Field(
        default=1, ge=1, description="Slurm, Ray: cores reserved for a task; a task uses one"
    )
    mem_per_cpu_gb: int = Field(
        default=2,
        ge=1,
        description="Slurm, Ray: GiB of memory reserved for a core; a task needs 0.7 at most, and datatrove 0.1",
    )
    qos: str | None = Field(default=None, description="Slurm: quality of service; default: the cluster's own")
    sbatch_args: dict[str, str] = Field(
        default_factory=dict,
        description="Slurm: more arguments of sbatch, without their dashes: {account: nlp}",
    )
    env_commands: list[str] = Field(
        default_factory=list,
        description="Slurm: shell commands run before each array task, such as `module load gcc`",
    )
    tasks_per_job: int = Field(
        default=1, ge=1, description="Slurm: tasks that one array task runs, one after another"
    )
    max_array_size: int = Field(
        default=1001,
        ge=1,
        description="Slurm: array tasks in one job; more tasks become several jobs. Default: Slurm's MaxArraySize",
    )
    ray_address: str | None = Field(
        default=None,
        description="Ray: address of a running cluster that shares the work folder; default: a Ray of its own here",
    )
