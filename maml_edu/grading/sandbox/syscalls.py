"""System calls that no submission may make, for ever: a filter in the kernel (seccomp), set by `refuse`.

Walls of names and folders leave doors open: sockets that reach the machine's host (vsock), keyrings that
outlive a process, memory that no limit counts (memfd, shared segments, larger buffers), new user namespaces.
These calls fail with "not permitted". A lock on a file is said to be had and is none: two submissions that run
at once see the same files of the system, and could signal to each other by them. Known for x86_64 and aarch64;
elsewhere `refuse` does nothing.
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
    "mq_open": (240, 180), "inotify_init1": (294, 26), "fanotify_init": (300, 262), "syslog": (103, 116),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
INOTIFY_INIT = 253  # of x86_64 alone
CLONE, CLONE3, MMAP, SOCKET, SOCKETPAIR = (56, 220), (435, 435), (9, 222), (41, 198), (53, 199)
FLOCK, FCNTL, SETSOCKOPT = (73, 32), (72, 25), (54, 208)
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH_…

NEW_NAMESPACES = 0x7E020000  # of clone's flags
SHARED_ANONYMOUS = 0x21  # of mmap's flags: memory that belongs to nobody in particular
FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: those that have walls

LOCKS = (6, 7, 37, 38)  # of fcntl: F_SETLK, F_SETLKW, and the same of open files
# of fcntl: F_SETLEASE and F_NOTIFY, which tell of others' doings; F_SETPIPE_SZ, which takes the system's memory
COMMANDS = (1024, 1026, 1031)
SOL_SOCKET, BUFFERS = (
    1,
    (7, 8, 32, 33),
)  # of setsockopt: SO_SNDBUF, SO_RCVBUF, and the same by force

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
    if column == 0:
        lines += [(EQUAL, 0, 1, INOTIFY_INIT), refused]
    # its flags lie in memory that a filter cannot read; told that there is no such call, libc uses clone
    lines += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    lines += by_flags(column, refused, allowed) + by_values(column, refused, allowed)
    return b"".join(struct.pack("=HBBI", *line) for line in [*lines, allowed])


def by_flags(column, refused, allowed):
    """Calls that are refused with certain bits in an argument."""
    lines = [(EQUAL, 0, 4, CLONE[column]), _argument(0)]
    lines += [(ANY, 0, 1, NEW_NAMESPACES), refused, allowed]
    lines += [(EQUAL, 0, 5, MMAP[column]), _argument(3), (AND, 0, 0, SHARED_ANONYMOUS)]
    return lines + [(EQUAL, 0, 1, SHARED_ANONYMOUS), refused, allowed]


def by_values(column, refused, allowed):
    """Calls that are refused for certain values of an argument, or but for them."""
    lines, last = [], len(FAMILIES)
    for numbers in (SOCKET, SOCKETPAIR):
        lines += [(EQUAL, 0, 3 + last, numbers[column]), _argument(0)]
        lines += [(EQUAL, last - i, 0, family) for i, family in enumerate(FAMILIES)]
        lines += [refused, allowed]
    had = (RETURN, 0, 0, ERROR | 0)
    lines += [(EQUAL, 0, 1, FLOCK[column]), had]
    lines += [(EQUAL, 0, 2 + 2 * len(LOCKS + COMMANDS), FCNTL[column]), _argument(1)]
    for values, answer in ((LOCKS, had), (COMMANDS, refused)):
        lines += [line for value in values for line in ((EQUAL, 0, 1, value), answer)]
    lines += [allowed, (EQUAL, 0, 4 + 2 * len(BUFFERS), SETSOCKOPT[column])]
    lines += [_argument(1), (EQUAL, 1, 0, SOL_SOCKET), allowed, _argument(2)]
    return lines + [line for value in BUFFERS for line in ((EQUAL, 0, 1, value), refused)]


def _argument(place):
    """Load the lower half of a call's argument, in which all that is looked at here lies."""
    return (LOAD, 0, 0, ARGUMENTS + 8 * place)
