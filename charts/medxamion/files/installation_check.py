"""`helm test` asks: does the coordinator answer over verified TLS, and is ExamDelivery served?"""

import json
import ssl
import sys
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def fetch(url: str, ca_file: str, headers: dict[str, str]) -> bytes:
    context = ssl.create_default_context(cafile=ca_file)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, context=context, timeout=10) as reply:  # noqa: S310
        body: bytes = reply.read()
    return body


def main(coordinator_url: str) -> None:
    fetch(f"{coordinator_url}/sign-in", "/etc/medxamion/tls/ca.crt", {})
    print(f"the coordinator answers at {coordinator_url}")
    token = (ACCOUNT / "token").read_text()
    listing = fetch(
        "https://kubernetes.default.svc/apis/exams.medxamion.io/v1",
        str(ACCOUNT / "ca.crt"),
        {"Authorization": f"Bearer {token}"},
    )
    kinds = {resource["kind"] for resource in json.loads(listing)["resources"]}
    if "ExamDelivery" not in kinds:
        sys.exit("the API server does not serve ExamDelivery: is the CRD installed?")
    print("the API server serves ExamDelivery")


main(sys.argv[1])
