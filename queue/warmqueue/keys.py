"""Names of things. A key never holds what can change about the thing it names."""

from dataclasses import dataclass

# Frozen classes rather than named tuples: a tuple hashes 0.2 us faster, but the pool default/a
# and the sandbox default/a would be equal, and one would silently replace the other in a mapping.


@dataclass(frozen=True, order=True, slots=True)
class SandboxKey:
    """The name of one sandbox. Node, uid, readiness and arrival number are state, not name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """`namespace/name`, as in logs."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, order=True, slots=True)
class PoolKey:
    """The name of one warm pool."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """`namespace/name`, as in logs."""
        return f"{self.namespace}/{self.name}"
