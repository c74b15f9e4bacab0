"""jupyterhub_config.py for users whom nobody declares: before a notebook server starts, the REST service of minio-manager
is asked for the user's key, which makes the user the first time and waits until the key is in its Secret.

The service must run with `--auth jupyterhub --jupyterhub-url URL_OF_THE_HUB/hub/api`.
"""

import asyncio
import json
import os
import time

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.web import HTTPError

c = get_config()  # noqa: F821 (defined by JupyterHub)
load_subconfig("jupyterhub_config.py", path=os.path.dirname(os.path.abspath(__file__)))  # noqa: F821

REST_URL = os.environ.get("MINIO_MANAGER_REST_URL", "http://minio-manager-rest.minio-manager:8000").rstrip("/")
# How long a login may wait for MinIO, in seconds.
PATIENCE = float(os.environ.get("MINIO_MANAGER_REST_PATIENCE", "60"))
# The service itself gives up after 8 seconds and answers 503; what was asked for then still takes effect.
ANSWER_WITHIN = 15
PAUSE = 1


class NoKey(HTTPError):
    """Ends the start of a server, with a message that JupyterHub shows to the user."""

    def __init__(self, status_code, message):
        super().__init__(status_code, message)
        self.jupyterhub_message = message


async def ensure_key(spawner):
    """Waits until the user has a key. Fails where it is refused, or takes too long."""
    name = spawner.user.name
    end = time.monotonic() + PATIENCE
    while True:
        status, said = await ask_for_key(name, spawner.api_token)
        # The key that was answered is thrown away: the Pod mounts the Secret that it is from. In spawner.environment it
        # would be for ever the key of this moment, and for everybody to read who may read Pods.
        if status == 200:
            return
        if 400 <= status < 500 and status != 429:
            raise NoKey(403, f"You get no key for MinIO: {said}")
        if time.monotonic() > end:
            raise NoKey(503, f"Your key for MinIO is not ready. Please try again in some minutes. {said}")
        spawner.log.warning("%s has no key for MinIO yet: %s", name, said)
        await asyncio.sleep(PAUSE)


async def ask_for_key(name, token):
    """The status of an answer, 503 where there is none, and what it says to people."""
    # The token is that of the server that is about to start; the service asks the hub whose it is. No redirect gets it.
    request = HTTPRequest(
        f"{REST_URL}/credentials/",
        headers={"Authorization": f"Bearer {token}"},
        request_timeout=ANSWER_WITHIN,
        follow_redirects=False,
    )
    try:
        answer = await AsyncHTTPClient().fetch(request, raise_error=False)
    except (HTTPClientError, OSError) as error:
        return 503, f"The service that gives out keys does not answer ({error})."
    try:
        body = json.loads(answer.body)
        # The Pod mounts the Secret of this name.
        if answer.code == 200 and body["username"] == name:
            return 200, ""
        said = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return 503, f"{REST_URL} answered {answer.code}, but not as minio-manager does."
    return answer.code, said


c.KubeSpawner.pre_spawn_hook = ensure_key
