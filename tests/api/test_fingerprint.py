"""Fingerprint of a request: equal for two requests that ask for the same."""

from __future__ import annotations

from imgproxy.api.fingerprint import Fingerprint


def test_fingerprint_of_another_method_target_or_body_is_another() -> None:
    found = {
        Fingerprint("POST", "/v1/files", b"{}").digest(),
        Fingerprint("PUT", "/v1/files", b"{}").digest(),
        Fingerprint("POST", "/v1/files/", b"{}").digest(),
        Fingerprint("POST", "/v1/files", b"{ }").digest(),
    }
    assert len(found) == 4


def test_fingerprint_add_changes_it_by_value_and_order() -> None:
    def of(*parts: bytes) -> bytes:
        fingerprint = Fingerprint("POST", "/v1/files")
        for part in parts:
            fingerprint.add(part)
        return fingerprint.digest()

    one, two = b"1" * 32, b"2" * 32
    assert of(one, two) == of(one, two)
    assert len({of(), of(one), of(two), of(one, two), of(two, one), of(one, one)}) == 6
