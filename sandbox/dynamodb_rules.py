"""What moto gets wrong about DynamoDB, put right."""

from __future__ import annotations

from sandbox.boundary import Boundary, Params, Proceed, Response


class DynamoDbRules:
    """Repeating a transaction under the same client token within ten minutes writes nothing and succeeds.

    DynamoDB API reference, TransactWriteItems, "Idempotency": the SDK sends a token with every transaction, so that
    its own retry after a lost response is harmless. moto performs the transaction again.
    """

    def __init__(self, boundary: Boundary) -> None:
        self._answered: dict[str, Response] = {}
        boundary.correct("dynamodb.TransactWriteItems", self._transact_write_items)

    def _transact_write_items(self, params: Params, proceed: Proceed) -> Response:
        token = params.get("ClientRequestToken")
        if token in self._answered:
            return self._answered[token]
        response = proceed()
        if token:
            self._answered[token] = response
        return response
