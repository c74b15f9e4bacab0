"""Logs in as a browser does, starts a server, and prints the status and the text of the page that a person ends up on.

login.py HUB NAME PASSWORD [failure]: with the last word, waits on that page until the start has failed.
"""

import html
import re
import sys
import time

import requests

hub, name, password = sys.argv[1:4]
until_failure = sys.argv[4:] == ["failure"]
browser = requests.Session()
browser.trust_env = False

page = browser.get(f"{hub}/login")
token = re.findall('name="_xsrf" value="([^"]+)"', page.text)[0]
login = {"username": name, "password": password, "_xsrf": token}
answer = browser.post(f"{hub}/login", data=login, allow_redirects=False)
if answer.status_code == 302:
    answer = browser.get(f"{hub}/spawn")
    while until_failure and answer.status_code == 200:
        time.sleep(0.1)
        answer = browser.get(answer.url)

text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.text, flags=re.DOTALL)
print(answer.status_code, " ".join(html.unescape(text).split()))
