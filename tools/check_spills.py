"""Show that the inner loops of matrix products and attention keep everything in registers.

Run it on a built tree, ``python tools/check_spills.py``, or on built files: ``python
tools/check_spills.py [--objdump PROGRAM] FILE…``. It disassembles them with objdump, finds the
innermost loops of each kernel that multiply and add, and fails when one of them touches the
stack: an accumulator or a pointer that the compiler had to spill.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processor:
    """What its disassembly looks like, and the instruction that does each kernel's work."""

    stack: re.Pattern[str]
    jump: re.Pattern[str]
    leave: re.Pattern[str]  # instructions that the next one does not follow
    work: dict[str, str]


# By what objdump calls the file's format.
PROCESSORS = {
    "elf64-x86-64": Processor(
        re.compile("%rsp"),
        re.compile(r"j\w+"),
        re.compile("jmp|ret"),
        {
            "qtf_gemm_q8__avx512vnni": "vpdpbusd",
            "qtf_gemm_q4__avx512vnni": "vpdpbusd",
            "qtf_gemm_f32__avx512vnni": "vfmadd",
            "qtf_gemm_q8__avxvnni": "vpdpbusd",
            "qtf_gemm_q4__avxvnni": "vpdpbusd",
            "qtf_gemm_q8__avx2": "vpmaddwd",
            "qtf_gemm_f32__avx2": "vfmadd",
            "qtf_attention_tile__avx512bf16": "vdpbf16ps",
            "qtf_attention_few__avx512bf16": "vdpbf16ps",
        },
    ),
    "elf64-littleaarch64": Processor(
        re.compile(r"\[(sp|x29)\b"),
        re.compile(r"b|b\.\w+|cbn?z|tbn?z"),
        re.compile("b|br|ret"),
        {
            "qtf_gemm_q8__neon": "sadalp",
            "qtf_gemm_q8__neon_dotprod": "sdot",
            "qtf_gemm_q8__neon_i8mm": "usmmla",
            "qtf_gemm_f32__neon": "fmla",
            "qtf_gemm_q4__neon": "sadalp",
            "qtf_gemm_q4__neon_dotprod": "sdot",
            "qtf_gemm_q4__neon_i8mm": "usmmla",
        },
    ),
}
LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S+)\s*(.*)$")


@dataclass(frozen=True)
class Loop:
    """An innermost loop: how often it does the work, and which instructions use the stack."""

    address: int
    work: int
    stack: tuple[str, ...]


def disassemble(files: list[Path], objdump: str) -> str:
    """What objdump says of files that are all for one processor."""
    command = [objdump, "-d", "--no-show-raw-insn", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def functions(text: str, names: set[str]) -> dict[str, list[tuple[int, str, str]]]:
    """Instructions (address, mnemonic, operands) of each function in `names`."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    name = ""
    for line in text.splitlines():
        header = re.match(r"^[0-9a-f]+ <([^>]+)>:$", line)
        if header:
            name = header[1]
        elif name in names and (match := LINE.match(line)):
            found.setdefault(name, []).append((int(match[1], 16), match[2], match[3]))
    return found


def inner_loops(processor: Processor, kernel: str, code: list[tuple[int, str, str]]) -> list[Loop]:
    """Loops that hold no other one and at least two instructions of the kernel's work.

    A loop is what leads to a jump back without passing where that goes; compilers place parts of it
    outside the addresses between.
    """
    place = {address: i for i, (address, _, _) in enumerate(code)}
    before: list[list[int]] = [[] for _ in code]
    back = []
    for i, (_, mnemonic, operands) in enumerate(code):
        if i + 1 < len(code) and not processor.leave.fullmatch(mnemonic):
            before[i + 1].append(i)
        target = re.search(r"\b([0-9a-f]+) <", operands)
        if target and processor.jump.fullmatch(mnemonic) and int(target[1], 16) in place:
            to = place[int(target[1], 16)]
            before[to].append(i)
            if to <= i:
                back.append((to, i))
    bodies: dict[int, set[int]] = {}
    for head, end in back:
        body, ahead = bodies.setdefault(head, {head}), [end]
        while ahead:
            i = ahead.pop()
            if i not in body:
                body.add(i)
                ahead += before[i]
    loops = []
    for head, body in bodies.items():
        if any(other in body for other in bodies if other != head):
            continue
        inside = [(m, o) for _, m, o in (code[i] for i in sorted(body))]
        work = sum(m.startswith(processor.work[kernel]) for m, _ in inside)
        stack = tuple(f"{m} {o}" for m, o in inside if processor.stack.search(o))
        if work >= 2:
            loops.append(Loop(code[head][0], work, stack))
    return loops


def main() -> int:
    """Print one line for each loop; 1 when one uses the stack or a kernel has none."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path, help="default: the built pyqtf/_core….so")
    parser.add_argument("--objdump", default="objdump", help="default: %(default)s")
    given = parser.parse_args()
    files = given.files or sorted(Path(__file__).parent.parent.glob("pyqtf/_core*.so"))
    if not files:
        parser.error("no pyqtf/_core….so is built: pass what is")
    text = disassemble(files, given.objdump)
    formats = set(re.findall(r"file format (\S+)$", text, flags=re.MULTILINE))
    if len(formats) != 1 or not formats <= set(PROCESSORS):
        parser.error(f"expected files of one of {sorted(PROCESSORS)}, got {sorted(formats)}")
    processor = PROCESSORS[formats.pop()]
    code = functions(text, set(processor.work))
    failed = False
    for kernel, work in processor.work.items():
        loops = inner_loops(processor, kernel, code.get(kernel, []))
        failed |= not loops
        print(f"{kernel}: {len(loops)} inner loops")
        for loop in sorted(loops, key=lambda loop: loop.work):
            failed |= bool(loop.stack)
            print(f"  {loop.work:3} {work}* at {loop.address:x}: {len(loop.stack)} on the stack")
            for instruction in loop.stack:
                print(f"      {instruction}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
