"""Who may call a function: resource policies and function URLs, each of one qualifier.

moto gives a policy to whatever version an alias points to, and knows URLs of functions alone.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import count
from typing import Any

from sandbox.aws.boundary import AwsError, Boundary, Params, Response
from sandbox.aws.lambda_records import FUNCTION_ARN, LATEST, function_name, qualifier

Qualified = tuple[str, str]


class Callers:
    """What is granted to a function's callers, as Lambda keeps it: by the ARN that the call names."""

    def __init__(self, boundary: Boundary) -> None:
        self._statements: defaultdict[Qualified, list[dict[str, Any]]] = defaultdict(list)
        self._urls: dict[Qualified, Response] = {}
        self._numbers = count(1)
        for name, answer in (
            ("AddPermission", self._add_permission),
            ("GetPolicy", self._get_policy),
            ("CreateFunctionUrlConfig", self._create_url),
            ("GetFunctionUrlConfig", self._get_url),
        ):
            boundary.serve(f"lambda.{name}", answer)

    def _add_permission(self, params: Params) -> Response:
        """AddPermission: with a qualifier it is valid for that ARN alone, without one for the bare one (API reference).

        A service is a principal of its own kind; everything else is an account's.
        """
        principal = params["Principal"]
        statement = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": {"Service" if principal.endswith((".com", ".com.cn")) else "AWS": principal},
            "Action": params["Action"],
            "Resource": _arn(_named(params)),
        }
        self._statements[_named(params)].append(statement)
        return {"Statement": json.dumps(statement)}

    def _get_policy(self, params: Params) -> Response:
        if not (statements := self._statements.get(_named(params))):
            raise _nothing("The resource you requested does not exist.")
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {"Policy": json.dumps(policy), "RevisionId": "-"}

    def _create_url(self, params: Params) -> Response:
        url = {
            "FunctionUrl": f"https://url-{next(self._numbers)}.lambda-url.us-east-1.on.aws/",
            "FunctionArn": _arn(_named(params)),
            "AuthType": params["AuthType"],
        }
        self._urls[_named(params)] = url
        return url

    def _get_url(self, params: Params) -> Response:
        if (url := self._urls.get(_named(params))) is None:
            raise _nothing("The resource you requested does not exist.")
        return url


def _named(params: Params) -> Qualified:
    return function_name(params), qualifier(params)


def _arn(named: Qualified) -> str:
    name, of = named
    return FUNCTION_ARN + name + ("" if of == LATEST else f":{of}")


def _nothing(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, status=404)
