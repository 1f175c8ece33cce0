# SPDX-License-Identifier: MIT
"""weft-gdb.py - fibers in gdb, of a process or of a core.

    (gdb) source weft-gdb.py
    (gdb) weft fibers             list them: what they do, what they wait for
    (gdb) weft bt HANDLE          the backtrace of one
    (gdb) weft bt all             of each that does not run

Needs gdb with Python, and weft's debug information.

No register is written, so it works on a core.  While a fiber is looked at, an
unwinder says of the selected thread's innermost frame that it was called from
where the fiber was left; gdb then walks the fiber's stack by itself.
"""
import contextlib
import re
import time

import gdb
import gdb.unwinder

PARKED, PERMIT, ASLEEP = 1, 2, 4  # core/park.h
DONE = 2  # core/join.h
OBJECT_NUMBERS = 1 << 22  # core/wait.h

# Of a port: the program counter, the stack and the frame pointer; how large its
# struct wf_frame is, and where in it the first and the last are (arch/).
PORTS = {
    "i386:x86-64": ("rip", "rsp", "rbp", 160, 16, 8),
    "aarch64": ("pc", "sp", "x29", 32, 8, 0),
}


# --- reading ---

def symbol(name):
    try:
        found = gdb.lookup_global_symbol(name)
    except gdb.error:
        found = None
    if found is None:
        raise gdb.GdbError("weft's debug information is not there")
    return found


def static(function, name):
    """A static variable of the file that has the function."""
    for found in symbol(function).symtab.static_block():
        if found.name == name:
            return found.value()
    raise gdb.GdbError("no variable %s beside %s" % (name, function))


def offset(struct, name):
    """Of a member, be it one of an unnamed union."""
    for field in struct.fields():
        if field.name == name:
            return field.bitpos // 8
    raise gdb.GdbError("%s has no member %s" % (struct, name))


def text(value, length=32):
    try:
        return value.string(errors="replace", length=-1)[:length]
    except gdb.MemoryError:
        return "?"


def handles():
    """Every handle that is somebody's."""
    slabs = static("wf_fiber_each", "slabs")
    count = int(static("wf_fiber_each", "slab_count"))
    fiber = slabs[0]["handles"].dereference().type
    at = offset(fiber, "kind")
    for i in range(count):
        first, many = slabs[i]["handles"], int(slabs[i]["count"])
        memory = gdb.selected_inferior().read_memory(
            int(first), many * fiber.sizeof).tobytes()
        for k, kind in enumerate(memory[at::fiber.sizeof]):
            if kind:
                yield first + k


def now():
    """Of a core: when a worker has last looked at the clock."""
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if connection is not None and connection.type == "native":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    runtime = symbol("wf_runtime").value()
    return max((int(runtime["workers"][i]["now"])
                for i in range(int(runtime["count"]))), default=0)


def word(address):
    memory = gdb.selected_inferior().read_memory(address, 8).tobytes()
    return int.from_bytes(memory, "little")


class Fiber:
    def __init__(self, handle):
        self.handle = handle
        self.word = int(handle["word"])
        self.kind = str(handle["kind"].cast(gdb.lookup_type("enum wf_kind")))

    def is_thread(self):
        return self.kind == "WF_THREAD"

    def sleeps(self):
        return self.word & PARKED and not self.word & PERMIT

    def has_ended(self):
        return not self.is_thread() and int(self.handle["joiner"]) == DONE

    def runs(self):
        """On which carrier, or None."""
        carrier = self.handle["carrier"]
        if (self.is_thread() or self.has_ended() or not self.handle["life"]
                or self.word & PARKED):
            return None
        return carrier if carrier["running"] == self.handle else None

    def has_stack(self):
        return bool(not self.is_thread() and not self.has_ended()
                    and self.runs() is None and self.handle["life"])

    def name(self):
        if self.is_thread():
            return "thread"
        life, name = self.handle["life"], self.handle["name"]
        if life and not self.has_ended() and life["name"][0]:
            return text(life["name"])
        return text(name) if name else ""

    def entry(self):
        if self.kind != "WF_NATIVE":
            return ""
        entry = int(self.handle["entry"])
        block = gdb.block_for_pc(entry)
        function = block.function if block else None
        return function.name if function else hex(entry)

    def state(self, time_now):
        if self.has_ended():
            return "has ended, not joined"
        carrier = self.runs()
        if carrier is not None:
            return "runs, thread %d" % int(carrier["tid"])
        if not self.sleeps():
            return "comes or goes" if self.is_thread() else "queued"
        wait = self.handle["wait"]
        if not wait:
            return "waits"
        return "waits: %s%s, for %.3f s" % (
            text(wait["what"]), self.object(int(wait["object"])),
            max(0, time_now - int(wait["since"])) / 1e9)

    @staticmethod
    def object(number):
        if not number:
            return ""
        return " " + (str if number < OBJECT_NUMBERS else hex)(number)

    def line(self, time_now):
        return "%#x '%s' %s: %s" % (int(self.handle), self.name(),
                                    self.entry(), self.state(time_now))


# --- unwinding ---

class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class Unwinder(gdb.unwinder.Unwinder):
    """From the innermost frame of the selected thread into `fiber`'s."""

    def __init__(self):
        super().__init__("weft")
        self.fiber = None

    def __call__(self, pending):
        if self.fiber is None:
            return None
        pc, sp, fp, size, saved_pc, saved_fp = port(pending.architecture())
        if int(pending.read_register(sp)) != self.innermost:
            return None
        at = self.fiber["ctx"]["sp"]
        # gdb wants the stack to grow one way: below all of the fiber's.
        info = pending.create_unwind_info(
            FrameId(at, pending.read_register(pc)))
        for name, value in ((pc, word(int(at) + saved_pc)),
                            (fp, word(int(at) + saved_fp)),
                            (sp, int(at) + size)):
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info

    @contextlib.contextmanager
    def looking_at(self, handle):
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame()
        self.innermost = int(frame.read_register(
            port(frame.architecture())[1]))
        self.fiber = handle
        gdb.invalidate_cached_frames()
        try:
            yield
        finally:
            self.fiber = None
            gdb.invalidate_cached_frames()


def port(architecture):
    try:
        gdb.parse_and_eval("&wf_context_jump")
        return PORTS[architecture.name()]
    except (gdb.error, KeyError):
        raise gdb.GdbError("no backtrace with this switch, or of this CPU")


unwinder = Unwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


def backtrace(handle):
    """What gdb prints, without the frame of the thread."""
    with unwinder.looking_at(handle):
        lines = gdb.execute("backtrace", to_string=True).splitlines()
    first = next((i for i, line in enumerate(lines)
                  if line.startswith("#1 ")), len(lines))
    for line in lines[first:]:
        print(re.sub(r"^#(\d+) +", lambda number: "#%-3d" % (
            int(number.group(1)) - 1), line))


# --- commands ---

class Weft(gdb.Command):
    """Fibers: weft fibers, weft bt."""

    def __init__(self):
        super().__init__("weft", gdb.COMMAND_STACK, prefix=True)


class Fibers(gdb.Command):
    """List the fibers, and the threads that wait as one of them would."""

    def __init__(self):
        super().__init__("weft fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        time_now, count = now(), 0
        for handle in handles():
            fiber = Fiber(handle)
            print(fiber.line(time_now))
            count += not fiber.is_thread() and not fiber.has_ended()
        print("%d fibers" % count)


class Backtrace(gdb.Command):
    """The backtrace of a fiber that does not run: weft bt HANDLE, or all."""

    def __init__(self):
        super().__init__("weft bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("weft bt HANDLE, or weft bt all")
        time_now = now()
        wanted = None if argument == "all" else int(
            gdb.parse_and_eval(argument))
        found = [Fiber(h) for h in handles() if wanted in (None, int(h))]
        if not found:
            raise gdb.GdbError("no such fiber; see weft fibers")
        for fiber in found:
            print(fiber.line(time_now))
            if fiber.has_stack():
                backtrace(fiber.handle)
            elif wanted is not None:
                print("it runs: see its thread, by `info threads`"
                      if fiber.runs() is not None else "it has no stack")
            if wanted is None:
                print()


Weft()
Fibers()
Backtrace()
