"""A JupyterHub whose notebook servers have their user's key of MinIO in a folder.

Tried with JupyterHub 6.1 and KubeSpawner 7.1. The user must be declared (a MinioUser of the same name);
jupyterhub_config_rest.py makes users at their first login. What to change is in README.md.
"""

import os

from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

c = get_config()  # noqa: F821 (defined by JupyterHub)

# Where the Secrets are. A Pod can only mount Secrets of its own namespace, so the notebook servers run there too.
NAMESPACE = os.environ.get("MINIO_MANAGER_NAMESPACE", "lake")
# Where notebook servers reach the hub.
HUB_URL = os.environ.get("HUB_CONNECT_URL", "http://hub.jupyterhub:8081")

# The controller's --secret-mount-path: the AWS configuration in the Secret names the file beside it by its full path.
FOLDER = "/var/run/secrets/minio"
# The name that minio-manager gives the Secret: {safe_username} is KubeSpawner's slug of at most 48 characters, whatever
# c.KubeSpawner.slug_scheme says. Named servers of one user share the Secret.
SECRET = "minio-{safe_username}"


# --- Who the users are: put your own authenticator here -------------------------------------------------------------


class ExactNames(SharedPasswordAuthenticator):
    """Leaves names as they are. JupyterHub would make them lower case, but to MinIO Alice and alice are two people.

    With one password for everybody it is for trying out only. Give your own authenticator the same method.
    """

    def normalize_username(self, username):
        return self.username_map.get(username, username)


c.JupyterHub.authenticator_class = ExactNames
# Without a password nobody can log in.
c.SharedPasswordAuthenticator.user_password = os.environ.get("HUB_PASSWORD")
c.Authenticator.allow_all = True
# The names that users of MinIO can have. Nobody else could get a key.
c.Authenticator.username_pattern = r"(?=.{3,64}\Z)[A-Za-z0-9]+(?:[._@-][A-Za-z0-9]+)*\Z"


# --- Where notebook servers run -------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = HUB_URL
c.KubeSpawner.namespace = NAMESPACE
if image := os.environ.get("NOTEBOOK_IMAGE"):
    c.KubeSpawner.image = image


# --- The key --------------------------------------------------------------------------------------------------------

# The key is mounted and not put into the environment, because it is replaced every day: the kubelet writes the new one
# into the mount of a running Pod, and AWS SDKs read it before the old one ends, so the notebook goes on. The environment
# of a running process never changes. For the same reason no subPath: such a mount is never written again.
# Where there is no Secret yet, the Pod waits for it.
c.KubeSpawner.volumes = [{"name": "minio", "secret": {"secretName": SECRET}}]
c.KubeSpawner.volume_mounts = [{"name": "minio", "mountPath": FOLDER, "readOnly": True}]


def from_secret(key, optional=False):
    return {"valueFrom": {"secretKeyRef": {"name": SECRET, "key": key, "optional": optional}}}


c.KubeSpawner.environment = {
    # boto3, s3fs, the AWS CLI and the like find the key, the region and the address of MinIO here.
    "AWS_CONFIG_FILE": f"{FOLDER}/config",
    # What does not change with the key, for libraries that ask the environment for it: delta-rs, polars, older SDKs.
    # Never AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY: they would go before the file, and stay when it changes.
    "AWS_ENDPOINT_URL": from_secret("AWS_ENDPOINT_URL"),
    "AWS_ENDPOINT_URL_S3": from_secret("AWS_ENDPOINT_URL_S3"),
    "AWS_REGION": from_secret("AWS_REGION"),
    "AWS_DEFAULT_REGION": from_secret("AWS_DEFAULT_REGION"),
    # There for addresses with http:// only.
    "AWS_ALLOW_HTTP": from_secret("AWS_ALLOW_HTTP", optional=True),
    # The user's name on MinIO, for paths like s3://lake/homes/$S3_USER/.
    "S3_USER": from_secret("S3_USER"),
}
