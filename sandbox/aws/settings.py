"""Settings of a function that a scenario has differ in $LATEST: what each of them becomes.

They are named as GetFunctionConfiguration names them; moto keeps only some of them, and of a zip.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, Literal

Setting = Literal[
    "Architectures",
    "DeadLetterConfig",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "KMSKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Runtime",
    "RuntimeVersionConfig",
    "SnapStart",
    "TenancyConfig",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
]

_HERE: Final = "us-east-1:123456789012"
_CHANGED: Final[Mapping[Setting, Any]] = {
    "Architectures": ["arm64"],
    "DeadLetterConfig": {"TargetArn": f"arn:aws:sqs:{_HERE}:not-handled"},
    "Description": "changed",
    "DurableConfig": {"RetentionPeriodInDays": 14, "ExecutionTimeout": 3600},
    "Environment": {"Variables": {"CHANGED": "changed"}},
    "EphemeralStorage": {"Size": 1024},
    "FileSystemConfigs": [
        {"Arn": f"arn:aws:elasticfilesystem:{_HERE}:access-point/fsap-0123456789abcdef0", "LocalMountPath": "/mnt/data"}
    ],
    "Handler": "app.other",
    "ImageConfig": {"Command": ["app.other"]},
    "KMSKeyArn": f"arn:aws:kms:{_HERE}:key/0e1c6d5b-6c5b-4d1c-9f60-6a5b3c2d1e0f",
    "Layers": [{"Arn": f"arn:aws:lambda:{_HERE}:layer:tools:7", "CodeSize": 1}],
    "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "SystemLogLevel": "WARN"},
    "MemorySize": 512,
    "Runtime": "python3.14",
    "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:changed"},
    "SnapStart": {"ApplyOn": "PublishedVersions"},
    "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
    "Timeout": 30,
    "TracingConfig": {"Mode": "Active"},
    "VpcConfig": {"SubnetIds": ["subnet-1a"], "SecurityGroupIds": ["sg-1a"], "VpcId": "vpc-1a"},
}
#: What an answer calls otherwise than a request does.
_SHOWN_AS: Final = {"ImageConfig": "ImageConfigResponse"}
#: What the words for the target's function mean, as it is shown.
MADE: Final[Mapping[Literal["durable", "capacity_provider", "tenant_isolation"], Mapping[str, Any]]] = {
    "durable": {"DurableConfig": {"RetentionPeriodInDays": 30, "ExecutionTimeout": 86_400}},
    "capacity_provider": {
        "CapacityProviderConfig": {
            "LambdaManagedInstancesCapacityProviderConfig": {
                "CapacityProviderArn": f"arn:aws:lambda:{_HERE}:capacity-provider:instances"
            }
        }
    },
    "tenant_isolation": {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}},
}
#: What stays as the rules have it, whatever moto says.
KEPT: Final = (*(_SHOWN_AS.get(name, name) for name in _CHANGED), "CapacityProviderConfig")


def changed(name: Setting) -> dict[str, Any]:
    """A setting as it is shown where it differs."""
    value = _CHANGED[name]
    return {_SHOWN_AS[name]: {name: value}} if name in _SHOWN_AS else {name: value}


def as_image(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A zip's configuration as that of a container image: its hash is the image's digest, in hexadecimal digits."""
    shown = {name: value for name, value in configuration.items() if name not in {"Handler", "Layers", "Runtime"}}
    if (code_sha256 := configuration["CodeSha256"]).endswith("="):
        code_sha256 = base64.b64decode(code_sha256).hex()
    return {**shown, "CodeSha256": code_sha256, "PackageType": "Image"}
