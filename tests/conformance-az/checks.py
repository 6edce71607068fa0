"""Drives a simulator with Microsoft's unmodified Azure CLI and prints what held.

In: the path of az, the simulator's address, its log of requests. Out: one line a check, a closing count, exit status 1 when anything
failed. az judges the wire: it must log in, deploy its template, find its way through every operation and understand every answer.
"""

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request

AZ, URL, LOG = sys.argv[1:]
GROUP = "conformance-rg"
IMAGE = "Canonical:ubuntu-24_04-lts:server:latest"
TENANT = "33333333-3333-3333-3333-333333333333"
APPLICATION = "22222222-2222-2222-2222-222222222222"
SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
SECRET = "not-a-real-secret"
PASSWORD = "Not-a-real-Passw0rd"
KEY = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 nobody"
DEPLOYMENT = f"{URL}/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Resources/deployments/by-hand?api-version=2021-04-01"

passed = failed = 0


def check(sentence, held, seen=None):
    global passed, failed
    if held:
        passed += 1
        print(f"  ok    {sentence}", flush=True)
    else:
        failed += 1
        print(f"  FAIL  {sentence}\n        saw: {str(seen)[:1500]}", flush=True)


class Said:
    def __init__(self, done):
        self.ok, self.words = done.returncode == 0, done.stderr.strip()
        try:
            self.value = json.loads(done.stdout) if done.stdout.strip() else None
        except ValueError:
            self.ok, self.words = False, f"no JSON: {done.stdout}"

    def __str__(self):
        return self.words or json.dumps(self.value)


def az(*words):
    command = [AZ, *words, "--output", "json"]
    try:
        return Said(subprocess.run(command, capture_output=True, text=True, timeout=180, check=False))
    except subprocess.TimeoutExpired:
        return Said(subprocess.CompletedProcess(command, 1, "", "no answer in three minutes"))


def gives(sentence, expected, *words):
    """az succeeds and prints exactly this (None: anything, or nothing)."""
    said = az(*words)
    check(sentence, said.ok and (expected is None or said.value == expected), said)
    return said.value


def refuses(sentence, code, *words):
    said = az(*words)
    check(sentence, not said.ok and code in said.words, said)


def control(what, **rule):
    """What the simulator is told beside az."""
    request = urllib.request.Request(f"{URL}/control/{what}", json.dumps(rule).encode(), method="POST")
    trust = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    urllib.request.urlopen(request, context=trust, timeout=10).close()


def of(action, name, *words):
    return ("vmss", action, "--resource-group", GROUP, "--name", name, *words)


def vm(action, name, *words):
    return ("vm", action, "--resource-group", GROUP, "--name", name, *words)


def until(sentence, expected, *words):
    """The same, as soon as it holds: evictions have a notice."""
    end = time.monotonic() + 30
    while (said := az(*words)).value != expected and time.monotonic() < end:
        time.sleep(0.5)
    check(sentence, said.value == expected, said)


def login():
    print("clouds and logins")
    gives("cloud register finds everything at the metadata endpoint", None, "cloud", "register", "--name", "Simulated", "--endpoint-resource-manager", URL)
    gives("the login host came from there", URL, "cloud", "show", "--name", "Simulated", "--query", "endpoints.activeDirectory")
    gives("cloud set", None, "cloud", "set", "--name", "Simulated")
    control("login", clientID=APPLICATION, secret=SECRET)
    who = ("--service-principal", "--username", APPLICATION, "--password", SECRET)
    refuses("a tenant that is none is refused", "AADSTS90002", "login", *who, "--tenant", "nobody.example")
    refuses("a wrong secret is refused", "AADSTS7000215", "login", *who[:-1], "another", "--tenant", TENANT)
    gives("login with a secret lists the subscription", [[SUBSCRIPTION, TENANT, "Enabled"]], "login", *who, "--tenant", TENANT, "--query", "[].[id,tenantId,state]")
    gives("account show", [SUBSCRIPTION, "Simulated", APPLICATION], "account", "show", "--query", "[id,environmentName,user.name]")
    gives("the tenants have a list, too", [TENANT], "rest", "--method", "get", "--url", f"{URL}/tenants?api-version=2022-12-01", "--resource", URL, "--query", "value[].tenantId")
    gives("group create", "Succeeded", "group", "create", "--name", GROUP, "--location", "eastus", "--query", "properties.provisioningState")
    gives("group show", "eastus", "group", "show", "--name", GROUP, "--query", "location")


def flexible():
    print("a Flexible scale set")
    name = "render"
    made = gives(
        "vmss create deploys a template with a Spot set of four, one of them regular",
        ["Succeeded", "Flexible", "Spot", "Deallocate", {"baseRegularPriorityCount": 1, "regularPriorityPercentageAboveBase": 0}],
        *of("create", name, "--orchestration-mode", "Flexible", "--image", IMAGE, "--vm-sku", "Standard_D4s_v5", "--instance-count", "4"),
        *("--priority", "Spot", "--eviction-policy", "Deallocate", "--max-price", "-1", "--regular-priority-count", "1", "--regular-priority-percentage", "0"),
        *("--admin-username", "azureuser", "--ssh-key-values", KEY),
        *("--query", "vmss.[provisioningState,orchestrationMode,virtualMachineProfile.priority,virtualMachineProfile.evictionPolicy,priorityMixPolicy]"),
    )
    if made is None:
        return
    network = "[virtualMachineProfile.networkProfile.networkInterfaceConfigurations[0]][0].[networkSecurityGroup.id,ipConfigurations[0].subnet.id]"
    ids = az(*of("show", name, "--query", network)).value or ["?", "?"]
    check("its network's names were resolved by the template", all(i.startswith(f"/subscriptions/{SUBSCRIPTION}/") for i in ids), ids)
    gives("the template's security group exists", ids[0], "network", "nsg", "show", "--resource-group", GROUP, "--name", "renderNSG", "--query", "id")
    gives("the template's network exists with its subnet", ids[1], "network", "vnet", "subnet", "show", "--ids", ids[1], "--query", "id")
    gives("the template's balancer has its NAT rule", ["NatRule"], "network", "lb", "show", "--resource-group", GROUP, "--name", "renderLB", "--query", "inboundNatRules[].name")
    gives("the template's address exists", "Succeeded", "network", "public-ip", "show", "--resource-group", GROUP, "--name", "renderLBPublicIP", "--query", "provisioningState")
    gives("vmss show", [name, 4, "Standard_D4s_v5"], *of("show", name, "--query", "[name,sku.capacity,sku.name]"))
    gives("vmss list", [name], "vmss", "list", "--resource-group", GROUP, "--query", "[].name")
    refuses("get-instance-view of a Flexible set is refused, as Azure does", "instanceView.GET", *of("get-instance-view", name))
    members = gives("list-instances follows its pages", None, *of("list-instances", name, "--query", "[].instanceId"))
    check("four instances by name", len(members or []) == 4 and all(m.startswith("render_") for m in members), members)
    listed = gives("vm list", None, "vm", "list", "--resource-group", GROUP, "--query", "[].[name,priority]") or []
    spot = sorted(n for n, priority in listed if priority == "Spot")
    check("three of them Spot and one regular", len(spot) == 3 and len(listed) == 4, listed)
    gives("scale", 6, *of("scale", name, "--new-capacity", "6", "--query", "sku.capacity"))
    gives("scale made two more", 6, *of("list-instances", name, "--query", "length(@)"))
    gives("update sets a tag", {"team": "render"}, *of("update", name, "--set", "tags.team=render", "--query", "tags"))
    gives("update sets the regular share", 2, *of("update", name, "--regular-priority-count", "2", "--query", "priorityMixPolicy.baseRegularPriorityCount"))
    states = ("--query", "instanceView.statuses[].code")
    gives("vm get-instance-view", ["ProvisioningState/succeeded", "PowerState/running"], *vm("get-instance-view", spot[0], *states))
    gives("vm simulate-eviction", None, *vm("simulate-eviction", spot[0]))
    until("the evicted instance is deallocated", ["ProvisioningState/succeeded", "PowerState/deallocated"], *vm("get-instance-view", spot[0], *states))
    regular = next((n for n, priority in listed if priority == "Regular"), "?")
    refuses("a regular instance cannot be evicted", "allowed only for Spot", *vm("simulate-eviction", regular))
    gives("deallocate", None, *of("deallocate", name))
    gives("deallocate was for all", ["ProvisioningState/succeeded", "PowerState/deallocated"], *vm("get-instance-view", regular, *states))
    gives("start", None, *of("start", name))
    gives("start was for all", ["ProvisioningState/succeeded", "PowerState/running"], *vm("get-instance-view", spot[0], *states))
    gives("vm deallocate of one", None, *vm("deallocate", spot[1]))
    gives("vm start of one", None, *vm("start", spot[1]))
    gives("delete-instances", None, *of("delete-instances", name, "--instance-ids", spot[0], spot[1]))
    left = az(*of("list-instances", name, "--query", "[].instanceId")).value or []
    check("four are left, and not those", len(left) == 4 and not {spot[0], spot[1]} & set(left), left)
    gives("delete", None, *of("delete", name))
    gives("nothing is left", [], "vmss", "list", "--resource-group", GROUP, "--query", "[].name")
    gives("no machine either", [], "vm", "list", "--resource-group", GROUP, "--query", "[].name")


def uniform():
    print("a Uniform scale set")
    name = "grid"
    made = gives(
        "vmss create takes a password and the network that is there",
        ["Succeeded", "Uniform", "Spot", 0.5],
        *of("create", name, "--orchestration-mode", "Uniform", "--image", IMAGE, "--vm-sku", "Standard_D4s_v5", "--instance-count", "3"),
        *("--priority", "Spot", "--eviction-policy", "Deallocate", "--max-price", "0.5", "--vnet-name", "renderVNET", "--subnet", "renderSubnet"),
        *("--admin-username", "azureuser", "--authentication-type", "password", "--admin-password", PASSWORD),
        *("--query", "vmss.[provisioningState,orchestrationMode,virtualMachineProfile.priority,virtualMachineProfile.billingProfile.maxPrice]"),
    )
    if made is None:
        return
    states = ("--query", "statuses[].code")
    gives("vmss show", [name, 3], *of("show", name, "--query", "[name,sku.capacity]"))
    gives("get-instance-view counts", [["ProvisioningState/succeeded", 3]], *of("get-instance-view", name, "--query", "virtualMachine.statusesSummary[].[code,count]"))
    gives("get-instance-view of one", ["ProvisioningState/succeeded", "PowerState/running"], *of("get-instance-view", name, "--instance-id", "0", *states))
    gives("get-instance-view of all", 3, *of("get-instance-view", name, "--instance-id", "*", "--query", "length(@)"))
    gives("list-instances", [["0", "grid_0"], ["1", "grid_1"], ["2", "grid_2"]], *of("list-instances", name, "--query", "[].[instanceId,name]"))
    gives("list-skus", True, *of("list-skus", name, "--query", "length([?sku.name=='Standard_D4s_v5']) == `1`"))
    gives("vmss simulate-eviction", None, *of("simulate-eviction", name, "--instance-id", "1"))
    until("the evicted instance is deallocated", ["ProvisioningState/succeeded", "PowerState/deallocated"], *of("get-instance-view", name, "--instance-id", "1", *states))
    gives("deallocate of one", None, *of("deallocate", name, "--instance-ids", "0"))
    gives("it is deallocated", "PowerState/deallocated", *of("get-instance-view", name, "--instance-id", "0", "--query", "statuses[1].code"))
    gives("start of two", None, *of("start", name, "--instance-ids", "0", "1"))
    gives("all run", ["PowerState/running"] * 3, *of("get-instance-view", name, "--instance-id", "*", "--query", "[].statuses[1].code"))
    gives("scale", 5, *of("scale", name, "--new-capacity", "5", "--query", "sku.capacity"))
    gives("update changes the model", "Succeeded", *of("update", name, "--set", "virtualMachineProfile.storageProfile.imageReference.version=24.04.202411010", "--query", "provisioningState"))
    models = of("list-instances", name, "--query", "[].latestModelApplied")
    gives("instances keep theirs, by manual upgrade policy", [False] * 5, *models)
    gives("update-instances", None, *of("update-instances", name, "--instance-ids", "*"))
    gives("now they have it", [True] * 5, *models)
    gives("restart", None, *of("restart", name, "--instance-ids", "2"))
    gives("stop", None, *of("stop", name, "--instance-ids", "2"))
    gives("it is stopped", "PowerState/stopped", *of("get-instance-view", name, "--instance-id", "2", "--query", "statuses[1].code"))
    gives("delete-instances", None, *of("delete-instances", name, "--instance-ids", "0", "1"))
    gives("those two are gone", ["2", "3", "4"], *of("list-instances", name, "--query", "[].instanceId"))
    gives("delete", None, *of("delete", name))
    refuses("then show finds nothing", "ResourceNotFound", *of("show", name))


def refusals():
    print("what must be refused")
    create = ("--orchestration-mode", "Flexible", "--image", IMAGE, "--priority", "Spot", "--admin-username", "azureuser", "--ssh-key-values", KEY)
    refuses("a size that is none fails the deployment, with Compute's reason", "Standard_Nothing", *of("create", "nothing", "--vm-sku", "Standard_Nothing", *create))
    gives("and leaves no scale set", [], "vmss", "list", "--resource-group", GROUP, "--query", "[].name")
    refuses("a version of an image that is none is refused", "VMImage was not found", "vm", "image", "show", "--location", "eastus", "--urn", IMAGE.replace("latest", "1.2.3"))
    template = {"$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0"}
    network = {"type": "Microsoft.Network/virtualNetworks", "apiVersion": "2022-01-01", "location": "eastus", "properties": {}}
    for sentence, resource in [
        ("a function that is not known is an invalid template", {**network, "name": "[uniqueString('a')]"}),
        ("so is a loop", {**network, "name": "a", "copy": {"name": "loop", "count": 2}}),
        ("so is waiting for what is not there", {**network, "name": "a", "dependsOn": ["b"]}),
    ]:
        body = json.dumps({"properties": {"mode": "Incremental", "template": {**template, "resources": [resource]}}})
        refuses(sentence, "InvalidTemplate", "rest", "--method", "put", "--url", DEPLOYMENT, "--resource", URL, "--body", body)


def quiet():
    print("what was said meanwhile")
    with open(LOG, encoding="utf-8") as log:
        text = log.read()
    exchanges = [json.loads(line) for line in text.splitlines()]
    check("no secret is in the simulator's log", SECRET not in text and PASSWORD not in text)
    unknown = [e["request"]["method"] + " " + e["request"]["url"] for e in exchanges if (e["response"] or {}).get("statusCode") == 501]
    check(f"of {len(exchanges)} requests the simulator knew every one", not unknown, unknown)


version = az("version", "--query", '"azure-cli"')
print(f"Azure CLI {version.value} against {URL}")
for part in (login, flexible, uniform, refusals, quiet):
    part()
print(f"{passed} of {passed + failed} checks passed")
sys.exit(1 if failed or not version.ok else 0)
