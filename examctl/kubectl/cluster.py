"""A person's way to the Kubernetes API: their kubeconfig, their rights, and errors in words.

Objects stay plain JSON. Every call is bounded in time.
"""

import json
from enum import Enum
from pathlib import Path
from typing import Any, Self

import urllib3
import yaml
from kubernetes import client, config

from exam_contract.delivery import GROUP, PLURAL, VERSION
from examctl.errors import ExamctlError, RefusedError, UnreachableError, UnreadableInputError

Json = dict[str, Any]
_TIMEOUT_SECONDS = (5.0, 30.0)
_MERGE_PATCH = "application/merge-patch+json"
_MEND = "name a kubeconfig by --kubeconfig or KUBECONFIG, and by --context which cluster"


class Kind(Enum):
    """What the plugin looks at: API group and version, and the plural."""

    DELIVERY = (f"apis/{GROUP}/{VERSION}", PLURAL)
    POD = ("api/v1", "pods")
    CLAIM = ("api/v1", "persistentvolumeclaims")
    SECRET = ("api/v1", "secrets")
    EVENT = ("api/v1", "events")


class Cluster:
    """One cluster and a namespace in it, as a person is signed in there.

    ``kubectl_options``: what makes a kubectl beside us look at the same place.
    """

    def __init__(
        self, http: client.ApiClient, namespace: str, kubectl_options: tuple[str, ...] = ()
    ) -> None:
        self._http = http
        self.namespace = namespace
        self.kubectl_options = kubectl_options

    @classmethod
    def connect(cls, kubeconfig: Path | None, context: str | None, namespace: str | None) -> Self:
        """As the options say, else as the kubeconfig says. Raises UnreadableInputError."""
        made = client.Configuration()
        made.retries = False
        file = str(kubeconfig) if kubeconfig is not None else None
        try:
            usual = _usual_namespace(file, context)
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=file, context=context, client_configuration=made
            )
        except (config.ConfigException, OSError) as error:
            raise UnreadableInputError(
                f"no way to a cluster: {_first_line(error)}", _MEND
            ) from error
        except (yaml.YAMLError, TypeError, ValueError, AttributeError, KeyError) as error:
            raise UnreadableInputError(
                "what KUBECONFIG or --kubeconfig names is no kubeconfig", _MEND
            ) from error
        chosen = namespace or usual
        options = [f"--namespace={chosen}"]
        options += [f"--kubeconfig={file}"] if file else []
        options += [f"--context={context}"] if context else []
        return cls(client.ApiClient(made), chosen, tuple(options))

    @property
    def address(self) -> str:
        return str(self._http.configuration.host)

    def get(self, kind: Kind, name: str) -> Json | None:
        """The object; None when it is not there."""
        status, body = self._call("GET", self._path(kind, name))
        if status == 404 and (kind is not Kind.DELIVERY or _names_an_object(body)):
            return None
        return self._done("get", kind, status, body)

    def listed(self, kind: Kind, *, everywhere: bool = False, **query: str) -> list[Json]:
        """Objects of the namespace, or of all; ``query`` as labelSelector, fieldSelector."""
        path = self._path(kind, None, everywhere=everywhere)
        status, body = self._call("GET", path, query=query)
        items: list[Json] = self._done("list", kind, status, body)["items"]
        return items

    def annotate(self, kind: Kind, name: str, annotations: dict[str, str | None]) -> Json:
        """Set annotations, or take them away by None; the object as it is then."""
        change = {"metadata": {"annotations": annotations}}
        status, body = self._call("PATCH", self._path(kind, name), change)
        if status == 404 and _names_an_object(body):
            raise ExamctlError(f"{name} is gone", "`kubectl exam status` lists what is there")
        return self._done("patch", kind, status, body)

    def _path(self, kind: Kind, name: str | None, *, everywhere: bool = False) -> str:
        base, plural = kind.value
        place = (
            f"/{base}/{plural}" if everywhere else f"/{base}/namespaces/{self.namespace}/{plural}"
        )
        return place if name is None else f"{place}/{name}"

    def _call(
        self, method: str, path: str, body: Json | None = None, query: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        content = _MERGE_PATCH if method == "PATCH" else "application/json"
        try:
            wanted = self._http.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._http.call_api(*wanted, _request_timeout=_TIMEOUT_SECONDS)
            raw = response.read()  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            raise UnreachableError(
                f"the API server at {self.address} does not answer: {_first_line(error)}",
                "is the cluster up, and does --context name the right one?",
            ) from error
        return response.status, _parsed(raw)

    def _done(self, verb: str, kind: Kind, status: int, body: Json) -> Json:
        """The body of a success. Raises an error in words for everything else."""
        if status < 300:
            return body
        group, plural = kind.value
        said = str(body.get("message") or f"it answered {status}")[:1000]
        match status:
            case 401:
                raise RefusedError(
                    f"the cluster at {self.address} does not accept who you are: {said}",
                    "sign in to the cluster again, or choose another --context",
                )
            case 403:
                raise RefusedError(
                    f"forbidden: {said}",
                    f"ask who administers the cluster for the right to {verb} {plural} in"
                    f" {self.namespace}; docs/kubectl-exam.md has the Role for every verb",
                )
            case 404 if kind is Kind.DELIVERY:
                raise ExamctlError(
                    f"the cluster at {self.address} knows no ExamDelivery ({group})",
                    "install the chart medxamion there, or choose another --context",
                )
            case 429 | 500 | 502 | 503 | 504:
                raise UnreachableError(f"the API server: {said}", "try again; it is safe to repeat")
            case _:
                raise RefusedError(f"the API server refuses: {said}")


def _usual_namespace(file: str | None, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
        config_file=file
    )
    named = next((one for one in contexts if one["name"] == context), active)
    return str((named.get("context") or {}).get("namespace") or "default")


def _names_an_object(body: Json) -> bool:
    """A 404 about an object names it; one about an unknown resource does not."""
    details = body.get("details") or {}
    return bool(details.get("name"))


def _parsed(raw: bytes) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
