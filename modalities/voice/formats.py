"""Containers of sound by their bytes: which are read, what a file is, whether it ends too early."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import BinaryIO

# FFmpeg's demuxers of single-file audio containers, as people call them. Playlists and
# concatenations are not among them.
READ = {
    "wav": "WAV", "w64": "Wave64", "aiff": "AIFF", "caf": "CAF", "au": "AU", "flac": "FLAC",
    "mp3": "MP3", "aac": "AAC", "amr": "AMR", "ogg": "Ogg", "mov": "MP4 (M4A, MOV, 3GP)",
    "mp4": "", "m4a": "", "3gp": "", "3g2": "", "mj2": "",
    "matroska": "WebM (Matroska)", "webm": "", "asf": "WMA",
}  # fmt: skip
ARE_READ = "read are " + ", ".join(filter(None, READ.values()))
HEADER = 64 * 1024  # bytes that are looked at

# (offset, bytes, demuxer) and (offset, bytes, name of what is not read): what files begin with.
_READ_BY = (
    (8, b"WAVE", "wav"), (0, b"riff", "w64"), (8, b"AIF", "aiff"), (0, b"caff", "caf"),
    (0, b".snd", "au"), (0, b"fLaC", "flac"), (0, b"ID3", "mp3"), (0, b"#!AMR", "amr"),
    (0, b"OggS", "ogg"), (4, b"ftyp", "mov"), (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf"),
)  # fmt: skip
_NOT_READ = (
    (0, b"#!SILK", "SILK"), (0, b"\x02#!SILK", "SILK (voice message of WeChat or QQ)"),
    (8, b"AVI ", "AVI"), (0, b".RMF", "RealMedia"), (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"), (0, b"TTA", "True Audio"), (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"), (0, b"DSD ", "DSF"), (0, b"MThd", "MIDI"), (0, b"FLV", "FLV"),
    (0, b"Creative Voice File", "VOC"), (0, b"\x0b\x77", "AC-3"), (0, b"%PDF", "PDF"),
    (0, b"PK\x03\x04", "ZIP"), (0, b"\x89PNG", "PNG"), (0, b"\xff\xd8\xff", "JPEG"),
)  # fmt: skip

_UNKNOWN_RIFF = 0x7FFF_0000  # sizes from here on are those of writers that could not go back
_EBML_SEGMENT = b"\x18\x53\x80\x67"
_PAGE = 27  # bytes before an Ogg page's table of segments
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_IS_FIRST, _IS_LAST = 2, 4  # flags of an Ogg page


def refusal(file: BinaryIO) -> str:
    """A sentence on why a file could not be opened: what it is, and what is read."""
    file.seek(0)
    head = file.read(HEADER)
    for at, magic, name in _NOT_READ:
        if head.startswith(magic, at):
            return f"the audio is in a format that is not read, {name}; {ARE_READ}"
    for at, magic, demuxer in _READ_BY:
        if head.startswith(magic, at):
            return f"the audio, {READ[demuxer]}, is damaged"
    return f"the audio is damaged or in no known format; {ARE_READ}"


def is_cut(file: BinaryIO, links: Sequence[tuple[int, int]]) -> bool:
    """Whether a file, of these `ogg_links`, ends before its container says; false where that does
    not say."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(HEADER)
    if head.startswith(b"RIFF"):
        return length < int.from_bytes(head[4:8], "little") + 8 < _UNKNOWN_RIFF
    if head.startswith(b"riff"):
        return length < int.from_bytes(head[16:24], "little")
    if head.startswith(b"caff"):
        return length < _end_of_caf(head)
    if head.startswith(b"OggS"):
        return links[-1][1] > length
    if head.startswith(b"\x1aE\xdf\xa3") and (at := head.find(_EBML_SEGMENT)) > 0:
        first = head[at + 4]
        width = 9 - first.bit_length()
        size = int.from_bytes(head[at + 4 : at + 4 + width], "big") - (1 << 7 * width)
        return size < (1 << 7 * width) - 1 and length < at + 4 + width + size  # all ones: unknown
    return False


def states_its_length(file: BinaryIO, demuxer: str) -> bool:
    """Whether the duration that FFmpeg tells of a stream is written in the file; else it is
    reckoned from the bit rate or from the file's own length."""
    if demuxer != "mp3":
        return demuxer.split(",")[0] in ("mov", "flac", "aiff", "au", "asf")
    file.seek(0)
    head = file.read(10)
    if head.startswith(b"ID3"):  # its size has seven bits a byte
        size = sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
        file.seek(10 + size)
    first = head + file.read(4096)
    return any(tag in first for tag in (b"Xing", b"Info", b"VBRI"))


def ogg_links(file: BinaryIO) -> tuple[list[tuple[int, int]], bool]:
    """Start and end of each link of a chained Ogg file (RFC 3533), one after the other, and
    whether a page is damaged. The end of the last lies beyond the file's where that is cut; links
    after a page whose end is not found are part of its. Any other file is one link."""
    length = file.seek(0, io.SEEK_END)
    starts, end = [0], 0
    is_head, goes_on, is_damaged = True, False, False
    while end < length:
        at = end
        file.seek(at)
        header = file.read(_PAGE + 255)
        if not header.startswith(b"OggS"):
            is_damaged |= goes_on
            end = length
            break
        if len(header) < _PAGE:
            end = length + 1
            break
        end += _PAGE + header[26] + sum(header[_PAGE : _PAGE + header[26]])
        file.seek(at)
        is_damaged |= end <= length and not _is_sound(file.read(end - at))
        is_first = bool(header[5] & _IS_FIRST)
        if is_first and not is_head:
            starts.append(at)
        is_head, goes_on = is_first, not header[5] & _IS_LAST
    return [*zip(starts, [*starts[1:], end], strict=True)], is_damaged


class Window(io.RawIOBase):
    """The bytes `start` to `end` of a file, as a file of their own."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._length, self._at = file, start, end - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._length - self._at)
        self._file.seek(self._start + self._at)
        content = self._file.read(left if size < 0 else min(size, left))
        self._at += len(content)
        return content


def _is_sound(page: bytes) -> bool:
    """Whether the checksum of an Ogg page is right: zlib's CRC-32 with all bits the other way."""
    bare = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    found = zlib.crc32(bare, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{found:032b}"[::-1], 2) == int.from_bytes(page[22:26], "little")


def _end_of_caf(head: bytes) -> int:
    """Where the chunk of a CAF file's sound ends, 0 where it does not say."""
    at = 8
    while at + 12 <= len(head):
        size = int.from_bytes(head[at + 4 : at + 12], "big", signed=True)
        if head.startswith(b"data", at):
            return at + 12 + size if size > 0 else 0
        at += 12 + max(0, size)
    return 0
