"""What the judge must let pass, and what it must find. Runs before every judgement, so that 0 violations mean something.

Microsoft's own examples and recorded answers of the real Azure are valid; one of them with one thing changed is not, and the changed place is
named.
"""

import copy
import json
import os
import unittest
from pathlib import Path

from azure import Azure
from judge import Judge

FOLDER = Path(os.environ["AZURE_SCHEMAS"])
AZURE = Azure(FOLDER)
BASE = "http://127.0.0.1:1/subscriptions/s"
COMPUTE = f"{BASE}/resourceGroups/rg/providers/Microsoft.Compute"
POLL = f"{BASE}/providers/Microsoft.Compute/locations/eastus/operations/f00?p=1&api-version=2024-07-01&t=2&c=%2B%2F&s=3&h=4"


def record(method, url, status=200, answer=None, body=None, **headers):
    sent = {"user-agent": "spotpool/0.1.0", "content-type": "application/json"}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"request": {"method": method, "url": url, "headers": sent, "body": body}, "response": {"statusCode": status, "headers": given, "body": answer}}


def example(policy):
    document = json.loads((FOLDER / f"VirtualMachineScaleSet_Create_With{policy}Policy.json").read_text())
    answer = document["responses"]["201"]["body"]
    url = f"{COMPUTE}/virtualMachineScaleSets/render?api-version=2024-07-01"
    return record("PUT", url, 201, answer, document["parameters"]["parameters"], azure_asyncoperation=POLL)


def create():
    return example("SpotRestore")


def poll(status="InProgress", **more):
    # As recorded: test_vmss_create_and_modify, Azure/azure-cli.
    return record("GET", POLL, 200, {"startTime": "2024-08-26T08:35:38.3894511+00:00", "status": status, "name": "f00", **more})


def refused():
    # As recorded: test_vmss_simulate_eviction, Azure/azure-cli.
    error = {"code": "OperationNotAllowed", "message": "Operation 'simulateEviction' is allowed only for Spot Virtual Machines"}
    return record("POST", f"{COMPUTE}/virtualMachines/v/simulateEviction?api-version=2024-07-01", 409, {"error": error})


def view():
    # As recorded, after an eviction: the same test.
    statuses = [
        {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded", "time": "2022-05-19T03:08:14.9549027+00:00"},
        {"code": "PowerState/deallocated", "level": "Info", "displayStatus": "VM deallocated"},
    ]
    return record("GET", f"{COMPUTE}/virtualMachineScaleSets/x/virtualMachines/1/instanceView?api-version=2024-07-01", 200,
                  {"placementGroupId": "d5a8", "platformUpdateDomain": 0, "platformFaultDomain": 0, "statuses": statuses})


def throttled():
    # As documented: Troubleshooting API throttling errors, Compute.
    details = [{"code": "TooManyRequests", "target": "HighCostGet3Min", "message": "{}"}]
    answer = {"code": "OperationNotAllowed", "message": "The server rejected the request", "details": details}
    return record("GET", f"{COMPUTE}/virtualMachines?api-version=2024-07-01", 429, answer)


def machines():
    filtered = f"{COMPUTE}/virtualMachines?api-version=2024-07-01&%24filter=x&%24expand=instanceView"
    machine = {"name": "x_1", "location": "eastus", "properties": {"priority": "SPOT", "hardwareProfile": {"vmSize": "Standard_D4s_v5"}}}
    return record("GET", filtered, 200, {"value": [machine], "nextLink": f"{filtered}&$skiptoken=a%2Fb"})


def numbered():
    # As recorded: a Uniform instance, the same test.
    properties = {"latestModelApplied": True, "modelDefinitionApplied": "VirtualMachineScaleSet", "provisioningState": "Succeeded",
                  "priority": "Spot", "evictionPolicy": "Delete", "billingProfile": {"maxPrice": -1.0}}
    instance = {"name": "x_3", "instanceId": "3", "location": "eastus", "sku": {"name": "Standard_D2s_v3", "tier": "Standard"}, "properties": properties}
    return record("GET", f"{COMPUTE}/virtualMachineScaleSets/x/virtualMachines?api-version=2024-07-01", 200, {"value": [instance]})


def throttled():
    # As documented: troubleshooting-throttling-errors.md.
    details = [{"code": "TooManyRequests", "target": "HighCostGet30Min", "message": "{}"}]
    answer = {"code": "OperationNotAllowed", "message": "The server rejected the request because too many requests have been received.", "details": details}
    return record("GET", f"{COMPUTE}/virtualMachineScaleSets/x?api-version=2024-07-01", 429, answer)


def next_page():
    page = machines()
    page["request"]["url"] = page["response"]["body"].pop("nextLink")
    return page


def delete_instances():
    url = f"{COMPUTE}/virtualMachineScaleSets/render/delete?api-version=2024-07-01"
    return record("POST", url, 202, None, {"instanceIds": ["render_1"]}, location=POLL + "&monitor=true")


def problems(*records):
    judge = Judge(AZURE)
    return [problem for one in records for problem in judge.judge(one)[2]]


def put(value, *path):
    """Changes one thing; None takes it away."""

    def change(one):
        *parents, last = path
        for step in parents:
            one = one[step]
        if value is None:
            del one[last]
        else:
            one[last] = value

    return change


def update():
    # As documented: qs-configure-rest-vmss.md, MicrosoftDocs/azure-docs.
    change = create()
    change["request"].update(method="PATCH", body={"identity": {"type": "SystemAssigned", "userAssignedIdentities": {"/id": None}}})
    change["response"]["statusCode"] = 200
    return change


SENT, GIVEN = ("request", "body"), ("response", "body")
PROFILE = ("properties", "virtualMachineProfile")
LEAVES = {"type": "UserAssigned", "userAssignedIdentities": {"/id": None}}
CORRUPTIONS = [
    # What is sent
    ("request body /evictionPolicy", create, put("Delete", *SENT, "evictionPolicy")),
    ("request body /properties/virtualMachineProfile/evictionPolicies", create, put(1, *SENT, *PROFILE, "evictionPolicies")),
    ("request body /identity/userAssignedIdentities//id", create, put(LEAVES, *SENT, "identity")),
    ("request body /identity/userAssignedIdentities//id/principalId", update, put({"principalId": "p"}, *SENT, "identity", "userAssignedIdentities", "/id")),
    ("answer 200 body /identity/userAssignedIdentities//id", update, put(LEAVES, *GIVEN, "identity")),
    ("request body /etag", create, put("1", *SENT, "etag")),
    ("request body /properties/provisioningState", create, put("Succeeded", *SENT, "properties", "provisioningState")),
    ("request body /location", create, put(None, *SENT, "location")),
    ("request body /sku/capacity", create, put("2", *SENT, "sku", "capacity")),
    ("request body /properties/virtualMachineProfile/priority", create, put("Sport", *SENT, *PROFILE, "priority")),
    ("request body /properties/virtualMachineProfile/networkProfile/networkApiVersion", create, put("2020", *SENT, *PROFILE, "networkProfile", "networkApiVersion")),
    ("request body /properties/priorityMixPolicy/regularPriorityPercentageAboveBase", create, put({"regularPriorityPercentageAboveBase": 101}, *SENT, "properties", "priorityMixPolicy")),
    ("request body", create, put("17 bytes that are not JSON", *SENT)),
    ("request body /instanceIds", delete_instances, put(None, *SENT, "instanceIds")),
    ("request body", machines, put({}, *SENT)),
    ("header content-type", create, put("text/plain", "request", "headers", "content-type")),
    ("header if-match", delete_instances, put('"1"', "request", "headers", "if-match")),
    ("query api-version", create, put(f"{COMPUTE}/virtualMachineScaleSets/r", "request", "url")),
    ("query api-version", create, put(f"{COMPUTE}/virtualMachineScaleSets/r?api-version=2024-11-01", "request", "url")),
    ("query force", create, put(f"{COMPUTE}/virtualMachineScaleSets/r?api-version=2024-07-01&force=true", "request", "url")),
    ("query forceDeletion", delete_instances, put(f"{COMPUTE}/virtualMachineScaleSets/r/delete?api-version=2024-07-01&forceDeletion=yes", "request", "url")),
    ("request", machines, put(f"{COMPUTE}/virtualMachine?api-version=2024-07-01", "request", "url")),
    ("request", create, put("POST", "request", "method")),
    ("query $skiptoken", machines, put(f"{COMPUTE}/virtualMachines?api-version=2024-07-01&$skiptoken=mine", "request", "url")),
    # What is given
    ("answer 201 body /properties/evicted", create, put(3, *GIVEN, "properties", "evicted")),
    ("answer 201 body /properties/timeCreated", create, put("yesterday", *GIVEN, "properties", "timeCreated")),
    ("answer 201 body /location", create, put(None, *GIVEN, "location")),
    ("answer 201 body /tags/a", create, put({"a": 1}, *GIVEN, "tags")),
    ("answer 201", create, put({}, "response", "headers")),
    ("answer 202", create, put(202, "response", "statusCode")),
    ("answer 202 body", delete_instances, put({}, *GIVEN)),
    ("answer 200 body /value/*/properties/priority", machines, put("Sport", *GIVEN, "value", 0, "properties", "priority")),
    ("answer 200 body /value/*/properties/evicted", numbered, put(True, *GIVEN, "value", 0, "properties", "evicted")),
    ("answer 200 body /value/*/properties/evictionPolicy", numbered, put("Stop", *GIVEN, "value", 0, "properties", "evictionPolicy")),
    ("answer 200 body /value", machines, put(None, *GIVEN, "value")),
    ("answer 200 body", machines, put([], *GIVEN)),
    ("answer 200 body /statuses/*/level", view, put("Fine", *GIVEN, "statuses", 0, "level")),
    ("answer 429 body /details/*/kind", throttled, put(1, *GIVEN, "details", 0, "kind")),
    ("answer 409 body /code", refused, put({"code": "x", "message": "y"}, *GIVEN)),
    ("answer 503 body /code", throttled, put(503, "response", "statusCode")),
    ("answer 429 body /wait", throttled, put(1, *GIVEN, "wait")),
    ("answer 409 body /error/kind", refused, put("x", *GIVEN, "error", "kind")),
]


class Judged(unittest.TestCase):
    def test_examples_and_recorded_answers_are_valid(self):
        for make in (create, lambda: example("PriorityMix"), update, refused, view, machines, numbered, throttled, delete_instances):
            self.assertEqual(problems(make()), [], make)
        self.assertEqual(problems(create(), poll(), poll("Succeeded", endTime="2024-08-26T08:36:38.3894511+00:00")), [])
        self.assertEqual(problems(machines(), next_page()), [])

    def test_one_wrong_thing_is_found_where_it_is(self):
        for place, make, change in CORRUPTIONS:
            corrupted = copy.deepcopy(make())
            change(corrupted)
            self.assertIn(place, [found.rstrip() for found, _ in problems(corrupted)], f"{place} of {json.dumps(corrupted)[:300]}")

    def test_addresses_are_used_as_they_were_handed_out(self):
        self.assertEqual(problems(poll()), [("request", "is not an address as it was handed out")])
        rebuilt = poll()
        rebuilt["request"]["url"] = POLL.partition("&t=")[0]
        self.assertEqual(problems(create(), rebuilt), [("request", "is not an address as it was handed out")])

    def test_a_failed_operation_says_why(self):
        self.assertEqual(problems(create(), poll("Failed")), [("answer 200 body /error", "is missing")])

    def test_a_stranger_may_ask_what_is_then_refused_and_the_operator_may_not(self):
        wrong = refused()
        wrong["request"]["url"] += "&force=true"
        self.assertEqual([place for place, _ in problems(wrong)], ["query force"])
        wrong["request"]["headers"]["user-agent"] = "curl"
        self.assertEqual(problems(wrong), [])

    def test_the_login_host_is_another_service(self):
        no = refused()
        no["request"]["url"] = "https://127.0.0.1:1/22222222-2222-2222-2222-222222222222/oauth2/v2.0/token"
        no["response"]["body"] = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
        self.assertEqual(problems(no), [])

    def test_a_request_without_an_answer_is_judged_alone(self):
        unheard = create()
        unheard["response"] = None
        self.assertEqual(problems(unheard), [])
        unheard["request"]["body"]["evictionPolicy"] = "Delete"
        self.assertEqual([place for place, _ in problems(unheard)], ["request body /evictionPolicy"])


if __name__ == "__main__":
    unittest.main()
