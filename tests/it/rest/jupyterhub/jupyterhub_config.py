"""A JupyterHub that runs no notebooks: users, tokens and the API are all that tests need of it."""

import os

from jupyterhub.spawner import Spawner


class NoServer(Spawner):
    """Starts nothing: it keeps the token that a server would get, and has the hub itself answer in its place."""

    async def start(self):
        with open(f"server-of-{self.user.name}", "w") as file:
            file.write(self.get_env()["JUPYTERHUB_API_TOKEN"])
        return "127.0.0.1", int(os.environ["TEST_HUB_PORT"])

    async def stop(self, now=False):
        pass

    async def poll(self):
        return None


c = get_config()  # noqa: F821 (defined by JupyterHub)

load_subconfig("no_proxy.py", path=os.path.dirname(__file__))  # noqa: F821
c.JupyterHub.spawner_class = NoServer
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['TEST_PUBLIC_PORT']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['TEST_HUB_PORT']}"
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.services = [
    {"name": "tests", "api_token": os.environ["TEST_SERVICE_TOKEN"], "admin": True},
]
c.JupyterHub.load_roles = [
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "tokens"]},
]
