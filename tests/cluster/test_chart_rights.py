"""Each ServiceAccount of the chart may do exactly what stands here, in exactly these places."""

import json
import subprocess
from typing import Any

import pytest

from tests.support.account_rights import EVERYWHERE, WITH_DELIVERIES, Right
from tests.support.cluster import kubectl
from tests.support.cluster.installation import (
    DELIVERY_NAMESPACES,
    NAMESPACE,
    OPERATOR_NAMESPACE,
)

DELIVERIES = DELIVERY_NAMESPACES[0]
Json = dict[str, Any]
ACCOUNTS = {
    "operator": f"{OPERATOR_NAMESPACE}:medxamion-operator",
    "coordinator": f"{NAMESPACE}:medxamion-coordinator",
    "uninstall-guard": f"{NAMESPACE}:medxamion-uninstall-guard",
    "exam-client": f"{DELIVERIES}:exam-client",
}


pytestmark = pytest.mark.usefixtures("installed")


@pytest.mark.parametrize("part", ACCOUNTS)
def test_an_account_has_its_rights_where_deliveries_are(part: str) -> None:
    assert _rights(ACCOUNTS[part], DELIVERIES) == EVERYWHERE[part] | WITH_DELIVERIES[part]


@pytest.mark.parametrize("part", ACCOUNTS)
@pytest.mark.parametrize("place", [NAMESPACE, OPERATOR_NAMESPACE, "default", "kube-system"])
def test_an_account_has_no_more_than_the_cluster_wide_ones_elsewhere(part: str, place: str) -> None:
    assert _rights(ACCOUNTS[part], place) == EVERYWHERE[part]


@pytest.mark.parametrize("place", [NAMESPACE, OPERATOR_NAMESPACE, DELIVERIES])
def test_the_default_account_has_no_rights(place: str) -> None:
    assert _rights(f"{place}:default", place) == set()


@pytest.mark.parametrize(
    ("part", "question", "answer"),
    [
        ("operator", ["list", "secrets"], "no"),
        ("operator", ["create", "pods", "--subresource=exec"], "no"),
        ("operator", ["create", "pods", "--subresource=eviction"], "no"),
        ("operator", ["update", "pods", "--subresource=status"], "no"),
        ("operator", ["delete", "examdeliveries"], "no"),
        ("operator", ["get", "secrets"], "yes"),
        ("coordinator", ["get", "secrets"], "no"),
        ("coordinator", ["get", "pods"], "no"),
        ("coordinator", ["create", "examdeliveries"], "yes"),
        ("exam-client", ["get", "examdeliveries"], "no"),
    ],
)
def test_kubectl_says_so_too(part: str, question: list[str], answer: str) -> None:
    asked = ["kubectl", "auth", "can-i", "-n", DELIVERIES, *question]
    asked += ["--as", f"system:serviceaccount:{ACCOUNTS[part]}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == answer


def _rights(account: str, namespace: str) -> set[Right]:
    """What the account may do in the namespace beyond what every account may."""
    return _told(account, namespace) - _told("default:nobody-in-particular", "default")


def _told(account: str, namespace: str) -> set[Right]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    who, _, _ = account.partition(":")
    reply: Json = json.loads(
        kubectl.kubectl(
            *(
                "create",
                "--validate=false",
                "-f",
                "-",
                "-o",
                "json",
                "--as",
                f"system:serviceaccount:{account}",
            ),
            *("--as-group", "system:serviceaccounts"),
            *("--as-group", f"system:serviceaccounts:{who}"),
            *("--as-group", "system:authenticated"),
            stdin=json.dumps(review),
        )
    )
    assert not reply["status"]["incomplete"]
    return {
        (verb, f"{group}/{resource}", name)
        for rule in reply["status"]["resourceRules"]
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for name in rule.get("resourceNames", [""])
    }
