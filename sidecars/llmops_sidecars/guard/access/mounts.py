"""Whether this process has what a contract's access needs."""

from __future__ import annotations

from pathlib import Path

from llmops_sidecars.contract import Access, ContractError


def require_mounts(access: Access, *, client_certificates: bool) -> None:
    """Raises ContractError when access needs what this process was not started with.

    A pod that is about to be replaced by one with the new mounts goes on as it was, instead of refusing everybody.
    """
    needed = {
        "api_keys.directory": access.api_keys and Path(access.api_keys.directory),
        "jwt.ca_file": access.jwt and access.jwt.ca_file and Path(access.jwt.ca_file).parent,
    }
    for field, directory in needed.items():
        if directory and not directory.is_dir():
            raise ContractError(f"access.{field}: there is no directory {directory} here; it has to be mounted")
    if access.certificate_tenant is not None and not client_certificates:
        raise ContractError("access.certificate_tenant: client certificates are not asked for here; see --client-ca")
