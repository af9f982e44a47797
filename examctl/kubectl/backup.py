"""``export``, ``open`` and ``keygen``: a sealed backup of a live delivery, and its proof.

The exam-client streams a same-key copy of its encrypted file; it is sealed here, while it comes,
to the public keys of those who may open it. Nothing touches a disk before that.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from exam_contract.backup import BackupNote
from exam_contract.base import rfc3339
from exam_contract.delivery import ExamDelivery
from examctl import console
from examctl.backups import proving, sealing
from examctl.backups.archive import HALF_BYTES, Archiver, ExportNote
from examctl.backups.proving import Proven
from examctl.console import Output, OutputOption
from examctl.errors import ExamctlError, UnreadableInputError
from examctl.files import read_file
from examctl.kubectl import control_port, deliveries
from examctl.kubectl.cluster import Cluster
from examctl.kubectl.options import (
    AddressOption,
    ContextOption,
    KubeconfigOption,
    NameArgument,
    NamespaceOption,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("export")(export)
    app.command("open")(open_backup)
    app.command("keygen")(keygen)


def export(
    name: NameArgument,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="A new file (0600); never overwritten.")
    ],
    recipient: Annotated[
        list[str] | None,
        typer.Option("--recipient", "-r", help="Public key (age1...); may be repeated."),
    ] = None,
    recipients_file: Annotated[
        Path | None,
        typer.Option("--recipients-file", "-R", help="A file of public keys, one a line."),
    ] = None,
    with_key: Annotated[
        bool,
        typer.Option(
            "--with-key",
            help="Seal the Secret's half of the key in, too: then whoever opens the seal can read"
            " the exam and every answer. Without it the backup can be opened only together with"
            " the delivery's Secret, which is erased with the delivery.",
        ),
    ] = False,
    address: AddressOption = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Take a backup of a live delivery, sealed to public keys while it streams.

    The exam goes on meanwhile. The file is in the age format and holds the encrypted database and
    the volume's half of its key. Prove it by `kubectl exam open` where the private key is.
    """
    recipients = sealing.parse_recipients(recipient or [], recipients_file)
    cluster = Cluster.connect(kubeconfig, context, namespace)
    stored = deliveries.existing(cluster, name)
    keys = control_port.read_keys(cluster, stored)
    if with_key and len(keys.storage_half) != HALF_BYTES:
        raise ExamctlError("the delivery's Secret holds no whole half of the key to seal in")
    half = keys.storage_half if with_key else None
    archiver = Archiver(_export_note(stored, with_key=with_key), half)
    with (
        control_port.reached(cluster, stored, keys, address) as control,
        control.backup() as stream,
    ):
        size = sealing.seal(archiver.pieces(sealing.readable(stream)), recipients, file)
    _show_export(stored, archiver.note, file, size, output, with_key=with_key)


def open_backup(
    file: Annotated[Path, typer.Argument(help="A file that `kubectl exam export` made.")],
    identity: Annotated[
        Path, typer.Option("--identity", "-i", help="The file with the private key.")
    ],
    storage_key: Annotated[
        Path | None,
        typer.Option(
            "--storage-key",
            help="A file with the Secret's half of the key, for a backup made without --with-key;"
            " - is standard input.",
            show_default=False,
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Prove that a backup can be restored: unseal it, check it, open its database, count.

    Needs no cluster. Shows counts only, never a name or an answer; nothing is left on the disk, and
    nothing was there in the clear.
    """
    half = proving.parse_half(_half_bytes(storage_key)) if storage_key is not None else None
    proven = proving.prove(file, sealing.read_identities(identity), half)
    _show_proven(proven, file, output)


def keygen(
    file: Annotated[
        Path, typer.Option("--file", "-f", help="Where the private key goes: a new file (0600).")
    ],
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a key pair for sealed backups and show its public half.

    Run it where backups are to be opened, and give only the public key to those who export. Who
    loses the private key loses every backup that is sealed to it alone.
    """
    public = sealing.create_identity(file)
    if output is Output.JSON:
        console.show_json({"public_key": public, "file": str(file)})
    else:
        console.out.print(f"Public key: {public}", markup=False)
        console.err.print(f"The private key is in {file}; keep it offline.", markup=False)


def _export_note(stored: ExamDelivery, *, with_key: bool) -> ExportNote:
    return ExportNote(
        name=stored.metadata.name,
        namespace=stored.metadata.namespace,
        delivery_uid=stored.metadata.uid or "",
        exam_id=stored.spec.exam.id,
        exam_version=stored.spec.exam.version,
        with_key=with_key,
        exported_at=datetime.now(UTC),
    )


def _half_bytes(path: Path) -> bytes:
    if str(path) == "-":
        return typer.get_binary_stream("stdin").read(4096)
    raw = read_file(path)
    if len(raw) > 4096:
        raise UnreadableInputError(f"{path} is no half of a key")
    return raw


def _show_export(
    stored: ExamDelivery,
    note: BackupNote | None,
    file: Path,
    size: int,
    output: Output,
    *,
    with_key: bool,
) -> None:
    if note is None:
        raise ExamctlError("the backup ended without its note")
    if output is Output.JSON:
        console.show_json(
            {"name": stored.metadata.name, "file": str(file), "bytes": size, "with_key": with_key}
            | note.model_dump(mode="json")
        )
        return
    told = (
        f"Backup of {stored.metadata.name} (epoch {note.epoch}, taken {rfc3339(note.taken_at)}):"
        f" {size} bytes in {file}, sealed."
    )
    console.out.print(told, markup=False)
    where = "holds both halves of the key" if with_key else "needs the delivery's Secret to be read"
    console.err.print(f"It {where}. Prove it: kubectl exam open {file} -i KEY", markup=False)


def _show_proven(proven: Proven, file: Path, output: Output) -> None:
    note, export = proven.contents.note, proven.contents.export
    if output is Output.JSON:
        shown = {"file": str(file), "opened": True, "counts": proven.counts}
        shown |= {"export": export.model_dump(mode="json") if export else None}
        console.show_json(shown | note.model_dump(mode="json"))
        return
    of = f"{export.namespace}/{export.name}, " if export else ""
    lines = [
        f"Whole: unsealed, {note.database_bytes} bytes, {note.database_sha256}",
        f"Of: {of}delivery {note.delivery_id}, uid {note.delivery_uid}",
        f"Taken: {rfc3339(note.taken_at)}, epoch {note.epoch}, incarnation {note.incarnation}",
        "Opened with both halves of the key; every page and table checked.",
        "Rows: " + ", ".join(f"{count} {table}" for table, count in proven.counts.items()),
    ]
    for line in lines:
        console.out.print(line, markup=False)
