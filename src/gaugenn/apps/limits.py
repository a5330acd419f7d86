"""What opening a package may cost, and what it has cost so far."""

from dataclasses import dataclass, field

from gaugenn.errors import LimitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What opening one package may cost.

    Attributes:
        members: members of the package and all containers in it.
        members_free: members that a package of any size may have.
        bytes_per_member: for each of these bytes of the package file, one member more. A member of a
            zip takes at least 76 (its two headers), so only containers inside others, whose headers
            were compressed away, come near it.
        depth: containers inside each other; the package itself is depth 0.
        member_bytes: inflated size of one member.
        package_bytes: bytes inflated over the whole package, repeats included.
        ratio: inflated bytes per compressed byte, for members above `ratio_free_bytes`. A deflate
            stream can reach 1032; real members of that size stay below 100.
        ratio_free_bytes: members up to this size may have any ratio.
    """

    members: int = 300_000
    members_free: int = 20_000
    bytes_per_member: int = 64
    depth: int = 4
    member_bytes: int = 2 << 30
    package_bytes: int = 8 << 30
    ratio: int = 200
    ratio_free_bytes: int = 16 << 20


@dataclass(slots=True, kw_only=True)
class Account:
    """What has been spent on one package so far. Shared by all containers inside it.

    Attributes:
        size_bytes: of the package file; None where its size is to allow any number of members.
        members: listed so far.
    """

    limits: Limits = field(default_factory=Limits)
    size_bytes: int | None = None
    members: int = 0
    inflated_bytes: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    """Peculiarities met so far, in order, each once."""

    @property
    def room(self) -> int:
        """How many more members may be listed."""
        limits = self.limits
        most = limits.members
        if self.size_bytes is not None:
            most = min(most, limits.members_free + self.size_bytes // limits.bytes_per_member)
        return max(0, most - self.members)

    def note(self, text: str) -> None:
        """Remembers a peculiarity."""
        self.notes[text] = None

    def spend(self, count: int) -> None:
        """Counts inflated bytes.

        Raises:
            LimitError: the package's allowance is used up.
        """
        self.inflated_bytes += count
        if self.inflated_bytes > self.limits.package_bytes:
            self.note("limit-package-bytes")
            raise LimitError(
                f"package: more than {self.limits.package_bytes} bytes inflated in all; "
                "raise Limits.package_bytes if it is trusted"
            )
