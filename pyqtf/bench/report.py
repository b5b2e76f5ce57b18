"""The words of ``pyqtf bench``."""

from __future__ import annotations

import statistics
from typing import Any


def render(result: dict[str, Any]) -> str:
    """Lay out what `pyqtf.bench.benchmark` returned."""
    score, short, limits = result["score"], result["short_texts"], result["limits"]
    cycles = limits["clock"]
    loading = result["loading"]
    rates = sorted(loading["bytes"] / s / 1e9 for s in loading["quantise"]["seconds"])
    maps = sorted(loading["map"]["seconds"])
    shares = sorted(score["shares_of_limit"])
    decode = result["decode"]
    read = decode["bytes_per_token"] * decode["tokens_per_second"] / 1e9
    # q8 and q4 have the same loop on some instruction sets.
    loops = {limits[quant + "_instructions"]: limits[quant] for quant in ("f32", "q8", "q4")}
    lines = [
        f"{result['shape']} with random weights, {result['quant']}, {result['isa']}, "
        f"{result['threads']} threads, {result['cpu']}, load {result['load_average'][0]:.1f}",
        "",
        f"score, one text of {result['tokens']}  {score['tokens_per_second']:8.1f} tokens/s  "
        f"{score['share_of_limit']:6.1%} of the limit ({shares[0]:.1%} to {shares[-1]:.1%})",
        f"score, short texts     {short['tokens_per_second']:8.1f} tokens/s  "
        f"{short['share_of_limit']:6.1%} of the limit",
        f"decode, batch 1        {decode['tokens_per_second']:8.1f} tokens/s  "
        f"{decode['share_of_memory_read']:6.1%} of memory read ({read:.1f} GB/s)",
        f"load from bfloat16     {loading['quantise']['median']:8.2f} s         "
        f"{statistics.median(rates):6.2f} GB/s ({rates[0]:.2f} to {rates[-1]:.2f})",
        f"load what was saved    {loading['map']['median']:8.2f} s         "
        f"({maps[0]:.2f} to {maps[-1]:.2f})",
        f"peak memory            {result['peak_rss'] / 1e6:8.0f} MB        "
        f"{result['load_peak_rss'] / 1e6:6.0f} MB after loading",
        *_long_text(result["prefill"], result["long_decode"]),
        "",
        "attention of a token in float32, on average over a text",
        *(
            f"  text of {row['tokens']:<28,} {row['seconds_per_token'] * 1e3:8.3f} ms      "
            f"{row['share_of_f32_limit']:6.1%} of the f32 limit"
            for row in result["attention"]
        ),
        "",
        "limits of this machine",
        *(
            f"  {name:36} {rate / 1e9:8.1f} G ops/s {rate / cycles:7.1f} a cycle"
            for name, rate in loops.items()
        ),
        f"  {'memory read':36} {limits['memory'] / 1e9:8.1f} GB/s",
        "",
        "where the time of one long text goes",
    ]
    total = result["kernel_seconds"]["all"]
    named = {k: v for k, v in result["kernel_seconds"].items() if k != "all"}
    named["Python and the rest"] = total - sum(named.values())
    lines += [f"  {name:36} {s * 1e3:8.1f} ms {s / total:7.1%}" for name, s in named.items()]
    return "\n".join(lines)


def _long_text(prefill: list[dict[str, Any]], decode: list[dict[str, Any]]) -> list[str]:
    return [
        *(
            f"prefill {row['tokens']:,}, {row['cache']:4}   {row['tokens_per_second']:8.1f} "
            f"tokens/s  {row['ratio']:6.1%} of the rate at 512 tokens "
            f"({row['short_tokens_per_second']:.1f})"
            for row in prefill
        ),
        *(
            f"decode at {row['tokens']:,}, {row['cache']:4} {row['tokens_per_second']:8.1f} "
            f"tokens/s  {row['ratio']:6.2f} x the f32 cache's rate ({row['bytes'] / 1e6:.0f} MB)"
            for row in decode
        ),
    ]
