"""System calls that a submission has no use for, as a filter of the kernel (seccomp) for bubblewrap.

Left open, these would make memory that no limit counts (files that live in memory, file systems of one's
own in a namespace inside the namespace), or reach parts of the kernel where most of its holes were found. A
filtered call fails with EPERM; `clone3`, whose flags a filter cannot see, fails with ENOSYS, and the C
library falls back to `clone`.
"""

from __future__ import annotations

import struct

# name: (number on x86_64, number on aarch64)
DENIED = {
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "msgget": (68, 186),
    "mq_open": (240, 180), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsmount": (432, 432), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "bpf": (321, 280), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "add_key": (248, 217),
    "request_key": (249, 218), "keyctl": (250, 219),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH

_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_LOAD, _EQUAL, _ATLEAST, _ANYBIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF
_NUMBER, _ARCHITECTURE, _FLAGS = 0, 4, 16  # offsets in struct seccomp_data


def program(machine: str) -> bytes:
    """The filter for a machine as `uname -m` names it; b"" for machines that it does not know."""
    if machine not in MACHINES:
        return b""
    column, architecture = MACHINES[machine]
    steps = [  # (code, jump if true, jump if false, operand)
        *[(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _ENOSYS)],
        *[(_LOAD, 0, 0, _NUMBER), (_ATLEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ENOSYS)],
        *[(_EQUAL, 0, 1, CLONE3[column]), (_RETURN, 0, 0, _ENOSYS)],
    ]
    for numbers in DENIED.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _EPERM)]
    steps += [(_EQUAL, 0, 3, CLONE[column]), (_LOAD, 0, 0, _FLAGS), (_ANYBIT, 0, 1, NEW_NAMESPACES)]
    steps += [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
