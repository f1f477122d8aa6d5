#!/bin/bash
# A run on several machines under SLURM:  sbatch slurm.sh default
# The repository with its .venv and your home lie on a disk that all machines share. Given again, it goes on.
#SBATCH --job-name=worldmodels
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --output=worldmodels-%j.log
set -euo pipefail

preset=${1:-default}
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(srun --nodes=1 --ntasks=1 --nodelist="$first" hostname --ip-address | cut -d ' ' -f 1)
port=$((20000 + SLURM_JOB_ID % 20000)) # another job of yours may run on the same machine

export RAY_AUTH_MODE=token
[ -s ~/.ray/auth_token ] || (umask 077 && .venv/bin/ray get-auth-token --generate > /dev/null)

srun --nodes=1 --ntasks=1 --nodelist="$first" --overlap .venv/bin/ray start --head --block \
    --node-ip-address="$head" --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats &
sleep "${RAY_HEAD_SECONDS:-20}"
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$first" --overlap \
        .venv/bin/ray start --block --address="$head:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats &
    sleep "${RAY_HEAD_SECONDS:-20}"
fi
srun --nodes=1 --ntasks=1 --nodelist="$first" --overlap \
    .venv/bin/worldmodels run --preset "$preset" --executor.address "$head:$port"
