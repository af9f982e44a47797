"""ServiceAccount tokens as a cluster issues them, also wrong ones, and the keys to check them."""

import base64
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Json = dict[str, Any]
ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass
class Issuer:
    """``rsa`` signs unless told otherwise; ``jwks`` is what ``/openid/v1/jwks`` lists."""

    rsa: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "rsa-1"}))
    ec: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "ec-1"}))

    @property
    def jwks(self) -> Json:
        return {"keys": [self.rsa.as_dict(private=False), self.ec.as_dict(private=False)]}

    def token(
        self,
        namespace: str = "exams",
        account: str = "exam-client",
        pod_uid: str | None = "pod-1",
        *,
        algorithm: str = "RS256",
        lives: timedelta = timedelta(hours=1),
        header: Json | None = None,
        bound: bool = True,
        **claims: Any,
    ) -> str:
        """A projected token of a pod of that account."""
        now = datetime.now(UTC)
        things: Json = {
            "namespace": namespace,
            "serviceaccount": {"name": account, "uid": "account-uid"},
        }
        if pod_uid is not None:
            things["pod"] = {"name": "some-pod", "uid": pod_uid}
        body = {
            "iss": ISSUER,
            "aud": ["coordinator"],
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int((now + lives).timestamp()),
            "jti": str(uuid.uuid4()),
            **({"kubernetes.io": things} if bound else {}),
            **claims,
        }
        key = self.rsa if algorithm == "RS256" else self.ec
        kid = {"kid": key.kid, **(header or {})}
        return jwt.encode({"alg": algorithm, **kid}, body, key, algorithms=[algorithm])

    def genuine(self, token: str) -> Json | None:
        """The claims of a token that this cluster issued and that has not expired."""
        for key in (self.rsa, self.ec):
            try:
                claims = jwt.decode(token, key, algorithms=["RS256", "ES256"]).claims
            except (JoseError, ValueError):
                continue
            return claims if claims["exp"] > datetime.now(UTC).timestamp() else None
        return None


def unsigned(token: str) -> str:
    """The same claims under ``alg: none``."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."
