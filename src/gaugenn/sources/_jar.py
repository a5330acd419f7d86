"""A file out of a signed JAR, and who signed it.

**Source:** https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html#signed-jar-file for the
manifest, the signature file and the block; RFC 5652, section 5, for the block's contents.
"""

import base64
import binascii
import hashlib
import hmac
import io
import zipfile
import zlib
from dataclasses import dataclass

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from gaugenn.errors import SourceError

_LARGEST_MEMBER_BYTES = 1 << 20
_LARGEST_DIRECTORY = 64
_MINIMUM_RSA_BITS = 2048
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_BLOCKS = (".RSA", ".EC")
_MANIFEST = "META-INF/MANIFEST.MF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A file whose signature was checked.

    Attributes:
        data: the file.
        signer_sha256: digest of the signer's certificate, lower-case hex.
    """

    data: bytes
    signer_sha256: str


def signed_member(jar: bytes, name: str) -> Signed:
    """Reads one file of a JAR, having checked that the JAR's one signer signed it.

    The chain is whole: the certificate's key signed the signature file, which has the digest of the
    manifest, which has the digest of the file. SHA-1 and MD5 count for nothing. Whether the signer is
    the right one is the caller's question; certificates are their own roots and do not expire here.

    Raises:
        SourceError: no such file, no signature, several signers, or a link of the chain that is broken.
    """
    members = _members(jar)
    blocks = [
        path
        for path in members
        if path.upper().startswith("META-INF/") and path.upper().endswith(_BLOCKS)
    ]
    if len(blocks) != 1:
        raise SourceError(f"the signed JAR has {len(blocks)} signatures; expected one")
    signature_file = members.get(blocks[0].rpartition(".")[0] + ".SF")
    if signature_file is None or _MANIFEST not in members or name not in members:
        raise SourceError(f"the signed JAR lacks {name}, its manifest or its signature file")
    certificate = _verified_signer(members[blocks[0]], signature_file)
    main = _sections(signature_file)[0][1]
    if not _has_digest(main, "-Digest-Manifest", members[_MANIFEST]):
        raise SourceError("the signed JAR's manifest is not the one that was signed")
    stated = [values for section, values in _sections(members[_MANIFEST]) if section == name]
    if len(stated) != 1 or not _has_digest(stated[0], "-Digest", members[name]):
        raise SourceError(f"{name} in the signed JAR is not the file that was signed")
    return Signed(data=members[name], signer_sha256=hashlib.sha256(certificate).hexdigest())


def _members(jar: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(jar)) as archive:
            entries = archive.infolist()
            if len(entries) > _LARGEST_DIRECTORY:
                raise SourceError(f"the signed JAR has {len(entries)} files; expected a handful")
            for entry in entries:
                with archive.open(entry) as file:
                    data = file.read(_LARGEST_MEMBER_BYTES + 1)
                if len(data) > _LARGEST_MEMBER_BYTES:
                    raise SourceError("a file in the signed JAR is larger than 1 MiB")
                if entry.filename in members:
                    raise SourceError("the signed JAR has a file twice")
                members[entry.filename] = data
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"the signed JAR cannot be read: {error}") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"the signed JAR cannot be read: {error}") from error
    return members


def _sections(text: bytes) -> list[tuple[str, dict[str, str]]]:
    """Name and attributes of each section; the main one comes first and has no name."""
    try:
        lines = text.decode("utf-8").replace("\r\n", "\n").replace("\n ", "")
    except UnicodeDecodeError as error:
        raise SourceError("the signed JAR's manifest is no text") from error
    sections: list[tuple[str, dict[str, str]]] = []
    for block in lines.split("\n\n"):
        pairs = (line.partition(": ") for line in block.split("\n") if line)
        values = {key.lower(): value for key, _, value in pairs}
        if values or not sections:
            sections.append((values.get("name", ""), values))
    return sections


def _has_digest(values: dict[str, str], ending: str, data: bytes) -> bool:
    for algorithm, label in (("sha256", "sha-256"), ("sha384", "sha-384"), ("sha512", "sha-512")):
        text = values.get(f"{label}{ending.lower()}")
        if text is None:
            continue
        try:
            stated = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(stated, hashlib.new(algorithm, data).digest())
    return False


def _verified_signer(block: bytes, signed: bytes) -> bytes:
    """The DER of the certificate whose key signed the bytes."""
    try:
        content = cms.ContentInfo.load(block, strict=True)
        data = content["content"]
        infos = data["signer_infos"]
        if content["content_type"].native != "signed_data" or len(infos) != 1:
            raise SourceError("the JAR's signature block must have one signer")
        info = infos[0]
        found = [
            choice.chosen.dump()
            for choice in data["certificates"]
            if choice.name == "certificate" and _is_signer(choice.chosen, info["sid"])
        ]
        if len(found) != 1:
            raise SourceError("the JAR's signature block lacks its signer's certificate")
        _verify(info, found[0], signed)
    except InvalidSignature as error:
        raise SourceError("the JAR's signature is wrong: its index was changed") from error
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm) as error:
        raise SourceError(f"the JAR's signature block cannot be read: {error}") from error
    return bytes(found[0])


def _is_signer(certificate: cms.Certificate, sid: cms.SignerIdentifier) -> bool:
    if sid.name != "issuer_and_serial_number":
        return bool(sid.chosen.native == certificate.key_identifier)
    same_issuer = sid.chosen["issuer"].dump() == certificate.issuer.dump()
    return bool(same_issuer and sid.chosen["serial_number"].native == certificate.serial_number)


def _verify(info: cms.SignerInfo, certificate: bytes, signed: bytes) -> None:
    name = str(info["digest_algorithm"]["algorithm"].native)
    if name not in _HASHES:
        raise SourceError(f"the JAR is signed with {name}; expected SHA-256 or better")
    algorithm = _HASHES[name]
    attributes = info["signed_attrs"]
    if attributes:
        stated = [a["values"] for a in attributes if a["type"].native == "message_digest"]
        if len(stated) != 1 or stated[0].native != [hashlib.new(name, signed).digest()]:
            raise SourceError("the JAR's signature is for another file")
        # RFC 5652, section 5.4: the attributes are signed under the tag of a SET.
        signed = b"\x31" + attributes.dump()[1:]
    signature = info["signature"].native
    key = x509.load_der_x509_certificate(certificate).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MINIMUM_RSA_BITS:
            raise SourceError(f"the JAR's signer has an RSA key of {key.key_size} bits; too short")
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(algorithm))
    else:
        raise SourceError("the JAR is signed with neither an RSA nor an elliptic-curve key")
