"""The function of the example: it answers an order with its total."""


def handler(event: dict[str, int], _context: object) -> dict[str, int]:
    """Event: `quantity` and `price_cents`, both optional."""
    return {"statusCode": 200, "total_cents": event.get("quantity", 1) * event.get("price_cents", 100)}
