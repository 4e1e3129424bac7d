# A function whose alias `live` belongs to Tidegate; applying this moves no traffic.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "function_name" {
  description = "The function's name; Tidegate's FunctionNamePattern must match it."
  type        = string
  default     = "checkout"
}

variable "package" {
  description = "Path of the function's zip."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "ARN of the IAM policy that bounds the function's role; null for none."
  type        = string
  default     = null
}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "checkout" {
  # A role's prefix holds 38 characters, a function's name up to 64.
  name_prefix          = "${substr(var.function_name, 0, 37)}-"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.checkout.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "checkout" {
  function_name    = var.function_name
  role             = aws_iam_role.checkout.arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "checkout.handler"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)

  # Every change is a version at once. The rollout asks Lambda to publish too, and is given this very version: Lambda
  # makes no second one where nothing changed since.
  publish = true
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.checkout.function_name
  function_version = aws_lambda_function.checkout.version # the first one; from then on Tidegate's

  lifecycle {
    # The provider writes the routing at every change of the alias, and an empty one where none is given here: a rollout
    # under way would lose its weights. The version would jump to the newest one.
    ignore_changes = [function_version, routing_config, description]
  }
}

output "live_alias_arn" {
  description = "What callers invoke and event sources name; never the function itself."
  value       = aws_lambda_alias.live.arn
}
