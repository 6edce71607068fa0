"""Microsoft's descriptions of Azure Compute as JSON Schemas.

In: the folder with `compute-2024-07-01.from-sdk.swagger.json` and the template schemas. Out: for a method and a path the operation that it
names, for a body the places where it is not what that operation takes or gives. The swagger leaves three things to its reader: unknown
properties are errors, read-only ones may not be sent, and enumerations are compared without regard to case, as Azure compares them.
"""

import json
import re
from pathlib import Path

import jsonschema_rs

SWAGGER = "compute-2024-07-01.from-sdk.swagger.json"
TEMPLATES = "schemas/2024-07-01/Microsoft.Compute.json"
EXPRESSION = "https://schema.management.azure.com/schemas/common/definitions.json#/definitions/expression"

# Enumerations that are known to be incomplete.
OPEN_ENUMERATIONS = {
    # Ends with the sizes of 2018; its own description calls the list deprecated and sends its reader to the API that lists sizes.
    "VirtualMachineSizeTypes",
}

# What Compute says of a Uniform instance although the swagger does not know it (recorded: azure-cli, test_vmss_simulate_eviction.yaml).
RECORDED_OF_INSTANCES = {
    "priority": {"type": "string", "enum": ["Regular", "Low", "Spot"]},
    "evictionPolicy": {"type": "string", "enum": ["Deallocate", "Delete"]},
    "billingProfile": {"$ref": "#/definitions/BillingProfile"},
}

# What a PATCH may set to null although the swagger says object: that takes an identity away (MicrosoftDocs, qs-configure-rest-vmss.md). In a PUT
# the template schema still refuses it.
TAKEN_AWAY_BY_NULL = "UserAssignedIdentitiesValue"

# Bodies that the swagger in the folder requires and Microsoft's own client may leave out.
OPTIONAL_BODIES = {"VirtualMachineScaleSetVMs_Reimage"}

# What the swagger has no path for although Compute answers there: the addresses that it hands out for long-running operations. Their form is
# in Azure's Resource Provider Contract, async-api-reference.md.
OPERATION_STATUS = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "status": {"type": "string"},
        "startTime": {"type": "string", "format": "date-time"},
        "endTime": {"type": "string", "format": "date-time"},
        "percentComplete": {"type": "number", "minimum": 0, "maximum": 100},
        "properties": {"type": "object"},
        "error": {"$ref": "#/definitions/ApiError"},
    },
    "required": ["status"],
    "if": {"properties": {"status": {"enum": ["Failed", "Canceled"]}}},
    "then": {"required": ["error"]},
}


class Operation:
    """One entry of the swagger: its parameters, its body and its answers."""

    def __init__(self, spec):
        self.name = spec["operationId"]
        self.long_running = spec.get("x-ms-long-running-operation", False)
        self.answers = spec["responses"]
        parameters = spec["parameters"]
        self.query = {p["name"]: p for p in parameters if p["in"] == "query"}
        self.headers = {p["name"].lower() for p in parameters if p["in"] == "header"}
        self.body = next((p for p in parameters if p["in"] == "body"), None)
        self.needs_body = bool(self.body and self.body["required"]) and self.name not in OPTIONAL_BODIES


class Azure:
    """The folder, read once."""

    def __init__(self, folder):
        swagger = json.loads((Path(folder) / SWAGGER).read_text())
        self.templates = json.loads((Path(folder) / TEMPLATES).read_text())
        swagger["definitions"]["VirtualMachineScaleSetVM"]["properties"]["properties"]["properties"].update(RECORDED_OF_INSTANCES)
        definitions = {**swagger["definitions"], "OperationStatus": OPERATION_STATUS}
        self.definitions = {side: {name: strict(schema, side) for name, schema in definitions.items()} for side in ("sent", "given")}
        self.definitions["sent"][TAKEN_AWAY_BY_NULL]["type"] = ["object", "null"]
        self.validators = {}
        self.operations = [
            (method.upper(), pattern(path), Operation(spec)) for path, methods in swagger["paths"].items() for method, spec in methods.items()
        ]

    def operation(self, method, path):
        """The operation that a request names; ARM does not regard the case of a path."""
        return next((operation for verb, form, operation in self.operations if verb == method and form.fullmatch(path)), None)

    def problems(self, schema, side, body):
        """Where a body that was `sent` or `given` is not as the schema wants it, as pairs of place and sentence."""
        key = (side, json.dumps(schema, sort_keys=True))
        if key not in self.validators:
            self.validators[key] = validator({**strict(schema, side), "definitions": self.definitions[side]})
        yield from errors(self.validators[key], body)

    def template_problems(self, path, body):
        """The same for a resource as Microsoft's template schema has it: a description of its own, with enumerations that the swagger has lost."""
        kind = re.search(r"/providers/Microsoft\.Compute/(\w+)/[^/]+$", path, re.IGNORECASE)
        known = {name.lower(): name for name in self.templates["resourceDefinitions"]}
        name = known.get(kind[1].lower()) if kind else None
        if name is None:
            return
        if name not in self.validators:
            self.validators[name] = validator({"$ref": f"#/resourceDefinitions/{name}", **without_expressions(self.templates)})
        resource = {"name": path.rsplit("/", 1)[1], "type": f"Microsoft.Compute/{name}", "apiVersion": "2024-07-01", **body}
        yield from errors(self.validators[name], resource)


def pattern(path):
    """`/a/{b}` as an expression for paths."""
    return re.compile("/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/")), re.IGNORECASE)


def strict(schema, side):
    """A schema of the swagger as JSON Schema has it, with what the swagger leaves to its reader said."""
    if isinstance(schema, list):
        return [strict(item, side) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    result = {key: strict(value, side) for key, value in schema.items() if key not in ("properties", "enum", "x-ms-enum", "readOnly")}
    if "properties" in schema:
        refused = {name for name, one in schema["properties"].items() if side == "sent" and isinstance(one, dict) and one.get("readOnly")}
        result["properties"] = {name: False if name in refused else strict(one, side) for name, one in schema["properties"].items()}
        result["required"] = [name for name in schema.get("required", []) if name not in refused]
        if schema.get("type") == "object":
            result.setdefault("additionalProperties", False)
    if "enum" in schema and schema.get("x-ms-enum", {}).get("name") not in OPEN_ENUMERATIONS:
        result["pattern"] = "^(?i:" + "|".join(re.escape(str(value)) for value in schema["enum"]) + ")$"
    return result


def without_expressions(schema):
    """Template schemas allow an expression wherever a value may stand; in a request there are none. What other files describe is let be."""
    if isinstance(schema, list):
        return [without_expressions(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if str(schema.get("$ref", "#")).startswith("https:"):
        return {}
    choices = [one for one in schema.get("oneOf", []) if one != {"$ref": EXPRESSION}] if isinstance(schema.get("oneOf"), list) else []
    if len(choices) == 1:
        return without_expressions(choices[0])
    # An `id` would move the root that its own references start from.
    return {key: without_expressions(value) for key, value in schema.items() if not (key == "id" and isinstance(value, str))}


def validator(schema):
    schema.pop("$schema", None)
    # Masked, a sentence is the same for each value that is wrong in the same way, and no value of a request is printed.
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True, mask="the value")


def errors(checked, body):
    for error in checked.iter_errors(body):
        place = "".join(f"/{'*' if isinstance(step, int) else step}" for step in error.instance_path)
        kind = error.kind
        if kind.name == "falseSchema":
            yield place, "is read-only"
        elif kind.name == "additionalProperties":
            yield from ((f"{place}/{name}", "is not in the schema") for name in kind.unexpected)
        elif kind.name == "required":
            yield f"{place}/{kind.property}", "is missing"
        else:
            yield place, error.message.replace("the value ", "", 1)
