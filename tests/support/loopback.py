"""HTTP to services of this machine: patient, past any proxy, and cheap.

httpx reads all certificate authorities for every call of its functions, some 25 ms of CPU each;
on plain loopback nobody needs them.
"""

import functools
import ssl

import httpx

from tests.support.waiting import PATIENCE_SECONDS

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = functools.partial(httpx.get, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES)
post = functools.partial(
    httpx.post, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES
)
put = functools.partial(httpx.put, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES)
delete = functools.partial(
    httpx.delete, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES
)
Client = functools.partial(
    httpx.Client, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES
)
AsyncClient = functools.partial(
    httpx.AsyncClient, timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_AUTHORITIES
)
