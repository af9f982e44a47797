"""Signatures, digests and trees of the golden documents, checked without the code behind them."""

import base64
import hashlib
import json
from typing import Any

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exam_contract import keys, results, trust
from tests.support import golden

SIGNED = {
    "bundle": (golden.load("bundle-signed"), "trust-root", b"medxamion-bundle-v1"),
    "manifest": (
        golden.load("final-results")["manifest"],
        "incarnation-registration",
        b"medxamion-manifest-v1",
    ),
    "receipt": (golden.load("receipt-signed")["receipt"], "trust-root", b"medxamion-receipt-v1"),
}


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_key(holder: str) -> Ed25519PublicKey:
    document = golden.load(holder)
    jwk = document["keys"][0] if "keys" in document else document["public_key"]
    return Ed25519PublicKey.from_public_bytes(unpadded(jwk["x"]))


@pytest.mark.parametrize("name", SIGNED)
def test_the_signed_payload_is_the_documents_canonical_json(name: str) -> None:
    signed, _, _ = SIGNED[name]

    assert signed["payload"].encode() == rfc8785.dumps(golden.load(name))


@pytest.mark.parametrize("name", SIGNED)
def test_the_signature_covers_context_and_payload(name: str) -> None:
    signed, holder, context = SIGNED[name]
    data = context + b"\n" + signed["payload"].encode()

    public_key(holder).verify(unpadded(signed["signature"]), data)

    assert trust.signing_bytes(context.decode(), signed["payload"]) == data


@pytest.mark.parametrize("name", SIGNED)
def test_a_signature_fits_no_other_kind_of_document(name: str) -> None:
    signed, holder, context = SIGNED[name]
    other = next(kind for *_, kind in SIGNED.values() if kind != context)

    with pytest.raises(InvalidSignature):
        public_key(holder).verify(
            unpadded(signed["signature"]), other + b"\n" + signed["payload"].encode()
        )


def test_the_content_digest_is_the_same_everywhere() -> None:
    content = golden.load("exam-document")["exam"]
    expected = "sha256:" + hashlib.sha256(rfc8785.dumps(content)).hexdigest()

    assert golden.load("answer-key")["content_digest"] == expected
    assert golden.load("bundle")["content_digest"] == expected
    assert golden.load("manifest")["content_digest"] == expected
    assert golden.load("exam-delivery")["spec"]["exam"]["contentDigest"] == expected


def test_a_golden_document_binds_to_the_golden_key() -> None:
    document = keys.ExamDocument.model_validate_json(golden.text("exam-document"))

    assert keys.bind_key(document).model_dump(mode="json") == golden.load("answer-key")


@pytest.mark.parametrize("table", results.TABLES)
def test_rows_are_counted_and_hashed_as_the_manifest_says(table: str) -> None:
    rows = golden.load("rows")[table]
    root = "sha256:" + _tree([rfc8785.dumps(row) for row in rows]).hex()

    assert golden.load("manifest")["tables"][table] == {"count": len(rows), "merkle_root": root}


@pytest.mark.parametrize("table", results.TABLES)
def test_rows_survive_their_model_byte_for_byte(table: str) -> None:
    model = results.ROW_MODELS[table]

    for row in golden.load("rows")[table]:
        assert model.model_validate(row).model_dump(mode="json") == row


@pytest.mark.parametrize("index", range(len(results.TABLES)))
def test_a_chunk_is_found_by_the_digest_of_its_bytes(index: int) -> None:
    chunk = golden.load("manifest")["chunks"][index]
    rows = golden.load("rows")[chunk["table"]]
    data = rfc8785.dumps({"table": chunk["table"], "rows": rows})

    assert chunk["digest"] == "sha256:" + hashlib.sha256(data).hexdigest()
    assert (chunk["rows"], chunk["size_bytes"]) == (len(rows), len(data))


def test_the_receipt_names_the_manifest() -> None:
    manifest = golden.load("manifest")
    expected = "sha256:" + hashlib.sha256(rfc8785.dumps(manifest)).hexdigest()

    assert golden.load("receipt")["manifest_digest"] == expected
    assert results.manifest_digest(results.Manifest.model_validate(manifest)) == expected


def test_the_audit_chain_is_unbroken() -> None:
    head = ""
    for row in golden.load("rows")["client_audit"]:
        entry = {name: row[name] for name in ("prev", "at", "actor", "action", "detail")}
        assert row["prev"] == head
        head = "sha256:" + hashlib.sha256(rfc8785.dumps(entry)).hexdigest()
        assert row["hash"] == head == results.audit_hash(**entry)

    assert golden.load("manifest")["audit_head"] == head


@pytest.mark.parametrize(
    ("name", "typ", "longest"),
    [
        ("token-participant", "medxamion-participant+jwt", 600),
        ("token-service", "medxamion-service+jwt", 60),
    ],
)
def test_a_token_is_a_compact_eddsa_jws(name: str, typ: str, longest: int) -> None:
    case = golden.load(name)
    head, body, signature = case["token"].split(".")

    public_key("trust-root").verify(unpadded(signature), f"{head}.{body}".encode())

    assert json.loads(unpadded(head)) == {"alg": "EdDSA", "kid": "c1", "typ": typ}
    claims = json.loads(unpadded(body))
    assert claims == case["claims"]
    assert set(claims) == {"iss", "aud", "sub", "nbf", "exp", "jti"}
    assert 0 < claims["exp"] - claims["nbf"] <= longest


def test_the_constants_of_tokens_are_those_of_the_golden_ones() -> None:
    words: list[Any] = [golden.load(f"token-{kind}")["typ"] for kind in ("participant", "service")]

    assert words == [trust.PARTICIPANT_TOKEN, trust.SERVICE_TOKEN]


def _tree(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, written from its recursive definition."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _tree(leaves[:split]) + _tree(leaves[split:])).digest()
