#!/usr/bin/env python3
"""Extracts the ELF vmlinux from a bzImage (Documentation/arch/x86/boot.rst): QEMU enters it through PVH, without the guest
unpacking and relocating it first.

    extract_vmlinux.py BZIMAGE VMLINUX
"""

import lzma
import struct
import subprocess
import sys
import zlib


def main(image_path, out_path):
    with open(image_path, "rb") as file:
        image = file.read()
    offset, length = struct.unpack_from("<II", image, 0x248)  # payload_offset, payload_length
    setup_sectors = image[0x1F1] or 4
    payload = image[(setup_sectors + 1) * 512 + offset :][:length]
    if payload.startswith(b"\xfd7zXZ\0"):
        kernel = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b"\x28\xb5\x2f\xfd"):
        kernel = subprocess.run(["zstd", "-dcq"], input=payload[:-4], stdout=subprocess.PIPE).stdout
    else:
        kernel = zlib.decompressobj(31).decompress(payload)
    if not kernel.startswith(b"\x7fELF"):
        sys.exit(f"{image_path}: no ELF kernel inside")
    with open(out_path, "wb") as file:
        file.write(kernel)


if __name__ == "__main__":
    main(*sys.argv[1:])
