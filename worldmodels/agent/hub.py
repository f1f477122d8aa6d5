"""Agents on the Hugging Face Hub: `hf://USER/NAME` or `hf://USER/NAME@REVISION` wherever an agent is named.

What comes from there is foreign. Only files that an exported agent has are fetched, no larger than they can be; nothing
of them is executed; and a configuration that names code of its own is refused.
"""

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envs import EnvConfig
from worldmodels.agent.bundle import read_agent
from worldmodels.agent.export import export_agent
from worldmodels.config import RunConfig
from worldmodels.errors import RunError
from worldmodels.files import files_in
from worldmodels.optional import optional_package
from worldmodels.run.folder import Run

PLACE = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
FILES = re.compile(
    r"README\.md|config\.yaml|versions\.json|spent\.jsonl|(rollouts|vision|memory|controller|rounds)/done\.json"
    r"|(vision|memory)/(config\.json|metadata\.json|model\.safetensors)"
    r"|controller/(agent\.json|agent\.safetensors|starts\.safetensors)|rounds/\d+/config\.yaml"
)
"""The files of an exported agent, by their names."""
LARGEST = {".safetensors": 1 << 30}
"""Most bytes of a file, by its ending."""
TEXT = 1 << 22
"""Most bytes of any other."""


def is_remote(name: object) -> bool:
    """Return whether a name means an agent on the Hub."""
    return isinstance(name, str) and name.startswith("hf://")


def parsed_place(name: str) -> tuple[str, str]:
    """Return the repository and the revision that a name means.

    Raises:
        RunError: it is none.
    """
    found = PLACE.fullmatch(name)
    if found is None or ".." in name:
        raise RunError(f"{name}: an agent on the Hub is named hf://USER/NAME or hf://USER/NAME@REVISION")
    return found["repository"], found["revision"] or "main"


def local_name(name: str) -> str:
    """Return the name that such an agent has in a folder of runs."""
    repository, revision = parsed_place(name)
    return f"{repository}@{revision}".removesuffix("@main").replace("/", "--")


def fetch_agent(name: str) -> Path:
    """Return the folder of an agent on the Hub, fetched into the Hub's cache unless it is there; for reading only.

    Without a connection, or with HF_HUB_OFFLINE=1, what was fetched before is taken, with a warning.

    Raises:
        RunError: there is no such repository or revision, no connection and no copy, or it holds no harmless agent.
    """
    repository, revision = parsed_place(name)
    hub = _hub()
    asked = {"repo_id": repository, "revision": revision}
    try:
        about = hub.HfApi().repo_info(**asked, files_metadata=True)
        wanted = _wanted(name, {each.rfilename: each.size for each in about.siblings})
        folder = Path(hub.snapshot_download(**asked, allow_patterns=wanted))
    except hub.errors.RevisionNotFoundError:
        raise RunError(f"{name}: the repository has no revision {revision}; leave it out for the newest") from None
    except (hub.errors.RepositoryNotFoundError, hub.errors.GatedRepoError) as error:
        raise RunError(
            f"{name}: there is no such repository, or it is private; for a private one log in with `hf auth login` or "
            "set HF_TOKEN"
        ) from error
    except (hub.errors.HTTPError, OSError) as error:
        folder = _kept(name, hub, asked, error)
    _check(name, folder)
    return folder


def _kept(name: str, hub: Any, asked: dict[str, str], error: Exception) -> Path:
    """Return what was fetched before, as the Hub cannot be asked."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    try:
        folder = Path(hub.snapshot_download(**asked, local_files_only=True))
    except (hub.errors.HTTPError, OSError):
        raise RunError(
            f"{name}: {hub.constants.ENDPOINT} cannot be reached ({reason}), and there is no copy from before; connect "
            "and try again"
        ) from error
    warnings.warn(f"{name}: the Hub cannot be reached ({reason}); its copy from before is taken", stacklevel=3)
    return folder


def _wanted(name: str, sizes: dict[str, int | None]) -> list[str]:
    """Return which files of a repository to fetch, of which it says the sizes."""
    for file in sizes:
        if file.startswith("/") or "\\" in file or ".." in file.split("/"):
            raise RunError(f"{name}: holds a file named {file!r}, which leads out of its folder; it is not fetched")
    wanted = [file for file in sizes if FILES.fullmatch(file)]
    if "config.yaml" not in wanted or "controller/agent.json" not in wanted:
        raise RunError(f"{name}: holds no agent; `worldmodels push RUN USER/NAME` uploads one")
    for file in wanted:
        _check_size(name, file, sizes[file] or 0)
    return wanted


def _check_size(name: str, file: str, size: int) -> None:
    most = LARGEST.get(Path(file).suffix, TEXT)
    if size > most:
        raise RunError(f"{name}: {file} has {size:,} bytes, more than the {most:,} that such a file can need")


def _check(name: str, folder: Path) -> None:
    """Refuse what is no exported agent, or what would lead to code or places of its author's choice."""
    inside = folder.parent.parent.resolve()
    for file, path in files_in(folder).items():
        if not FILES.fullmatch(file) or not path.resolve().is_relative_to(inside):
            raise RunError(f"{name}: {folder} holds {file}, which is no file of an agent; remove that folder")
        _check_size(name, file, path.stat().st_size)
    run = Run(folder)
    agent = read_agent(run.folder("evolve"))
    named = {**_code(run.config), **_code(run.learnt), **_code_of_env(agent.env, "controller/agent.json: env")}
    for field, value in named.items():
        raise RunError(
            f"{name}: {field}={value} names code or a machine of its author's choice; if you trust it, fetch it "
            f"yourself (`hf download {parsed_place(name)[0]} --local-dir FOLDER`) and name FOLDER"
        )


def _code(config: RunConfig) -> dict[str, str]:
    """Return the fields by which a configuration leads to code of its own, or to another machine."""
    fields = {
        "collect.agent": config.collect.agent,
        "evaluate.env": config.evaluate.env,
        "evaluate.agent": config.evaluate.agent,
        "executor.address": config.executor.address,
    }
    return {**_code_of_env(config.env, "env"), **{name: value for name, value in fields.items() if ":" in value}}


def _code_of_env(env: EnvConfig, where: str) -> dict[str, str]:
    found = {f"{where}.id": env.id} if ":" in env.id else {}
    return found | {f"{where}.wrappers": each for each in env.wrappers if not each.startswith("envs:")}


def push_agent(run: Run, repository: str, private: bool = False, half: bool = True) -> str:
    """Upload a run's agent with its model card, and return where it is to be seen.

    Args:
        run: as of `export_agent`.
        repository: USER/NAME; made where it is not there.
        private: whether a new one is private.
        half: as of `export_agent`.

    Raises:
        RunError: nobody is logged in, the repository belongs to someone else, or there is no connection.
    """
    parsed_place(f"hf://{repository}")
    hub = _hub()
    if hub.get_token() is None:
        raise RunError(
            "the Hub knows no token of yours: log in with `hf auth login`, or set HF_TOKEN to one with write access"
        )
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "agent"
        export_agent(run, folder, half, f"hf://{repository}")
        api = hub.HfApi()
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message="An agent of worldmodels",
                delete_patterns=_patterns(files_in(folder)),
            )
        except (hub.errors.HTTPError, OSError) as error:
            reason = str(error).strip().splitlines()
            raise RunError(
                f"{repository} cannot be written at {hub.constants.ENDPOINT}: "
                f"{' '.join(line.strip() for line in reason if line.strip()) or type(error).__name__}; the token needs "
                "write access to it"
            ) from error
    return str(done.commit_url)


def _patterns(names: Iterable[str]) -> list[str]:
    """Return patterns of what an earlier upload may have left: the folders that agents have."""
    return sorted({f"{name.split('/')[0]}/*" for name in names if "/" in name})


def _hub() -> Any:
    """Return the Hub's client, without its progress bars; RunError where it is not installed."""
    inner = (f"huggingface_hub.{name}" for name in ("constants", "errors", "utils"))
    hub = optional_package("huggingface_hub", *inner, install="huggingface_hub")
    hub.utils.disable_progress_bars()
    return hub
