"""Who asks: the owner of an organization, the next one as soon as this one is signed in no longer, or an operator.

Nobody signs in a second time: what was tried meanwhile has changed the password, set up a second factor, guessed until
nobody may try for a while, or closed the organization to every network.
"""

import itertools

import requests
import schemathesis

# That of the documents' examples, so that those which ask for the caller's password have the right one.
PASSWORD = "correct horse battery staple"

# After these the same caller would be refused elsewhere, or would own nothing of what the others have made.
ALONE = {
    "change_password", "deactivate_me", "delete_me", "delete_organization", "end_session", "reauthenticate",
    "update_auth_policy",
}


def role(case, context):
    operation = context.operation.definition.raw
    if operation["operationId"] in ALONE:
        return operation["operationId"]
    return "operator" if "platform operators" in operation["description"] else "owner"


@schemathesis.auth(cache_by_key=role)
class Caller:
    def __init__(self):
        self.tokens = {}
        self.numbers = itertools.count(1)

    # Asked after every 401, whatever it was for and whoever got it.
    def get(self, case, context):
        who, url = role(case, context), f"{context.operation.base_url}/api/auth"
        token = self.tokens.get(who)
        if token is None or requests.get(f"{url}/me", headers=bearer(token), timeout=20).status_code == 401:
            self.tokens[who] = self.sign_in(url) if who == "operator" else self.register(url)
        return self.tokens[who]

    def set(self, case, token, context):
        case.headers.update(bearer(token))

    # Operators are named when the platform starts, so theirs is the account that was there before.
    def sign_in(self, url):
        return access_token(f"{url}/login", {"email": "operator@example.com", "password": PASSWORD})

    def register(self, url):
        number = next(self.numbers)
        return access_token(f"{url}/register", {
            "email": f"owner-{number}@example.com", "password": PASSWORD,
            "displayName": f"Owner {number}", "organizationName": f"Trials {number}",
        })


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def access_token(url, body):
    answer = requests.post(url, json=body, timeout=20)
    answer.raise_for_status()
    return answer.json()["accessToken"]
