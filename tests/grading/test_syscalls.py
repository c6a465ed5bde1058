"""The filter of system calls: its program is run here, by an interpreter of our own, for both processors.

The numbers are written out a second time, from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h): one that slips in `syscalls` would refuse another call, and let this one pass.
"""

import errno
import platform
import struct

import pytest

from maml_edu.grading.sandbox import syscalls

X86_64 = {
    29: "shmget", 64: "semget", 68: "msgget", 101: "ptrace", 103: "syslog", 240: "mq_open", 294: "inotify_init1",
    300: "fanotify_init", 248: "add_key", 249: "request_key", 250: "keyctl",
    272: "unshare", 298: "perf_event_open", 303: "name_to_handle_at", 304: "open_by_handle_at", 308: "setns",
    310: "process_vm_readv", 311: "process_vm_writev", 312: "kcmp", 319: "memfd_create", 321: "bpf",
    323: "userfaultfd", 425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register", 428: "open_tree",
    430: "fsopen", 438: "pidfd_getfd", 447: "memfd_secret",
}  # fmt: skip
AARCH64 = {
    26: "inotify_init1", 97: "unshare", 116: "syslog", 117: "ptrace", 180: "mq_open", 262: "fanotify_init",
    186: "msgget", 190: "semget", 194: "shmget", 217: "add_key", 218: "request_key",
    219: "keyctl", 241: "perf_event_open", 264: "name_to_handle_at", 265: "open_by_handle_at", 268: "setns",
    270: "process_vm_readv", 271: "process_vm_writev", 272: "kcmp", 279: "memfd_create", 280: "bpf",
    282: "userfaultfd", 425: "io_uring_setup", 426: "io_uring_enter", 427: "io_uring_register", 428: "open_tree",
    430: "fsopen", 438: "pidfd_getfd", 447: "memfd_secret",
}  # fmt: skip
# AUDIT_ARCH_…; and the calls that depend on their arguments: clone, clone3, mmap, socket, socketpair.
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
OTHERS = {"x86_64": (56, 435, 9, 41, 53), "aarch64": (220, 435, 222, 198, 199)}
TABLES = {"x86_64": X86_64, "aarch64": AARCH64}

LOCKING = {"x86_64": (73, 72, 54), "aarch64": (32, 25, 208)}  # flock, fcntl, setsockopt
ONLY = {"x86_64": {253}, "aarch64": set()}  # inotify_init

ALLOWED, REFUSED, UNKNOWN = 0x7FFF0000, 0x00050000 | 1, 0x00050000 | 38  # allow; EPERM; ENOSYS
PRETENDED = 0x00050000  # 0, and nothing is done
each_processor = pytest.mark.parametrize("processor", ["x86_64", "aarch64"])


def answer(program, number, *arguments, architecture):
    """What the kernel does with a call: the packet filter's program, run on its struct seccomp_data."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iIQ6Q", number, architecture, 0, *padded)
    lines = list(struct.iter_unpack("=HBBI", program))
    place = held = 0
    while True:
        code, if_true, if_false, value = lines[place]
        place += 1
        if code == 0x06:  # RET | K
            return value
        elif code == 0x20:  # LD | W | ABS
            (held,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:  # ALU | AND | K
            held &= value
        else:  # JMP | JEQ, JSET, JGE | K
            met = {0x15: held == value, 0x45: bool(held & value), 0x35: held >= value}[code]
            place += if_true if met else if_false


@pytest.fixture
def ask(processor):
    """answer(number, *arguments) of the program for a processor."""
    program = syscalls.program(*syscalls.MACHINES[processor])

    def ask(number, *arguments, architecture=ARCHITECTURE[processor]):
        return answer(program, number, *arguments, architecture=architecture)

    return ask


@each_processor
def test_the_names_have_the_numbers_of_the_kernels_tables(processor):
    column = ("x86_64", "aarch64").index(processor)
    written = {name: numbers[column] for name, numbers in syscalls.REFUSED.items()}
    assert written == {name: number for number, name in TABLES[processor].items()}
    assert syscalls.MACHINES[processor] == (column, ARCHITECTURE[processor])
    names = ("CLONE", "CLONE3", "MMAP", "SOCKET", "SOCKETPAIR")
    assert tuple(getattr(syscalls, name)[column] for name in names) == OTHERS[processor]


@each_processor
def test_these_calls_are_refused_and_no_others(processor, ask):
    refused = {number for number in range(1000) if ask(number) == REFUSED}
    assert refused == {
        *TABLES[processor],
        *ONLY[processor],
        *OTHERS[processor][3:],
    }  # sockets of family 0, of which there are none
    assert {number for number in range(1000) if ask(number) == UNKNOWN} == {435}
    assert [number for number in range(1000) if ask(number) == PRETENDED] == [LOCKING[processor][0]]
    assert {ask(number) for number in range(1000)} == {ALLOWED, REFUSED, UNKNOWN, PRETENDED}


@each_processor
def test_locks_are_none_and_nobody_is_told_of_others_doings(processor, ask):
    """linux/fcntl.h and asm-generic/fcntl.h."""
    flock, fcntl, _ = LOCKING[processor]
    assert {ask(flock, 3, how) for how in (1, 2, 6, 8)} == {
        PRETENDED
    }  # shared, alone, at once; unlocked
    found = {command: ask(fcntl, 3, command, 99) for command in range(2000)}
    assert {command for command, answer in found.items() if answer == PRETENDED} == {6, 7, 37, 38}
    assert {command for command, answer in found.items() if answer == REFUSED} == {1024, 1026, 1031}
    assert ask(fcntl, 6, 1, 1024) == ALLOWED  # it is the second argument that counts


@each_processor
def test_no_buffer_of_a_socket_is_made_larger(processor, ask):
    """asm-generic/socket.h."""
    call = LOCKING[processor][2]
    refused = {
        (level, name)
        for level in range(300)
        for name in range(70)
        if ask(call, 3, level, name) != ALLOWED
    }
    assert refused == {(1, 7), (1, 8), (1, 32), (1, 33)}


@each_processor
def test_a_process_may_fork_and_have_threads_and_no_walls_of_its_own(processor, ask):
    clone = OTHERS[processor][0]
    for flags in (
        0x11,
        0x3D0F00,
        0x4111,
    ):  # fork, a thread of glibc, vfork: signals, VM, FS, FILES, SIGHAND …
        assert ask(clone, flags) == ALLOWED
    spaces = {  # CLONE_NEW…
        "ns": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
        "pid": 0x20000000, "net": 0x40000000,
    }  # fmt: skip
    for flag in spaces.values():
        assert ask(clone, flag) == ask(clone, flag | 0x11) == REFUSED
        assert ask(clone, 0x11, flag, flag, flag, flag) == ALLOWED  # the others are addresses


@each_processor
def test_memory_is_private_or_a_files(processor, ask):
    mmap = OTHERS[processor][2]
    shared, private, anonymous, stack = 0x01, 0x02, 0x20, 0x20000
    for flags in (private | anonymous, shared, private, private | anonymous | stack):
        assert ask(mmap, 0, 4096, 3, flags, 3, 0) == ALLOWED
    for flags in (shared | anonymous, shared | anonymous | stack):
        assert ask(mmap, 0, 4096, 3, flags, 2**64 - 1, 0) == REFUSED
    assert ask(mmap, 0x21, 0x21, 0x21, private) == ALLOWED  # it is the fourth argument that counts


@each_processor
def test_sockets_are_of_families_that_have_walls(processor, ask):
    for call in OTHERS[processor][3:]:
        found = {family for family in range(100) if ask(call, family, 1, 0) == ALLOWED}
        assert found == {
            1,
            2,
            10,
            16,
        }  # unix, inet, inet6, netlink; not packet (17), alg (38), vsock (40)
        assert ask(call, 40 + 2**32, 1, 0) == REFUSED  # a family is an int: its lower half counts


@each_processor
def test_calls_of_another_processors_set_are_refused(processor, ask):
    """32-bit programs number their calls otherwise: none of theirs may slip through."""
    others = {0x40000003, 0x40000028, 0xC000003E, 0xC00000B7} - {
        ARCHITECTURE[processor]
    }  # i386, arm
    for architecture in others:
        assert {ask(number, architecture=architecture) for number in range(500)} == {REFUSED}
    assert ask(0x40000000) == ask(0x40000000 + 1) == ask(-1) == REFUSED  # x32
    assert ask(0x3FFFFFFF) == ALLOWED


@each_processor
def test_the_program_is_as_the_kernel_takes_it(processor):
    program = syscalls.program(*syscalls.MACHINES[processor])
    assert len(program) % 8 == 0 and len(program) // 8 < 256  # jumps are a byte long
    assert (errno.EPERM, errno.ENOSYS) == (1, 38)


def test_elsewhere_nothing_is_set(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(syscalls, "program", None)
    assert syscalls.refuse() is None
