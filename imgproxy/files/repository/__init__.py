"""Statements of the record, as plain functions over a connection: values in, values out.

Each is called within a piece of work (`Database.read`, `Database.write`) and knows nothing of transactions.
Functions that a tenant's request reaches take the tenant, and it is part of every WHERE.

    uploads  files  changes  listing  outbox  tenants  idempotency  sweep
"""
