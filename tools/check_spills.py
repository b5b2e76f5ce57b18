"""Show that the inner loops of matrix products and attention keep everything in registers.

Run it on a built tree: ``python tools/check_spills.py [pyqtf/_core….so]``. It disassembles the core
with objdump, finds the innermost loops of each kernel that multiply and add, and fails when
one of them touches the stack: an accumulator or a pointer that the compiler had to spill.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# The instruction that does a kernel's work.
WORK = {
    "qtf_gemm_q8__avx512vnni": "vpdpbusd",
    "qtf_gemm_f32__avx512vnni": "vfmadd",
    "qtf_gemm_q8__avxvnni": "vpdpbusd",
    "qtf_gemm_q4__avxvnni": "vpdpbusd",
    "qtf_gemm_q8__avx2": "vpmaddwd",
    "qtf_gemm_f32__avx2": "vfmadd",
    "qtf_attention_tile__avx512bf16": "vdpbf16ps",
    "qtf_attention_few__avx512bf16": "vdpbf16ps",
}
LINE = re.compile(r"^\s*([0-9a-f]+):\t(\S+)\s*(.*)$")


@dataclass(frozen=True)
class Loop:
    """An innermost loop: how often it does the work, and which instructions use the stack."""

    kernel: str
    address: int
    work: int
    stack: tuple[str, ...]


def functions(library: Path) -> dict[str, list[tuple[int, str, str]]]:
    """Instructions (address, mnemonic, operands) of each function in WORK."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[tuple[int, str, str]]] = {}
    name = ""
    for line in text.splitlines():
        header = re.match(r"^[0-9a-f]+ <([^>]+)>:$", line)
        if header:
            name = header[1]
        elif name in WORK and (match := LINE.match(line)):
            found.setdefault(name, []).append((int(match[1], 16), match[2], match[3]))
    return found


def inner_loops(kernel: str, code: list[tuple[int, str, str]]) -> list[Loop]:
    """Backward jumps that enclose no other one and at least two instructions of work."""
    jumps = []
    for address, mnemonic, operands in code:
        target = re.match(r"([0-9a-f]+)\b", operands)
        if mnemonic.startswith("j") and target and code[0][0] <= int(target[1], 16) <= address:
            jumps.append((int(target[1], 16), address))
    loops = []
    for start, end in jumps:
        if any(start <= s and e <= end and (s, e) != (start, end) for s, e in jumps):
            continue
        body = [(m, o) for a, m, o in code if start <= a <= end]
        work = sum(m.startswith(WORK[kernel]) for m, _ in body)
        stack = tuple(f"{m} {o}" for m, o in body if "%rsp" in o)
        if work >= 2:
            loops.append(Loop(kernel, start, work, stack))
    return loops


def main() -> int:
    """Print one line for each loop; 1 when one uses the stack or a kernel has none."""
    given = [Path(a) for a in sys.argv[1:]]
    libraries = given or sorted(Path(__file__).parent.parent.glob("pyqtf/_core*.so"))
    if len(libraries) != 1:
        print("check_spills: expected one built core: pass its path", file=sys.stderr)
        return 2
    code = functions(libraries[0])
    failed = False
    for kernel, work in WORK.items():
        loops = inner_loops(kernel, code.get(kernel, []))
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
