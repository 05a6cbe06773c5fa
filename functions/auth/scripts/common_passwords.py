#!/usr/bin/env python3
"""Makes src/password/common.bin from a list of passwords, most used first.

The table holds exactly 100,000 passwords, each as the first six bytes of the SHA-256 of its lower-case form,
sorted. Passwords of twelve characters or more, the ones that the length rule lets through, go in first, in the
list's order; the rest of the room goes to the most used shorter ones, so that their refusal names every reason.

Usage: common_passwords.py LIST
"""

import hashlib
import pathlib
import sys
import unicodedata

ENTRIES = 100_000
SHORTEST_ALLOWED = 12
WIDTH = 6


def main(source: str) -> None:
    lines = pathlib.Path(source).read_text(encoding="utf-8").splitlines()
    known = dict.fromkeys(unicodedata.normalize("NFKC", line).lower() for line in lines if line)
    long = [word for word in known if len(word) >= SHORTEST_ALLOWED]
    short = [word for word in known if len(word) < SHORTEST_ALLOWED]
    chosen = (long + short)[:ENTRIES]
    hashes = sorted(hashlib.sha256(word.encode()).digest()[:WIDTH] for word in chosen)
    if len(set(hashes)) != ENTRIES:
        sys.exit(f"the list gives {len(set(hashes))} entries, {ENTRIES} are needed")
    target = pathlib.Path(__file__).parent.parent / "src" / "password" / "common.bin"
    target.write_bytes(b"".join(hashes))
    print(f"{len(hashes)} entries, {min(len(long), ENTRIES)} of them of {SHORTEST_ALLOWED} characters or more")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
