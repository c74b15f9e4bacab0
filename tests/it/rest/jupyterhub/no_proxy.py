"""A proxy for JupyterHubs of tests."""

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """Remembers routes and forwards nothing. Tests talk to the hub itself, so no Node.js is needed."""

    should_start = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


c = get_config()  # noqa: F821 (defined by JupyterHub)

c.JupyterHub.proxy_class = NoProxy
