"""System calls that no submission may make, for ever: a filter in the kernel (seccomp), set by `refuse`.

Walls of names and folders leave doors open: sockets that reach the machine's host (vsock), keyrings that
outlive a process, memory that no limit counts (memfd, shared segments), new user namespaces. These calls
fail with "not permitted". Known for x86_64 and aarch64; elsewhere `refuse` does nothing.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

# Of asm/unistd.h: name → its number on x86_64 and on aarch64.
REFUSED = {
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "unshare": (272, 97), "setns": (308, 268), "ptrace": (101, 117), "kcmp": (312, 272),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "fsopen": (430, 430), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
CLONE, CLONE3, MMAP, SOCKET, SOCKETPAIR = (56, 220), (435, 435), (9, 222), (41, 198), (53, 199)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_…

NEW_NAMESPACES = 0x7E020000  # of clone's flags
SHARED_ANONYMOUS = 0x21  # of mmap's flags: memory that belongs to nobody in particular
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that have walls

PR_SET_SECCOMP, FILTER = 22, 2
LOAD, AND, EQUAL, ANY, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
ALLOW, ERROR = 0x7FFF0000, 0x00050000
NUMBER, MACHINE, ARGUMENTS = 0, 4, 16  # where struct seccomp_data has them
X32 = 0x40000000  # numbers from here on are x86_64's other set


def refuse() -> None:
    """Refuse these calls to this process and to all that it starts. Raises OSError where that fails."""
    if platform.machine() not in MACHINES:
        return
    code = program(*MACHINES[platform.machine()])
    buffer = ctypes.create_string_buffer(code, len(code))
    libc = ctypes.CDLL(None, use_errno=True)
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))  # struct sock_fprog
    if libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.c_char_p(head), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def program(column: int, machine: int) -> bytes:
    """The filter as instructions of the kernel's packet filter."""
    refused = (RETURN, 0, 0, ERROR | errno.EPERM)
    allowed = (RETURN, 0, 0, ALLOW)
    lines = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, machine), refused]
    lines += [(LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), refused]
    for numbers in REFUSED.values():
        lines += [(EQUAL, 0, 1, numbers[column]), refused]
    # its flags lie in memory that a filter cannot read; told that there is no such call, libc uses clone
    lines += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    lines += [(EQUAL, 0, 4, CLONE[column]), _argument(0)]
    lines += [(ANY, 0, 1, NEW_NAMESPACES), refused, allowed]
    lines += [(EQUAL, 0, 5, MMAP[column]), _argument(3), (AND, 0, 0, SHARED_ANONYMOUS)]
    lines += [(EQUAL, 0, 1, SHARED_ANONYMOUS), refused, allowed]
    for numbers in (SOCKET, SOCKETPAIR):
        lines += [(EQUAL, 0, 3 + len(FAMILIES), numbers[column]), _argument(0)]
        last = len(FAMILIES)
        lines += [(EQUAL, last - i, 0, family) for i, family in enumerate(FAMILIES)]
        lines += [refused, allowed]
    return b"".join(struct.pack("=HBBI", *line) for line in [*lines, allowed])


def _argument(place):
    """Load the lower half of a call's argument, in which all that is looked at here lies."""
    return (LOAD, 0, 0, ARGUMENTS + 8 * place)
