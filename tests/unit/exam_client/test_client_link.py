"""Whom the exam-client believes to be the coordinator: what its CA file holds, and nobody else."""

from pathlib import Path

import pytest

from exam_client.errors import CoordinatorAway
from exam_client.sync.link import Link


@pytest.mark.parametrize("content", [None, b"", b"\n", b"nonsense", "Schlüssel".encode()])
async def test_a_file_without_certificates_leaves_nobody_to_believe(
    tmp_path: Path, content: bytes | None
) -> None:
    """Above all not the authorities of the machine."""
    believed = tmp_path / "ca.crt"
    if content is not None:
        believed.write_bytes(content)
    link = Link("https://127.0.0.1:1", believed, {})

    with pytest.raises(CoordinatorAway, match=r"ca\.crt holds no certificates to verify with"):
        await link.request("GET", "/")

    await link.close()
