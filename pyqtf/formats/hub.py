"""Models on the Hugging Face hub, through huggingface_hub and its cache.

Only the files that pyqtf reads are fetched: the config, the tokenizer and safetensors weights, or
one ``.gguf`` file. Never a pickle, which could run code, and never a repository's own code.
"""

from __future__ import annotations

import errno
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pyqtf.formats.errors import FormatError
from pyqtf.formats.mapped import MappedFile, Tensor
from pyqtf.formats.safetensors import (
    INDEX_NAME,
    SINGLE_NAME,
    read_entry,
    read_index,
    read_safetensors,
)

# Fetched where a repository has them.
_SMALL = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "chat_template.jinja", "vocab.json", "merges.txt", INDEX_NAME,
)  # fmt: skip
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_ID = re.compile(rf"({_NAME}/{_NAME})((?:/{_NAME})+\.gguf)?(?:@(.+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# What ends like this is a file that isn't there.
_FILES = (".gguf", ".pyqtf", ".safetensors", ".json")


@dataclass(frozen=True)
class HubId:
    """A model on the hub.

    Attributes
    ----------
    repo : str
        ``owner/name``.
    file : str or None
        The path of a ``.gguf`` file in it, where the id names one.
    revision : str or None
        A branch, tag or commit; the main branch where it isn't said.
    """

    repo: str
    file: str | None = None
    revision: str | None = None

    def __str__(self) -> str:
        file = f"/{self.file}" if self.file else ""
        return self.repo + file + (f"@{self.revision}" if self.revision else "")


class RemoteFile(MappedFile):
    """A file on the hub, of which only the header is here: it has a name and no bytes."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.size = sys.maxsize


def parse_id(text: str) -> HubId | None:
    """Return the parts of an id on the hub, or None if it can't be one.

    Examples
    --------
    >>> parse_id("Qwen/Qwen2.5-0.5B@main")
    HubId(repo='Qwen/Qwen2.5-0.5B', file=None, revision='main')
    >>> parse_id("Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q8_0.gguf").file
    'qwen2.5-0.5b-instruct-q8_0.gguf'
    >>> parse_id("./models/mine") is parse_id("stories-3m") is None
    True
    """
    match = _ID.fullmatch(text)
    if match is None or match[1].endswith(_FILES):
        return None
    repo, file, revision = match.groups()
    return HubId(repo, file and file[1:], revision)


def fetch_small(model: HubId) -> Path:
    """Return the folder in the cache that holds a model, with everything there but the weights.

    What is in the cache is not asked for again, but for one request: whether the branch moved on.
    Without a network, what is there must do.

    Raises
    ------
    FileNotFoundError
        The hub has no such repository or revision, or it is not in the cache and huggingface_hub
        is set to work offline.
    PermissionError
        One must log in, or ask for access, first.
    ConnectionError
        The hub can't be reached, and the cache lacks a file.
    FormatError
        The repository has no config or no tokenizer that pyqtf reads; the message says what to do.
    """
    config = _download(model, "config.json", model.revision)
    if config is None:
        raise FormatError(f"{model} on the hub has no config.json; {_gguf_files(model)}")
    folder = config.parent
    for name in _SMALL:
        try:
            _download(model, name, folder.name)
        except (ConnectionError, FileNotFoundError):
            # A cache that another program filled may not say that there is no such file.
            if not _has_tokenizer(folder):
                raise
            break
    if not _has_tokenizer(folder):
        raise FormatError(
            f"{model} on the hub has no tokenizer.json; save its tokenizer with transformers' "
            "AutoTokenizer.from_pretrained(...).save_pretrained, and load that folder"
        )
    return folder


def fetch_weights(model: HubId, folder: Path) -> None:
    """Download the weights that a folder from `fetch_small` lacks.

    Downloads show huggingface_hub's progress bar; one that breaks off keeps the files that are
    finished.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError
        As `fetch_small`.
    FormatError
        The repository has no safetensors, or an index that breaks its format.
    """
    import huggingface_hub

    names = weight_files(folder)
    missing = [name for name in names if not (folder / name).exists()]
    if names == [SINGLE_NAME]:
        if missing and _download(model, SINGLE_NAME, folder.name) is None:
            raise _no_weights(model, folder.name)
    elif missing:
        # Several at a time.
        with _plain_errors(model):
            _reach(model.repo)
            huggingface_hub.snapshot_download(
                model.repo, revision=folder.name, allow_patterns=missing
            )


def fetch_headers(model: HubId, folder: Path) -> dict[str, Tensor]:
    """Return the tensors that the headers of the weights tell of; those on the hub have no bytes.

    A header is read in the cache, or a few kilobytes of the file are fetched.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError, FormatError
        As `fetch_weights`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, SafetensorsParsingError

    tensors: dict[str, Tensor] = {}
    for file in weight_files(folder):
        if (folder / file).exists():
            tensors |= read_safetensors(folder / file)
            continue
        remote = RemoteFile(f"{model.repo}/{file}")
        with _plain_errors(model):
            try:
                header = HfApi().parse_safetensors_file_metadata(
                    model.repo, file, revision=folder.name
                )
            except EntryNotFoundError:
                raise _no_weights(model, folder.name) from None
            except (SafetensorsParsingError, LookupError, TypeError, AttributeError) as error:
                raise FormatError(f"{remote.path}: no safetensors header: {error}") from None
        for name, info in header.tensors.items():
            entry = {"dtype": info.dtype, "shape": info.shape, "data_offsets": info.data_offsets}
            tensors[name] = read_entry(remote, 0, name, {k: _plain(v) for k, v in entry.items()})
    return tensors


def _plain(value: object) -> object:
    """Turn a tuple back into the list that stood in the header."""
    return list(value) if isinstance(value, tuple) else value


def fetch_file(model: HubId) -> Path:
    """Return the ``.gguf`` file in the cache that an id names, downloading it if need be.

    Raises
    ------
    FileNotFoundError, PermissionError, ConnectionError
        As `fetch_small`; or the repository has no such file.
    """
    path = _download(model, str(model.file), model.revision)
    if path is None:
        raise FileNotFoundError(
            f"{model.repo} on the hub has no file {model.file!r}; {_gguf_files(model)}"
        )
    return path


def weight_files(folder: Path) -> list[str]:
    """Return the names of a folder's weight files, by its index if it has one."""
    index = folder / INDEX_NAME
    sharded = index.exists() and not (folder / SINGLE_NAME).exists()
    return sorted(set(read_index(index).values())) if sharded else [SINGLE_NAME]


def _download(model: HubId, name: str, revision: str | None) -> Path | None:
    """Return a file in the cache, downloading it if need be; None if the hub doesn't have it."""
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _plain_errors(model):
        known = huggingface_hub.try_to_load_from_cache(model.repo, name, revision=revision)
        if known is not None and not isinstance(known, str) and _COMMIT.fullmatch(revision or ""):
            return None
        if not isinstance(known, str):
            _reach(model.repo)
        try:
            return Path(huggingface_hub.hf_hub_download(model.repo, name, revision=revision))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:
            return None


@cache
def _reach(repo: str) -> None:
    """Ask the hub for a file once, and raise if there is no one who could answer.

    huggingface_hub would ask again and again, for 24 seconds: good where a network is slow, and of
    no use where there is none. Whatever else goes wrong is left to it.
    """
    import huggingface_hub

    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repo, "config.json"))
    except Exception as error:
        if _unanswered(error):
            raise


def _unanswered(error: BaseException | None) -> bool:
    """Whether a name has no address, or no one listens or can be reached there."""
    while error is not None:
        # httpx's and requests' errors hold the operating system's.
        if isinstance(error, socket.gaierror | ConnectionRefusedError) or (
            isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_tokenizer(folder: Path) -> bool:
    return any(all((folder / name).exists() for name in names) for names in _TOKENIZERS)


def _list_files(model: HubId, revision: str | None) -> list[str]:
    from huggingface_hub import HfApi

    with _plain_errors(model):
        return sorted(HfApi().list_repo_files(model.repo, revision=revision))


def _no_weights(model: HubId, revision: str) -> FormatError:
    """Say what can be done with a repository that has no safetensors."""
    names = _list_files(model, revision)
    if any(name.endswith(".gguf") for name in names):
        return FormatError(f"{model} on the hub has no safetensors; {_gguf_files(model, names)}")
    if any(name.endswith((".bin", ".pt", ".pth")) for name in names):
        return FormatError(
            f"{model} on the hub has its weights only as pickles, which can run code and are "
            "never read; save them as safetensors with transformers' save_pretrained, and load "
            "that folder"
        )
    return FormatError(f"{model} on the hub has neither {SINGLE_NAME} nor {INDEX_NAME}")


def _gguf_files(model: HubId, names: Iterable[str] = ()) -> str:
    """Say how the GGUF files of a repository are asked for."""
    names = names or _list_files(model, model.revision)
    files = [name for name in names if name.endswith(".gguf")]
    if not files:
        return "it has no .gguf file either"
    at = f"@{model.revision}" if model.revision else ""
    more = f" and {len(files) - 6} more" if len(files) > 6 else ""
    return f"load one of its files by name, such as {model.repo}/{files[0]}{at}; " + (
        f"there are {', '.join(files[:6])}{more}"
    )


@contextmanager
def _plain_errors(model: HubId) -> Iterator[None]:
    """Turn the many ways in which a download fails into a few, each with what to do."""
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.GatedRepoError:
        raise PermissionError(
            f"{model} on the hub is open only to those who were granted access: ask for it on "
            f"{constants.ENDPOINT}/{model.repo} and log in with 'hf auth login'"
        ) from None
    except errors.RepositoryNotFoundError:
        raise FileNotFoundError(
            f"{model.repo!r} is no folder or file here, and the hub has no such model; or it is "
            "private, and one must log in first with 'hf auth login'"
        ) from None
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{model.repo} on the hub has no revision {model.revision!r}: expected a branch, a tag "
            "or a commit"
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        if constants.HF_HUB_OFFLINE:
            raise FileNotFoundError(
                f"{str(model)!r} is no folder or file here, and not all of it is in the cache of "
                "the hub; HF_HUB_OFFLINE forbids to download it"
            ) from None
        raise _unreachable(model, error.__cause__ or error) from None
    except errors.EntryNotFoundError:
        raise FileNotFoundError(f"{model} on the hub lacks a file that its index names") from None
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        # httpx's and requests' errors: which library it is depends on huggingface_hub's version.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _unreachable(model, error) from None


def _unreachable(model: HubId, error: BaseException) -> ConnectionError:
    why = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
    return ConnectionError(
        f"{model} can't be downloaded from the hub, and not all of it is in the cache ({why}); "
        "files that are finished are kept, so the same call goes on from there"
    )
