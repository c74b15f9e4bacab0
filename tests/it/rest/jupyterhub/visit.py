"""Opens somebody's server as a browser does, and prints the token that the server gets of the visitor.

visit.py HUB_API OWNER VISITOR SERVER_TOKEN
"""

import re
import sys
from urllib.parse import parse_qs, urlsplit

import requests

api, owner, visitor, server_token = sys.argv[1:]
hub = api.removesuffix("/api")
browser = requests.Session()


def hidden(page, name):
    return re.findall(f'name="{name}" value="([^"]+)"', page.text)


page = browser.get(f"{hub}/login")
login = {"username": visitor, "password": "any", "_xsrf": hidden(page, "_xsrf")[0]}
browser.post(f"{hub}/login", data=login, allow_redirects=False).raise_for_status()

client = {"client_id": f"jupyterhub-user-{owner}", "redirect_uri": f"/user/{owner}/oauth_callback"}
question = {**client, "response_type": "code", "state": "tests"}
answer = browser.get(f"{api}/oauth2/authorize", params=question, allow_redirects=False)
if answer.status_code == 200:
    # Others than the owner are asked whether they want to.
    consent = {"_xsrf": hidden(answer, "_xsrf")[0], "scopes": hidden(answer, "scopes")}
    answer = browser.post(answer.url, data=consent, allow_redirects=False)
code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]

exchange = {**client, "client_secret": server_token, "grant_type": "authorization_code", "code": code}
token = requests.post(f"{api}/oauth2/token", data=exchange)
token.raise_for_status()
print(token.json()["access_token"])
