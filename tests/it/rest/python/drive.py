"""Drives a running service through a client that is generated from its own OpenAPI document.

    drive.py URL LEGACY_DOCUMENT ADMIN ADMIN_TOKEN USER USER_TOKEN

Every operation of the document is called with arguments that fit, and has to be answered with a documented success
that the client can parse, without a property that the document does not know. Ends with 1 and a reason otherwise.
"""

import importlib
import inspect
import json
import pathlib
import subprocess
import sys
import tempfile
import typing
import urllib.request

# Nothing reformats the code afterwards.
CONFIG = "post_hooks: []\n"


def main(url, legacy_document, admin, admin_token, user, user_token):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        sys.path.insert(0, str(folder))
        with urllib.request.urlopen(f"{url}/openapi.json") as answer:
            (folder / "ours.json").write_bytes(answer.read())
        generate(folder, folder / "ours.json", "ours")
        generate(folder, pathlib.Path(legacy_document), "legacy")
        compare(folder)
        document = json.loads((folder / "ours.json").read_text())
        service = Service(url, document, {admin: admin_token, user: user_token})
        count = drive(service, admin, user)
        exceptions(service, admin, user)
    print(f"{count} operations")


def generate(folder, document, name):
    """Generates a client; a warning is an operation or a schema that the generator skips."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    program = pathlib.Path(sys.executable).parent / "openapi-python-client"
    command = [program, "generate", "--path", document, "--meta", "none", "--output-path", folder / name]
    done = subprocess.run([*command, "--config", config, "--fail-on-warning"], capture_output=True, text=True)
    check(done.returncode == 0, f"no client from {document.name}: {done.stdout}{done.stderr}")
    check("arning" not in done.stdout + done.stderr, done.stdout + done.stderr)


def compare(folder):
    """Code that was written for the legacy client finds every module, model and property again."""
    modules = lambda name: {path.relative_to(folder / name) for path in (folder / name).glob("*/**/*.py")}
    missing = modules("legacy") - modules("ours")
    # The schema of a free-form condition has a name that the generator makes up.
    missing = {path for path in missing if "condition" not in path.name}
    check(not missing, f"modules are missing: {sorted(map(str, missing))}")
    theirs, ours = importlib.import_module("legacy.models"), importlib.import_module("ours.models")
    for name in theirs.__all__:
        if "Condition" in name:
            continue
        members = lambda models: {member for member in dir(getattr(models, name)) if not member.startswith("__")}
        missing = fields(getattr(theirs, name)) - fields(getattr(ours, name))
        check(not missing and members(theirs) <= members(ours), f"{name} lacks {missing}")


def fields(model):
    return {field.name for field in getattr(model, "__attrs_attrs__", ())}


class Service:
    """The generated client, once for each person, and what the document says of each operation."""

    def __init__(self, url, document, tokens):
        client = importlib.import_module("ours")
        self.models = importlib.import_module("ours.models")
        self.clients = {
            name: client.AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)
            for name, token in tokens.items()
        }
        self.modules = {}
        for path in pathlib.Path(client.__file__).parent.glob("api/*/*.py"):
            if path.stem != "__init__":
                module = importlib.import_module(f"ours.api.{path.parent.name}.{path.stem}")
                self.modules[collapse(path.stem)] = module
        self.operations = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]

    def call(self, name, operation_id, **arguments):
        module = self.modules[collapse(operation_id)]
        return module.sync_detailed(client=self.clients[name], **arguments)


def collapse(text):
    """An operation id as module names spell it."""
    return "_".join(part for part in text.split("_") if part)


def drive(service, admin, user):
    """Calls every operation once, those first that make what others need."""
    operations = sorted(service.operations, key=lambda each: turn(*each[:2]))
    check(len(operations) == len(service.modules), "operations and modules are as many")
    for method, path, operation in operations:
        arguments = arguments_of(service, operation, admin, user)
        answer = service.call(admin, operation["operationId"], **arguments)
        place = f"{method.upper()} {path} with {arguments}: {answer.status_code} {answer.content[:2000]}"
        check(str(int(answer.status_code)) in operation["responses"] and answer.status_code < 300, place)
        check(answer.parsed is not None, f"not parsed: {place}")
        check(type(answer.parsed).__name__ != "ErrorResponse", place)
        check_properties(answer.parsed, place)
    return len(operations)


def turn(method, path):
    """When an operation has its turn."""
    if method == "delete":
        return (3, -path.count("/"), path)
    if path == "/credentials/":
        return (0, 0, path)
    makes = method == "post" and path.startswith("/management/") and path.endswith("}")
    return (1, not path.startswith("/management/users"), path) if makes else (2, 0, path)


def arguments_of(service, operation, admin, user):
    """Arguments that fit, by their names."""
    folder = f"s3a://cdm-lake/users-general-warehouse/{admin}/data/"
    by_name = {
        "group_name": "crew",
        "tenant": "crew",
        "username": user,
        "user": user,
        "policy_name": "group-policy-nobodys",
        "action": "read",
        "path": folder,
    }
    arguments = {
        parameter["name"]: by_name[parameter["name"]]
        for parameter in operation.get("parameters", ())
        if parameter["required"] or parameter["name"] in by_name
    }
    module = service.modules[collapse(operation["operationId"])]
    body = typing.get_type_hints(module.sync_detailed).get("body")
    if body is not None:
        values = {
            "path": folder,
            "with_users": [user],
            "from_users": [user],
            "with_groups": ["crew"],
            "from_groups": ["crew"],
            "reason": "tried by a generated client",
        }
        model = next((each for each in (body, *typing.get_args(body)) if hasattr(each, "from_dict")))
        known = inspect.signature(model).parameters
        arguments["body"] = model(**{name: value for name, value in values.items() if name in known})
    return arguments


def check_properties(parsed, place):
    """Nothing was sent that the document does not know, at any depth."""
    if isinstance(parsed, (list, tuple)):
        for each in parsed:
            check_properties(each, place)
        return
    if not hasattr(parsed, "__attrs_attrs__"):
        return
    # A condition is free-form.
    if "Condition" not in type(parsed).__name__:
        unknown = list(getattr(parsed, "additional_properties", {}))
        check(not unknown, f"{type(parsed).__name__} has undocumented {unknown}: {place}")
    for field in parsed.__attrs_attrs__:
        check_properties(getattr(parsed, field.name), place)


def exceptions(service, admin, user):
    """Answers that are no plain success: done in part, refused."""
    models, folder = service.models, f"s3a://cdm-lake/users-general-warehouse/{admin}/data/"
    for operation, request in [
        ("share_data_sharing_share_post", models.ShareRequest(path=folder, with_users=["no-such-user"])),
        ("unshare_data_sharing_unshare_post", models.UnshareRequest(path=folder, from_users=["no-such-user"])),
    ]:
        answer = service.call(admin, operation, body=request)
        check(answer.status_code == 207, f"{operation}: {answer}")
        check(answer.parsed.errors and answer.parsed.success_count == 0, f"{operation}: {answer}")
    answer = service.call(user, "list_users_management_users_get")
    check(answer.status_code == 403 and isinstance(answer.parsed, models.ErrorResponse), f"{answer}")
    check(answer.parsed.detail == answer.parsed.message == "Administrator privileges required for this operation", f"{answer}")
    answer = service.call(admin, "list_users_management_users_get", page=0)
    check(answer.status_code == 422 and answer.parsed.error == 30010, f"{answer}")
    check(answer.parsed.detail[0].loc == ["query", "page"], f"{answer}")


def check(holds, otherwise):
    if not holds:
        sys.exit(otherwise)


if __name__ == "__main__":
    main(*sys.argv[1:])
