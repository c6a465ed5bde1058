"""Looking, writing, calling and staying where nobody should: full marks only for those who got nowhere.

A spy forgets its answers when it has seen what it looks for. Without walls it does see it, which
`test_attacks` tries, too: a spy that sees nothing anywhere proves nothing.
"""

from __future__ import annotations

from .cases import ANY, cell, spy

READ = "seen = open({}, 'rb').read(1) != b''"

READS = [
    spy("another student's work", READ.format("'GROUND/submitted/ada/04_gradient_of_a_step.ipynb'"),
        marks=("ordinary", "given", "seen outside")),
    spy("the gradebook", READ.format("'GROUND/gradebook.db'"), marks=("ordinary", "seen outside")),
    spy("the teacher's private tests", READ.format("'GROUND/private/04_gradient_of_a_step.py'"),
        marks=("seen outside",)),
    spy("the folder of the class", "import os; seen = os.listdir('GROUND')", marks=("seen outside",)),
    spy("a link to another student's work", """
        import os; os.symlink('GROUND/gradebook.db', 'link'); seen = open('link').read()
    """, marks=("seen outside",)),
    spy("the gradebook, from above", """
        import os
        for folder, _, files in os.walk('/'):
            if 'gradebook.db' in files: seen = folder
            if folder.count("/") > 6: _.clear()
    """),
    spy("the course's solutions", """
        import glob
        seen = [p for top in ('CLONE', '/maml', '/mnt', '/root', '/home', '/opt', '/srv', '/student', '/usr/local')
                for p in glob.glob(top + '/solutions/04*.ipynb') + glob.glob(top + '/*/**/solutions/04*.ipynb', recursive=True)]
    """, marks=("ordinary", "given", "seen outside")),
    spy("the course's checks", """
        from maml_edu import places
        seen = (places.course_root() / 'course').is_dir()
    """, marks=("ordinary", "seen outside")),
    spy("the course's checks, by their loader", """
        from maml_edu.checks.exercise import find
        seen = find('04.meta_slope')
    """, marks=("seen outside",)),
    spy("the grader's environment", """
        import os; seen = 'very secret' in str(dict(os.environ)) or b'very secret' in str(os.environb).encode()
    """, marks=("ordinary", "given")),
    spy("every process's environment", """
        import glob
        for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
            try: seen = seen or b'very secret' in open(path, 'rb').read()
            except OSError: pass
    """, marks=("ordinary", "seen outside")),
    spy("its own memory", """
        import gc
        for thing in gc.get_objects():
            for v in list(thing.values()) if isinstance(thing, dict) else ():
                seen = seen or type(v) is str and v[:5] == 'very ' and v[5:11] == 'secret'
    """, marks=("ordinary",)),
    spy("the frames that called it", """
        import sys
        frame = sys._getframe()
        while frame:
            for name, value in list(frame.f_locals.items()) + list(frame.f_globals.items()):
                if name in ('secret', 'seed', 'rng', 'expected', 'mistakes', 'boxes'): seen = name
            frame = frame.f_back
    """, marks=("ordinary",)),
    spy("other people's processes", """
        import os, time
        for pid in range(2, 100000):
            if pid == os.getpid(): continue
            try: os.kill(pid, 0); seen = pid; break
            except OSError: pass
    """, marks=("ordinary", "seen outside")),
    spy("the memory of the Python that it comes from", """
        import os
        parent = os.getppid()
        seen = open(f'/proc/{parent or 1}/mem', 'rb') and parent
    """, marks=("ordinary",)),
    spy("files that are still open", """
        import os
        for number in range(4, 4096):
            try: os.fstat(number); seen = number
            except OSError: pass
    """, marks=("ordinary",)),
    spy("keys of the kernel", """
        import ctypes, platform
        number = {'x86_64': 248, 'aarch64': 217}[platform.machine()]
        seen = ctypes.CDLL(None).syscall(number, b'user', b'mine', b'x', 1, -3) > 0
    """, marks=("ordinary",)),
    spy("passwords and keys of the machine", """
        import os
        for path in ('/etc/shadow', '/etc/passwd', *(os.path.join('/root', n) for n in ('.ssh', '.bashrc')), '/home', '/var', '/run',
                     '/sys/kernel', '/boot', '/etc/ssl', '/.dockerenv', '/proc/kcore', '/dev/mem'):
            seen = seen or os.access(path, os.R_OK) and path
    """, marks=("ordinary",)),
    spy("disks", "import glob; seen = glob.glob('/dev/vd*') + glob.glob('/dev/sd*') + glob.glob('/dev/nvme*')"),
    spy("what was mounted over", """
        import ctypes
        libc = ctypes.CDLL(None)
        seen = any(libc.umount2(p, 2) == 0 for p in (b'/student', b'/tmp', b'/proc', b'/dev/shm'))
    """, marks=("ordinary",)),
]  # fmt: skip

WRITES = [
    spy("a file in the class's folder", "open('GROUND/escaped/file', 'w').close(); seen = True",
        marks=("ordinary", "given", "seen outside")),
    spy("the gradebook is changed", "open('GROUND/gradebook.db', 'r+').close(); seen = True", marks=("seen outside",)),
    cell("a file in the class's folder, by the shell", "!echo x > GROUND/escaped/shell; touch ../../GROUND/escaped/y"),
    spy("site-packages", """
        import os, numpy
        for folder in (os.path.dirname(os.path.dirname(numpy.__file__)), os.path.dirname(os.__file__), '/maml/maml_edu', '/usr/lib'):
            seen = seen or os.access(folder, os.W_OK)
    """, marks=("ordinary",)),
    spy("the system's folders", """
        import os
        for path in ('/', '/etc', '/usr', '/bin', '/lib', '/maml', '/dev', '/proc/sys/kernel/core_pattern', '/var', '/run'):
            try: open(path + '/x' if os.path.isdir(path) else path, 'w').close(); seen = path
            except OSError: pass
    """, marks=("ordinary",)),
    cell("start-up files", """
        import os, sys
        for path in ('~/.ipython/profile_default/startup/00.py', '~/.bashrc', '~/.config/pip/pip.conf', '/tmp/numpy.py',
                     '~/sitecustomize.py', '~/.local/lib/python3.11/site-packages/usercustomize.py', '/tmp/matplotlib/matplotlibrc'):
            path = os.path.expanduser(path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, 'w').write('raise SystemExit("caught")')
    """, marks=("ordinary", "given")),
    cell("leaves files everywhere", """
        import os
        for folder in ('/tmp', '/dev/shm', '/student', '/dev', '/dev/pts', '/proc', '/maml', os.getcwd()):
            try: open(f'{folder}/left_behind', 'w').write('answer')
            except OSError: pass
    """),
    spy("finds what others left", """
        import os
        for folder in ('/tmp', '/dev/shm', '/student', '/dev', os.path.expanduser('~')):
            seen = seen or os.path.exists(f'{folder}/left_behind')
    """),
    spy("a new user namespace", """
        import ctypes
        seen = ctypes.CDLL(None).unshare(0x10000000) == 0
    """, marks=("ordinary",)),
    spy("more rights", """
        import os, subprocess
        for act in (lambda: os.setuid(0), lambda: os.chroot('/tmp'), lambda: os.mknod('disk', 0o60600, os.makedev(254, 0)),
                    lambda: os.chown('.', 0, 0), lambda: os.nice(-5)):
            try: act(); seen = True
            except OSError: pass
        seen = seen or subprocess.run('mount -t tmpfs x /tmp || su -c id || sudo -n id', shell=True).returncode == 0
    """, marks=("ordinary", "given")),
]  # fmt: skip

NETWORK = [
    spy("a server on this machine", "import socket; seen = socket.create_connection(('127.0.0.1', PORT), 1)",
        marks=("ordinary", "given", "seen outside")),
    spy("a page of a server on this machine", """
        import urllib.request; seen = urllib.request.urlopen('http://localhost:PORT/x', timeout=1)
    """, marks=("seen outside",)),
    spy("a packet", """
        import socket
        seen = socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 53))
    """, marks=("ordinary",)),
    spy("IPv6", "import socket; s = socket.socket(10); s.settimeout(1); s.connect(('::1', PORT)); seen = True"),
    spy("names of machines", "import socket; seen = socket.getaddrinfo('test.invalid', 80) or True"),
    spy("the machine's host", """
        import socket; socket.socket(getattr(socket, 'AF_VSOCK', 40), socket.SOCK_STREAM); seen = True
    """, marks=("ordinary", "given")),
    spy("raw packets", "import socket; socket.socket(17, 3); seen = True"),
    spy("services of the system", """
        import socket
        for path in ('/run/docker.sock', '/var/run/docker.sock', '/run/dbus/system_bus_socket', '\\0/tmp/.X11-unix/X0'):
            try: socket.socket(1).connect(path); seen = path
            except OSError: pass
    """),
    spy("the network's cards", """
        import socket; seen = [name for _, name in socket.if_nameindex() if name != 'lo']
    """, marks=("ordinary",)),
]  # fmt: skip

# A daemon writes a file a second after its notebook is done, where the test looks for it.
DAEMON = """
import os, signal, sys, time
if not os.fork():
    os.setsid()
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    if os.fork(): os._exit(0)
    for _ in range(30):
        time.sleep(0.1)
        try: open('GROUND/escaped/daemon', 'w').close()
        except OSError: pass
    os._exit(0)
"""
DAEMONS = [
    cell("a daemon", DAEMON, at="end", marks=("ordinary", "given")),
    cell("a daemon of the shell", "!setsid nohup sleep 30 >/dev/null 2>&1 &", at="end"),
    cell("a daemon of its own making", """
        import subprocess
        subprocess.Popen(['setsid', 'sh', '-c', 'while true; do sleep 1; done'], start_new_session=True)
    """, at="end", marks=("ordinary",)),
    cell("a daemon that answers later", """
        import os, time
        copy = os.dup(3)
        if not os.fork():
            os.setsid()
            if os.fork(): os._exit(0)
            time.sleep(0.3)
            try: os.write(copy, b'\\0\\0\\0\\2{}')
            except OSError: pass
            time.sleep(3); os._exit(0)
    """, at="end", points=ANY),
    cell("segments of memory that stay", """
        import ctypes, platform
        numbers = {'x86_64': (29, 68, 64), 'aarch64': (194, 186, 190)}[platform.machine()]
        for number in numbers: ctypes.CDLL(None).syscall(number, 4711, 4096, 0o1666)
    """),
    spy("segments of memory that others left", """
        import ctypes, platform
        number = {'x86_64': 29, 'aarch64': 194}[platform.machine()]
        seen = ctypes.CDLL(None).syscall(number, 4711, 4096, 0o666) >= 0
    """),
    cell("a meeting point for others", """
        import os, socket
        s = socket.socket(1); s.bind('\\0meet'); s.listen()
        if not os.fork(): os.setsid(); s.accept()
    """, at="end"),
    spy("meets others", "import socket; socket.socket(1).connect('\\0meet'); seen = True"),
    spy("changes that others made", """
        import builtins, numpy, sys
        seen = hasattr(builtins, 'left_behind') or hasattr(numpy, 'left_behind') or 'left_behind' in sys.modules
        builtins.left_behind = numpy.left_behind = sys.modules['left_behind'] = 1
    """),
    spy("changes that others made, again", """
        import builtins, numpy, sys
        seen = hasattr(builtins, 'left_behind') or hasattr(numpy, 'left_behind') or 'left_behind' in sys.modules
    """),
]  # fmt: skip

CASES = [*READS, *WRITES, *NETWORK, *DAEMONS]
