"""Write tests/golden/tiktoken_ids.json: ids of tiktoken for strings that tell patterns apart.

    pip install tiktoken && python tools/make_tiktoken_golden.py FOLDER

FOLDER holds ``r50k_base.tiktoken``, ``cl100k_base.tiktoken`` and ``o200k_base.tiktoken``.
"""

from __future__ import annotations

import argparse
import base64
import json
from pathlib import Path

OUTPUT = Path(__file__).parent.parent / "tests" / "golden" / "tiktoken_ids.json"
NAMES = ("r50k_base", "cl100k_base", "o200k_base")
TEXTS = [
    "",
    "Hello world, it's 12345 o'clock; they'LL don't 'S 'ſ",
    "  leading and trailing  \n\n \t\r\n x  ",
    "a \n  ",
    "\n \n",
    "ABCdef McDonald's aBC ǅur ªb ʰa",
    "// path/to/file//\n/x",
    "日本語 한국어 Ελληνικά नमस्ते العربية ไทย",
    "e\u0301 \u0301x Ⅻ ½ ١٢٣٤",
    "👩‍🚀🏳️‍🌈 \u00a0\u3000\u2028end",
    "\x00\x01\u200d\ufffd\U00016d67\U000323b0",
    "x" * 60 + "1" * 20 + "?" * 30 + " " * 40 + "y",
    "<|endoftext|> <|fim_prefix|>",
]


def main() -> None:
    """Record the ids."""
    import tiktoken
    from tiktoken_ext import openai_public

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder

    def load(url: str, expected_hash: str) -> dict[bytes, int]:
        lines = (folder / url.rsplit("/", 1)[-1]).read_bytes().split(b"\n")
        pairs = (line.split() for line in lines if line)
        return {base64.b64decode(token): int(rank) for token, rank in pairs}

    openai_public.load_tiktoken_bpe = load
    ids = {}
    for name in NAMES:
        encoding = tiktoken.Encoding(**getattr(openai_public, name)())
        ids[name] = [encoding.encode_ordinary(text) for text in TEXTS]
    document = {"tiktoken": tiktoken.__version__, "texts": TEXTS, "ids": ids}
    temporary = OUTPUT.with_suffix(".tmp")
    temporary.write_text(json.dumps(document) + "\n")
    temporary.replace(OUTPUT)


if __name__ == "__main__":
    main()
