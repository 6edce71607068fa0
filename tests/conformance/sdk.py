"""Microsoft's client against an address, and the little that its versions spell differently."""

import inspect
from importlib.metadata import version

from azure.core import MatchConditions
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute import ComputeManagementClient

VERSION = version("azure-mgmt-compute")
# The api-version whose models each of them brings.
API_VERSION = {"33.0.0": "2024-07-01", "39.0.0": "2026-04-01"}[VERSION]
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"


class PlainBearer(SansIOHTTPPolicy):
    """The SDK's own token policies insist on https; its seam for another one is `authentication_policy`."""

    def __init__(self, token):
        self.token = token
        self.api_versions = set()

    def on_request(self, request):
        if self.token:
            request.http_request.headers["Authorization"] = f"Bearer {self.token}"
        if "/virtualMachine" in request.http_request.url:
            self.api_versions.add(request.http_request.query.get("api-version"))


class Sdk:
    """`retries`: none, unless they are what is tried."""

    def __init__(self, address, retries=0, token="simulated", subscription=SUBSCRIPTION):
        self.policy = PlainBearer(token)
        self.client = ComputeManagementClient(
            credential=object(),
            subscription_id=subscription,
            base_url=address,
            authentication_policy=self.policy,
            polling_interval=0.1,
            retry_total=retries,
        )
        self.sets = self.client.virtual_machine_scale_sets
        self.machines = self.client.virtual_machines
        self.members = self.client.virtual_machine_scale_set_vms
        self._names_headers = "if_match" in inspect.signature(self.sets.begin_update).parameters

    def if_match(self, etag):
        """Arguments that guard a write by an ETag; `*`: it must exist."""
        if self._names_headers:
            return {"if_match": etag}
        if etag == "*":
            return {"match_condition": MatchConditions.IfPresent}
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    def if_new(self):
        """Arguments that let a write only create."""
        return {"if_none_match": "*"} if self._names_headers else {"match_condition": MatchConditions.IfMissing}
