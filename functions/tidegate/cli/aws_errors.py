"""What AWS says against a call, as a sentence that ends in what to do."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as NotConnected,
)

NO_REGION = "no region is chosen: say --region, or set AWS_DEFAULT_REGION"
#: One complaint, so that nobody mends the one to be told of the other.
NO_REGION_NO_CREDENTIALS = (
    "neither a region nor AWS credentials are configured: run aws configure, which asks for both; or say --region (or"
    " set AWS_DEFAULT_REGION), and log in (aws sso login) or choose credentials with --profile-name"
)
_LOG_IN = "log in (aws sso login, aws configure), or choose credentials with --profile-name"
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    SSOError,
    TokenRetrievalError,
)
_NO_ANSWER = (HTTPClientError, NotConnected)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNKNOWN_KEYS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
)
_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_BUSY = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})


def sentence(action: str, error: BotoCoreError | ClientError, region: str | None) -> str:
    """What stood against `action` ("states:StartExecution"), and what to do."""
    if isinstance(error, ClientError):
        return _refused(action, error)
    if isinstance(error, _NO_CREDENTIALS):
        return f"no AWS credentials that work were found for {action}: {_LOG_IN}"
    if isinstance(error, _NO_ANSWER):
        return f"AWS did not answer {action} in {region}: see the network and --region, and try again"
    return f"{action} could not be asked for: {str(error).rstrip('.')}: see your AWS configuration"


def _refused(action: str, error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    said = f"{code}: {message}".rstrip(".: ")
    if code in _EXPIRED:
        return f"the AWS credentials have expired ({action}): {_LOG_IN}"
    if code in _UNKNOWN_KEYS:
        return f"AWS does not know these credentials ({action}, {said}): {_LOG_IN}"
    if code in _FORBIDDEN:
        return f"AWS forbids {action} ({said}): allow it for these credentials, or choose others with --profile-name"
    if code in _BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:  # noqa: PLR2004
        return f"AWS could not answer {action} now ({said}): try again in a moment"
    return f"AWS refused {action} ({said}): see --stack, --region and --profile-name"
