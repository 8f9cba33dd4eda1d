"""Bytes are what they are, whatever they are called."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgproxy.files.sniff import EXECUTABLE, SNIFFED_BYTES, UNKNOWN, sniff

OFFICE = "application/vnd.openxmlformats-officedocument."


def packed(*names: str, first: bytes | None = None) -> bytes:
    """A zip file of entries with these names; `first` is one called mimetype."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        if first is not None:
            archive.writestr("mimetype", first)
        for name in names:
            archive.writestr(name, b"<xml/>")
    return made.getvalue()


def media(brand: bytes) -> bytes:
    """The beginning of an ISO base media file."""
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"mp41" + bytes(64)


def matroska(kind: bytes) -> bytes:
    return bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282") + b"\x84" + kind + bytes(64)


GIF = b"GIF89a\x01\0\x01\0\x80\0\0" + bytes(30)

BYTES = [
    (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(30), "image/jpeg"),
    (b"\xff\xd8\xff\xe1\0\x10Exif\0" + bytes(30), "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(30), "image/png"),
    (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "image/webp"),
    (b"RIFF\x10\0\0\0WEBPVP8X" + bytes(30), "image/webp"),
    (media(b"avif"), "image/avif"),
    (media(b"avis"), "image/avif"),
    (media(b"heic"), "image/heic"),
    (media(b"mif1"), "image/heic"),
    (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64), "image/jp2"),
    (b"\xff\x4f\xff\x51" + bytes(64), "image/jp2"),
    (b"\xff\x0a\x98\x40" + bytes(64), "image/jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(64), "image/jxl"),
    (b"\0\0\1\0\1\0\x10\x10" + bytes(64), "image/x-icon"),
    (b"BM\x36\0\0\0" + bytes(64), "image/bmp"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(64), "image/avif"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf" + b"\0\0\0\x15infe\2\0\0\0\0\1\0\0av01\0", "image/avif"),
    (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(64), "image/heic"),
    (GIF, "image/gif"),
    (b"II*\0" + bytes(30), "image/tiff"),
    (b"MM\0*" + bytes(30), "image/tiff"),
    (b"II+\0\x08\0\0\0" + bytes(30), "image/tiff"),
    (b"MM\0+\0\x08\0\0" + bytes(30), "image/tiff"),
    (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + bytes(30), "image/bmp"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "image/jxl"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <html> -->\n<svg/>', "image/svg+xml"),
    (b'<!DOCTYPE svg PUBLIC "x" "y">\n<svg/>', "image/svg+xml"),
    (b"<svg:svg xmlns:svg='x'/>", "image/svg+xml"),
    ("<?xml version='1.0'?><svg/>".encode("utf-16"), "image/svg+xml"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "application/pdf"),
    (b"%PDF-1.4\n1 0 obj", "application/pdf"),
    (packed("a.txt"), "application/zip"),
    (packed(), "application/zip"),
    (packed("[Content_Types].xml", "_rels/.rels", "word/document.xml"), f"{OFFICE}wordprocessingml.document"),
    (packed("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}spreadsheetml.sheet"),
    (packed("ppt/presentation.xml"), f"{OFFICE}presentationml.presentation"),
    (
        packed("x", first=b"application/vnd.oasis.opendocument.text"),
        "application/vnd.oasis.opendocument.text",
    ),
    (packed("x", first=b"application/epub+zip"), "application/epub+zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "application/x-ole-storage"),
    (b"{\\rtf1\\ansi}", "application/rtf"),
    (media(b"isom"), "video/mp4"),
    (media(b"iso5"), "video/mp4"),
    (media(b"mp42"), "video/mp4"),
    (media(b"M4V "), "video/mp4"),
    (media(b"M4A "), "audio/mp4"),
    (media(b"qt  "), "video/quicktime"),
    (matroska(b"webm"), "video/webm"),
    (matroska(b"matroska"), "video/x-matroska"),
    (b"ID3\x04\0\0\0\0\0\x21" + bytes(100), "audio/mpeg"),
    (b"\xff\xfb\x90\x64" + bytes(413), "audio/mpeg"),
    (b"RIFF\x24\0\0\0WAVEfmt " + bytes(30), "audio/wav"),
    (b"fLaC" + bytes(40), "audio/flac"),
    (b"OggS\0\2" + bytes(22) + b"\x01\x1e\x01vorbis", "application/ogg"),
    (b"\x1f\x8b\x08" + bytes(10), "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c" + bytes(30), "application/x-7z-compressed"),
    (b"wOF2\0\1\0\0" + bytes(30), "font/woff2"),
    (b"<!DOCTYPE html><title>x</title>", "text/html"),
    (b" \n\t<HTML>", "text/html"),
    (b"<!-- x --><script>alert(1)</script>", "text/html"),
    (b'<?xml version="1.0"?><html xmlns="x"/>', "text/html"),
    (b"<body onload=alert(1)>", "text/html"),
    ("<html>".encode("utf-16"), "text/html"),
    (b"\xef\xbb\xbf<script>", "text/html"),
    (b'<?xml version="1.0"?><rss/>', "application/xml"),
    (b'{"a": 1}', "text/plain"),
    (b"a,b\n1,2\n", "text/plain"),
    (b"# Title\n\n<b>bold</b>", "text/plain"),
    ("größe 日本語".encode(), "text/plain"),
    ("größe".encode()[:4], "text/plain"),
    (b"BM is how this text begins", "text/plain"),
    (b"MZ is how this text begins", "text/plain"),
    (b"ID3 is how this text begins", "text/plain"),
    (b"1 < 2", "text/plain"),
    (b"<unknown/>", "text/plain"),
    (b"#!/bin/sh\nrm -rf /\n", "text/plain"),
    (b"", "text/plain"),
    (b"MZ\x90\0\x03" + bytes(200), EXECUTABLE),
    (b"\x7fELF\x02\x01\x01" + bytes(60), EXECUTABLE),
    (bytes.fromhex("cffaedfe07000001") + bytes(30), EXECUTABLE),
    (bytes.fromhex("cafebabe00000034") + bytes(30), EXECUTABLE),
    (b"\0asm\1\0\0\0", EXECUTABLE),
    (b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//;", "image/gif"),
    (b"GIF89a='<script>alert(1)</script>'", "image/gif"),
    (b"\x01\x02\x03\x04\xff\xfe\xfd" * 9, UNKNOWN),
    (bytes(100), UNKNOWN),
]


@pytest.mark.parametrize(("first", "expected"), BYTES)
def test_bytes_have_a_type(first: bytes, expected: str) -> None:
    assert sniff(first) == expected


@pytest.mark.parametrize(("first", "expected"), BYTES)
def test_a_name_does_not_change_what_bytes_are(first: bytes, expected: str) -> None:
    assert sniff(first, "photo.jpg") == expected


def test_only_the_beginning_is_looked_at() -> None:
    assert sniff(b" " * SNIFFED_BYTES + b"<html>") == "text/plain"


@given(st.binary(max_size=300), st.text(max_size=10))
def test_anything_has_a_type(first: bytes, name: str) -> None:
    assert sniff(first, name).count("/") == 1


@given(st.sampled_from([first for first, _ in BYTES if first]), st.integers(1, 40))
def test_what_is_cut_off_breaks_nothing(first: bytes, at: int) -> None:
    assert sniff(first[:at]).count("/") == 1
