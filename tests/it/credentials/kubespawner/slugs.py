"""Reads a list of names as JSON, writes the list of their slugs: those of KubeSpawner."""

import importlib.util
import json
import sys

# The module alone: the package imports a client of Kubernetes and a hub.
package = importlib.util.find_spec("kubespawner").submodule_search_locations[0]
spec = importlib.util.spec_from_file_location("slugs", f"{package}/slugs.py")
slugs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(slugs)

names = json.load(sys.stdin)
json.dump([slugs.safe_slug(name, max_length=48) for name in names], sys.stdout)
