"""Checks a token by PyJWT: reads token, key set, issuer and audience as JSON, writes the claims or the fault."""

import json
import sys

import jwt

question = json.load(sys.stdin)
try:
    kid = jwt.get_unverified_header(question["token"])["kid"]
    key = jwt.PyJWKSet.from_dict(question["keys"])[kid]
    claims = jwt.decode(
        question["token"],
        key.key,
        algorithms=["RS256"],
        issuer=question["issuer"],
        audience=question["audience"],
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
    json.dump({"claims": claims}, sys.stdout)
except (jwt.PyJWTError, KeyError) as fault:
    json.dump({"fault": type(fault).__name__}, sys.stdout)
