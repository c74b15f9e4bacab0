"""One of the examples as it is, on this machine and with a service that may call the API."""

import os

folder, file = os.path.split(os.environ["TEST_EXAMPLE"])
load_subconfig(file, path=folder)  # noqa: F821 (defined by JupyterHub)
load_subconfig("no_proxy.py", path=os.environ["TEST_NO_PROXY_FOLDER"])  # noqa: F821

c = get_config()  # noqa: F821

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['TEST_PUBLIC_PORT']}"
c.JupyterHub.hub_bind_url = os.environ["HUB_CONNECT_URL"]
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
# Nothing runs the Pods, so no server ever answers: whoever starts one does not wait for it.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.Spawner.start_timeout = 3600
c.JupyterHub.services = [
    {"name": "tests", "api_token": os.environ["TEST_SERVICE_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers"]},
]
