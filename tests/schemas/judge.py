"""One record of traffic against Microsoft's descriptions.

In: the lines of one simulator's log in their order. Out: for each the operation and what is wrong with the request and with the answer. An
address that Azure hands out (the next page of a list, the state of an operation) is to be used as it was given, so a judge remembers those
of its log.
"""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

OPERATION_ADDRESS = re.compile("/subscriptions/[^/]+/providers/Microsoft.Compute/locations/[^/]+/operations/[^/]+", re.IGNORECASE)
ERROR = {"$ref": "#/definitions/CloudError"}
BARE_ERROR = {"$ref": "#/definitions/ApiError"}
STATUS = {"$ref": "#/definitions/OperationStatus"}

# What belongs to other descriptions than those of the folder: Microsoft.Compute/skus has a version of its own (2021-07-01), subscriptions and
# resource groups belong to Microsoft.Resources, and Resource Graph is not in the compute description at all. Such messages are counted apart and not called valid.
ELSEWHERE = {
    "question to Resource Graph": re.compile("/providers/Microsoft.ResourceGraph/resources", re.IGNORECASE),
    "list of VM sizes": re.compile("/subscriptions/[^/]+/providers/Microsoft.Compute/skus", re.IGNORECASE),
    "resource group": re.compile("/subscriptions/[^/]+/resourceGroups/[^/]+", re.IGNORECASE),
    "subscription": re.compile("/subscriptions/[^/]+", re.IGNORECASE),
}


# Where tokens come from: another service, with errors in other words.
LOGIN_HOST = re.compile(r"/metadata/endpoints|/[^/]+/oauth2/.*|/[^/]+(/v2\.0)?/\.well-known/.*", re.IGNORECASE)


class Judge:
    """For one log."""

    def __init__(self, azure):
        self.azure = azure
        self.handed_out = set()

    def judge(self, record):
        """The operation's name, whether the folder describes it, and the problems as pairs of place and sentence."""
        request, answer = record["request"], record["response"]
        url = urlsplit(request["url"])
        path = unquote(url.path)
        if LOGIN_HOST.fullmatch(path):
            return "(login host)", False, []
        query = parse_qsl(url.query, keep_blank_values=True)
        as_given = address(request["url"]) in self.handed_out
        operation = self.azure.operation(request["method"], path)
        if operation:
            name, described = operation.name, True
            asked = list(self.request(operation, request, path, query, as_given))
            answered = self.answer(operation, answer)
        elif OPERATION_ADDRESS.fullmatch(path):
            name, described = "(the state of a long-running operation)", True
            asked = [] if as_given else [("request", "is not an address as it was handed out")]
            answered = self.state(answer, monitor=("monitor", "true") in query)
        else:
            name = next((name for name, form in ELSEWHERE.items() if form.fullmatch(path)), None)
            described = name is None
            name = name or f"{request['method']} {re.sub('[0-9a-f-]{36}', '*', path)}"
            asked = [("request", "is no operation that is described")] if described else []
            answered = []
        if answer:
            self.remember(answer)
            if answer["statusCode"] >= 400:
                answered = self.error(answer)
                # Tests ask wrong questions as somebody else, to see them refused. What the operator sends is held to the letter always.
                if not request["headers"].get("user-agent", "").startswith("spotpool/"):
                    asked = []
        return name, described, asked + list(answered)

    def request(self, operation, request, path, query, as_given):
        for name, value in query:
            parameter = operation.query.get(name)
            if parameter:
                yield from self.parameter(parameter, value)
            elif not as_given:
                yield f"query {name}", "is not a parameter of this operation"
        for name, parameter in operation.query.items():
            if parameter["required"] and name not in dict(query):
                yield f"query {name}", "is missing"
        for name in ("if-match", "if-none-match"):
            if name in request["headers"] and name not in operation.headers:
                yield f"header {name}", "is not a parameter of this operation"
        body = request["body"]
        if body is None:
            if operation.needs_body:
                yield "request body", "is missing"
        elif operation.body is None:
            yield "request body", "is not expected"
        else:
            if not json_content(request["headers"]):
                yield "header content-type", "does not say application/json"
            for place, sentence in self.azure.problems(operation.body["schema"], "sent", body):
                yield f"request body {place}", sentence
            # A template describes a whole resource; a PUT that only scales is part of one.
            if request["method"] == "PUT" and isinstance(body, dict) and "properties" in body:
                for place, sentence in self.azure.template_problems(path, body):
                    yield f"request body {place}", f"{sentence} (template schema)"

    def parameter(self, parameter, text):
        value = text
        if parameter["type"] == "boolean":
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif parameter["type"] == "integer" and re.fullmatch("-?[0-9]+", text):
            value = int(text)
        schema = {key: parameter[key] for key in ("type", "enum", "format") if key in parameter}
        for _, sentence in self.azure.problems(schema, "sent", value):
            yield f"query {parameter['name']}", sentence

    def answer(self, operation, answer):
        if not answer or answer["statusCode"] >= 400:
            return
        status, headers = answer["statusCode"], answer["headers"]
        if str(status) not in operation.answers:
            yield f"answer {status}", "is not a status of this operation"
            return
        schema = operation.answers[str(status)].get("schema")
        yield from self.given(status, schema, answer)
        if operation.long_running and status in (201, 202) and not {"azure-asyncoperation", "location"} & headers.keys():
            yield f"answer {status}", "does not say where the operation's state can be asked for"

    def state(self, answer, monitor):
        if not answer or answer["statusCode"] >= 400:
            return
        status = answer["statusCode"]
        if monitor:
            yield from [] if status in (200, 202, 204) else [(f"answer {status}", "is not a status of a monitor")]
            yield from self.given(status, None, answer)
            if status == 202 and "location" not in answer["headers"]:
                yield f"answer {status}", "does not say where to ask again"
        else:
            yield from [] if status == 200 else [(f"answer {status}", "is not a status of an operation's address")]
            yield from self.given(status, STATUS, answer)

    def error(self, answer):
        # Compute's own 429 comes without the wrapper `error` (learn.microsoft.com: troubleshoot throttling errors, its sample).
        bare = answer["statusCode"] == 429 and isinstance(answer["body"], dict) and "error" not in answer["body"]
        yield from self.given(answer["statusCode"], BARE_ERROR if bare else ERROR, answer)

    def given(self, status, schema, answer):
        body = answer["body"]
        if schema is None:
            if body is not None:
                yield f"answer {status} body", "is not expected"
        elif body is None:
            yield f"answer {status} body", "is missing"
        else:
            for place, sentence in self.azure.problems(schema, "given", body):
                yield f"answer {status} body {place}", sentence

    def remember(self, answer):
        links = [answer["headers"].get("azure-asyncoperation"), answer["headers"].get("location")]
        if isinstance(answer["body"], dict):
            links.append(answer["body"].get("nextLink"))
        self.handed_out.update(address(link) for link in links if isinstance(link, str))


def address(url):
    """What makes two spellings of an address the same one: clients may escape in their own way."""
    parts = urlsplit(url)
    return unquote(parts.path), tuple(parse_qsl(parts.query, keep_blank_values=True))


def json_content(headers):
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
