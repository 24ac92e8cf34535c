"""What the billing providers' notifications must say: models of the fields that the staging models read."""
