#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares storage/format_inspector.c with nova.virt.images and oslo.utils on generated images.

    nova_python format_inspector.py INSPECT_FORMAT [--count N] [--seed N] [--keep DIR]

INSPECT_FORMAT is the built tests/differential/inspect_format. qemu-img and genisoimage are used for
real images when they are there. Good images of every format are made first, then broken, cut and
combined at random, --count of them; accepted or refused, as which format, and for qcow2, whose
header we believe, how large. Exit 0: no difference.
"""
import argparse
import logging
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

from nova.virt import images as nova_images
from oslo_utils.imageutils import format_inspector

KI = 1024
VHDX_META = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
VHDX_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")


def nova_decision(path):
    """What nova does with a file, and with a base image before each use."""
    try:
        inspector = nova_images.get_image_format(path)
        size = f" {inspector.virtual_size}" if str(inspector) == "qcow2" else ""
        try:
            inspector.safety_check()
        except format_inspector.SafetyCheckFailed:
            return f"unsafe {inspector}{size}"
        return f"safe {inspector}{size}"
    except format_inspector.ImageFormatError:
        return "format-error"
    except Exception:
        return "error"


def qcow2(version=3, backing=0, features=0, bits=16, size=1 << 30):
    head = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, 0, bits, size)
    return (head + bytes(40) + struct.pack(">Q", features)).ljust(65536, b"\0")


def vmdk_descriptor(kind="monolithicSparse", extents=('RW 2048 SPARSE "disk.vmdk"',), extra=()):
    lines = ["# Disk DescriptorFile", "version=1", "CID=fffffffe", f'createType="{kind}"',
             *extents, "", "#DDB", 'ddb.adapterType = "ide"', *extra]
    return "\n".join(lines).encode("latin-1")


def vmdk_header(version=1, sector=1, n_sectors=20, directory=21, magic=b"KDMV"):
    return struct.pack("<4sIIQQQQIQQ", magic, version, 3, 2048, 128, sector, n_sectors, 512, 1,
                       directory).ljust(512, b"\0")


def vmdk(descriptor=None, n_sectors=20, **header):
    text = vmdk_descriptor() if descriptor is None else descriptor
    return (vmdk_header(n_sectors=n_sectors, **header) +
            text.ljust(512 * min(n_sectors, 40), b"\0") + bytes(65536))


def vmdk_stream(footer=None, marker=3, end=bytes(512), **kwargs):
    header = dict(directory=0xFFFFFFFFFFFFFFFF, version=3)
    header.update(kwargs)
    body = vmdk(vmdk_descriptor("streamOptimized"), **header)
    tail = vmdk_header(version=3, directory=77) if footer is None else footer
    return body + struct.pack("<QII496s", 1, 0, marker, bytes(496)) + tail + end


def vhdx(meta_at=512 * KI, item_at=64 * KI, item_length=8, count=1, regi=b"regi", sig=b"metadata",
         items=1, total=1024 * KI):
    data = bytearray(total)
    data[0:8] = b"vhdxfile"
    table = bytearray(64 * KI)
    table[0:16] = regi + struct.pack("<III", 0, count, 0)
    table[16:48] = VHDX_META + struct.pack("<QII", meta_at, 1 << 20, 1)
    data[192 * KI:256 * KI] = table
    meta = sig + struct.pack("<HH", 0, items) + bytes(20)
    meta += VHDX_SIZE + struct.pack("<IIII", item_at, item_length, 0, 0)
    if meta_at + len(meta) <= total:
        data[meta_at:meta_at + len(meta)] = meta
    return bytes(data[:total])


def mbr(entries, flag=0x80):
    sector = bytearray(512)
    for i, (kind, chs, lba) in enumerate(entries):
        sector[446 + 16 * i:462 + 16 * i] = struct.pack("<B3sB3sII", flag if i == 0 else 0, chs,
                                                        kind, b"\xff\xff\xff", lba, 2048)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector) + bytes(64 * KI)


def iso(kind=1, magic=b"CD001"):
    data = bytearray(64 * KI)
    data[32 * KI:32 * KI + 7] = bytes([kind]) + magic + b"\1"
    data[32 * KI + 80:32 * KI + 84] = struct.pack("<I", 32)
    data[32 * KI + 128:32 * KI + 130] = struct.pack("<H", 2048)
    return bytes(data)


def luks(version=1):
    return (b"LUKS\xba\xbe" + struct.pack(">H", version)).ljust(4096, b"\0") + os.urandom(4096)


def handmade():
    gpt = [(0xEE, b"\0\2\0", 1)]
    yield from (b"", b"\0", b"text", b"a" * 63, b"a" * 64, b"a" * 5000, bytes(512 * KI),
                os.urandom(300 * KI))
    for version in range(5):
        yield qcow2(version)
    for bit in range(64):
        yield qcow2(3, features=1 << bit)
    yield from (qcow2(2, features=4), qcow2(2, features=1 << 40), qcow2(backing=512),
                qcow2(backing=1 << 63), qcow2()[:511], qcow2()[:512], qcow2()[:72])
    yield from (b"QED\0" + bytes(70 * KI), b"QED\0" + bytes(5), b"conectix" + bytes(504),
                b"conectix" + bytes(503), b"conectix" + bytes(90 * KI), b"conectix", b"vhdxfile",
                b"vhdxfile" + bytes(300 * KI))
    yield bytes(64) + struct.pack("<I", 0xBEDA107F) + bytes(4096)
    yield bytes(64) + struct.pack("<I", 0xBEDA107F) + bytes(100)
    for version in range(6):
        yield vmdk(version=version)
    yield from (vmdk(sector=s) for s in (0, 1, 2, 1 << 40))
    yield from (vmdk(n_sectors=n) for n in (0, 1, 2, 19))
    yield from (vmdk_header(n_sectors=n) + vmdk_descriptor().ljust(3 << 20, b"\0")
                for n in (2047, 2048, 4096, 1 << 55, (1 << 64) - 1))
    for kind in ("monolithicSparse", "streamOptimized", "monolithicFlat", "vmfs", "", "x" * 63,
                 "x" * 64, "formatnotfound", "MONOLITHICSPARSE"):
        yield vmdk(vmdk_descriptor(kind))
        yield vmdk_descriptor(kind)
        yield vmdk_descriptor(kind).ljust(600 * KI, b" ")
    for extents in ((), ('RW 1 SPARSE "/etc/passwd"',), ('RW 1 FLAT "a" 0',), ('rdonly 1 x',),
                    ('noaccess',), ('read 1 x',), ("RW\t1",), ("RW = 2",), ("a b=c",), ("=x",),
                    ('RW 1 SPARSE "x"', 'RW 1 SPARSE "../y"')):
        yield vmdk(vmdk_descriptor(extents=extents))
        yield vmdk_descriptor(extents=extents)
    yield from (vmdk(b'createType="monolithicSparse'), vmdk(b'createType="monolithicSparsex'),
                vmdk(b'rw 1\ncreateType="monolithicsparse"\n\x1c'), vmdk(b"\xff" + vmdk_descriptor()),
                vmdk_descriptor() + b"\n" * 600 + b"\xff", vmdk_descriptor() + b"\x01",
                vmdk_descriptor() + b" " * 600 + b"\0\xff", b" " * 600 + b"\xff" + bytes(9000))
    yield from (vmdk_stream(), vmdk_stream(marker=2), vmdk_stream(end=b"\1" + bytes(511)),
                vmdk_stream(end=bytes(500) + b"\1" + bytes(11)), vmdk_stream(end=bytes(511)),
                vmdk_stream(footer=vmdk_header(version=2, directory=7)),
                vmdk_stream(footer=vmdk_header(version=3, directory=7, magic=b"COWD")),
                vmdk_stream(footer=vmdk_header(version=3, directory=7, sector=9)),
                vmdk_stream(footer=vmdk_header(version=3, directory=7, n_sectors=9)),
                vmdk_stream(footer=vmdk_header(version=3, directory=(1 << 64) - 1)),
                vmdk_stream(sector=3), vmdk_stream(version=9), vmdk_stream() + bytes(300 * KI),
                vmdk_stream(n_sectors=1 << 50), vmdk_stream()[:1000], vmdk_stream()[:1536],
                vmdk_stream()[:2048])
    for keys in ({}, {"meta_at": 300 * KI}, {"meta_at": 64 * KI}, {"meta_at": 255 * KI},
                 {"meta_at": 250 * KI, "item_at": 8}, {"meta_at": 1 << 60}, {"item_at": 0},
                 {"meta_at": (1 << 64) - 1}, {"item_at": 4096}, {"item_at": 70000},
                 {"item_at": (1 << 32) - 1}, {"item_length": 0}, {"item_length": 1 << 31},
                 {"count": 0}, {"count": 2047}, {"count": 2048}, {"regi": b"xxxx"},
                 {"sig": b"metadatb"}, {"items": 0}, {"items": 2047}, {"items": 2048},
                 {"items": 65535}, {"total": 256 * KI}, {"total": 520 * KI}, {"total": 600 * KI}):
        yield vhdx(**keys)
    for entries in (gpt, [(0x83, b"\1\1\0", 2048)], [], gpt + [(0x83, b"\0\0\0", 9)],
                    [(0, b"\0\0\0", 0)] + gpt, [(0xEE, b"\0\1\0", 1)], [(0xEE, b"\0\2\0", 2)],
                    gpt * 2, [(0x83, b"\1\1\0", 2048)] * 4):
        for flag in (0, 0x80, 1):
            yield mbr(entries, flag)
    fat = bytearray(mbr([]))
    fat[0x10], fat[0x15] = 2, 0xF8
    yield bytes(fat)
    for magic in (b"CD001", b"NSR02", b"NSR03", b"NSR04"):
        for kind in (0, 1, 2):
            yield iso(kind, magic)
    yield from (iso()[:34 * KI], iso()[:34 * KI - 1], mbr(gpt)[:512] + iso()[512:],
                mbr([])[:512] + iso()[512:], qcow2()[:512] + iso()[512:],
                b"conectix" + mbr(gpt)[8:], qcow2()[:440] + mbr(gpt)[440:])
    yield from (luks(1), luks(2), luks(1)[:591], luks(1)[:592], luks(1)[:6], luks(0x100))


def real():
    """Images as the tools make them."""
    made = []
    work = tempfile.mkdtemp()
    if shutil.which("qemu-img"):
        for kind in ("qcow2", "qcow", "vmdk", "vhdx", "vpc", "vdi", "qed", "raw", "parallels",
                     "bochs"):
            made.append((["qemu-img", "create", "-q", "-f", kind, "IMAGE", "8M"], kind))
        for option in ("compat=0.10", "cluster_size=4096", "lazy_refcounts=on", "extended_l2=on",
                       "compression_type=zstd", "data_file=" + work + "/data"):
            made.append((["qemu-img", "create", "-q", "-f", "qcow2", "-o", option, "IMAGE", "8M"],
                         "qcow2"))
        for option in ("streamOptimized", "monolithicFlat", "twoGbMaxExtentSparse"):
            made.append((["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=" + option,
                          "IMAGE", "8M"], "vmdk"))
        made.append((["qemu-img", "create", "-q", "-f", "luks", "--object", "secret,id=s,data=x",
                      "-o", "key-secret=s,iter-time=10", "IMAGE", "1M"], "luks"))
    if shutil.which("genisoimage"):
        made.append((["genisoimage", "-quiet", "-J", "-r", "-o", "IMAGE", __file__], "iso"))
    for command, _kind in made:
        path = os.path.join(work, "image")
        if subprocess.run([path if a == "IMAGE" else a for a in command],
                          stderr=subprocess.DEVNULL).returncode == 0:
            with open(path, "rb") as image:
                yield image.read()
            os.unlink(path)
    shutil.rmtree(work)


def mutated(seeds, count, rng):
    for _ in range(count):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            choice = rng.random()
            at = rng.choice((0, 0, 0, 512, 32 * KI, 192 * KI, 512 * KI)) + rng.randint(0, 600)
            if choice < 0.35 and at < len(data):
                data[at] = rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xEE, 0xFF, rng.randint(0, 255)))
            elif choice < 0.55:
                data = data[:rng.choice((at, rng.randint(0, len(data))))]
            elif choice < 0.7:
                other = rng.choice(seeds)
                data[at & ~511:(at & ~511) + 512] = other[at & ~511:(at & ~511) + 512]
            elif choice < 0.8:
                data[510:512] = b"\x55\xaa"
            elif choice < 0.9:
                size = rng.choice((2, 4, 8))
                data[at:at + size] = rng.randbytes(size)
            else:
                data += bytes(rng.randint(0, 2048))
        yield bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("inspect_format")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="write images with different answers here")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)

    rng = random.Random(args.seed)
    seeds = list(handmade()) + list(real())
    images = seeds + list(mutated(seeds, args.count, rng))
    tally, different = {}, 0
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "image")
        ours = subprocess.Popen([args.inspect_format], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        for number, data in enumerate(images):
            with open(path, "wb") as image:
                image.write(data)
            expected = nova_decision(path)
            ours.stdin.write(path + "\n")
            ours.stdin.flush()
            got = ours.stdout.readline().strip()
            kind = " ".join(expected.split()[:2])
            tally[kind] = tally.get(kind, 0) + 1
            if got != expected:
                different += 1
                print(f"image {number}: nova says {expected!r}, we say {got!r}")
                if args.keep:
                    shutil.copy(path, os.path.join(args.keep, f"image-{number}"))
        ours.stdin.close()
        ours.wait()
    for word, number in sorted(tally.items()):
        print(f"{number:6} {word}")
    print(f"seed {args.seed}: {len(images)} images, {len(seeds)} of them by hand, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
