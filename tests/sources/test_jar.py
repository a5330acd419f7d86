"""Signed JARs of the real tools, and what becomes of them when somebody changes a byte."""

import io
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gaugenn.errors import SourceError
from gaugenn.sources._jar import signed_member
from tests.sources.servers import make_key

ENTRY = b'{"timestamp": 1}'


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    if shutil.which("jarsigner") is None or shutil.which("keytool") is None:
        pytest.skip("jarsigner is missing; install it with: apt-get install default-jdk-headless")
    folder = tmp_path_factory.mktemp("jars")

    @cache
    def signed(name: str, *key: str, signer: tuple[str, ...] = (), jar: bytes = b"") -> bytes:
        store = folder / f"{name}.p12"
        if not store.exists():
            make_key(store, *key)
        path = folder / "x.jar"
        path.write_bytes(jar or _jar({"entry.json": ENTRY}))
        subprocess.run(
            ["jarsigner", "-keystore", store, "-storepass", "android", *signer, path, "key"],
            check=True,
            capture_output=True,
        )
        return path.read_bytes()

    return signed


def _jar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _members(jar: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(jar)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _fingerprint(jar: bytes, folder: Path) -> str:
    path = folder / "printed.jar"
    path.write_bytes(jar)
    shown = subprocess.run(
        ["keytool", "-printcert", "-jarfile", path], check=True, capture_output=True, text=True
    ).stdout
    line = next(line for line in shown.splitlines() if "SHA256:" in line)
    return line.split("SHA256:")[1].strip().replace(":", "").lower()


@pytest.mark.parametrize(
    ("name", "key", "signer"),
    [
        ("rsa", ("-keyalg", "RSA", "-keysize", "2048"), ("-sigalg", "SHA256withRSA")),
        ("rsa", (), ("-sigalg", "SHA512withRSA")),
        ("ec", ("-keyalg", "EC", "-groupname", "secp256r1"), ("-sigalg", "SHA256withECDSA")),
    ],
)
def test_what_jarsigner_signs_is_verified_and_its_signer_named(
    sign: Callable[..., bytes],
    tmp_path: Path,
    name: str,
    key: tuple[str, ...],
    signer: tuple[str, ...],
) -> None:
    jar = sign(name, *key, signer=signer)
    found = signed_member(jar, "entry.json")
    assert found.data == ENTRY
    assert found.signer_sha256 == _fingerprint(jar, tmp_path)


@pytest.mark.parametrize("member", ["entry.json", "META-INF/MANIFEST.MF", "META-INF/KEY.SF"])
def test_a_changed_byte_anywhere_in_the_chain_breaks_it(
    sign: Callable[..., bytes], member: str
) -> None:
    members = _members(sign("rsa"))
    members[member] = members[member].replace(b"1", b"2", 1) + b"\n"
    with pytest.raises(SourceError):
        signed_member(_jar(members), "entry.json")


def test_the_signature_of_another_file_does_not_count(sign: Callable[..., bytes]) -> None:
    ours = _members(sign("rsa"))
    other = _members(sign("rsa", jar=_jar({"entry.json": b"{}"})))
    with pytest.raises(SourceError, match=r"signature is wrong|another file"):
        signed_member(_jar(ours | {"META-INF/KEY.RSA": other["META-INF/KEY.RSA"]}), "entry.json")
    with pytest.raises(SourceError, match="not the one that was signed"):
        signed_member(
            _jar(other | {k: ours[k] for k in ("META-INF/MANIFEST.MF", "entry.json")}), "entry.json"
        )
    with pytest.raises(SourceError, match="not the file that was signed"):
        signed_member(_jar(other | {"entry.json": ENTRY}), "entry.json")


def test_weak_digests_and_second_signers_are_refused(sign: Callable[..., bytes]) -> None:
    members = _members(sign("rsa"))
    doubled = members | {"META-INF/B.RSA": members["META-INF/KEY.RSA"]}
    with pytest.raises(SourceError, match="2 signatures"):
        signed_member(_jar(doubled), "entry.json")
    weak = sign("sha1", signer=("-digestalg", "SHA-1", "-sigalg", "SHA1withRSA"))
    with pytest.raises(SourceError):
        signed_member(weak, "entry.json")


@pytest.mark.parametrize(
    "jar",
    [
        b"",
        b"not a zip",
        _jar({"entry.json": ENTRY}),
        _jar({"entry.json": ENTRY, "META-INF/K.RSA": b"\x30\x80junk", "META-INF/K.SF": b"",
              "META-INF/MANIFEST.MF": b""}),
        _jar({"entry.json": b"0" * (1 << 21)}),
        _jar({f"{i}": b"" for i in range(100)}),
    ],
)  # fmt: skip
def test_what_is_no_signed_jar_is_a_source_error(jar: bytes) -> None:
    with pytest.raises(SourceError):
        signed_member(jar, "entry.json")


def test_any_truncation_is_an_error(sign: Callable[..., bytes]) -> None:
    jar = sign("rsa")
    for size in range(0, len(jar), 97):
        with pytest.raises(SourceError):
            signed_member(jar[:size], "entry.json")
    block = _members(jar)["META-INF/KEY.RSA"]
    for size in range(0, len(block), 61):
        with pytest.raises(SourceError):
            signed_member(_jar(_members(jar) | {"META-INF/KEY.RSA": block[:size]}), "entry.json")
