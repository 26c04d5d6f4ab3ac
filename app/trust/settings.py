"""Settings of DICOM TLS and of the outgoing proxy."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from app.settings import Group
from app.trust.names import host_fault, is_network, proxy_fault


class TlsSettings(Group):
    """Group `dicom-tls`. The certificates are in their own table."""

    group: ClassVar[str] = "dicom-tls"
    title: ClassVar[str] = "DICOM TLS"

    enabled: bool = Field(
        title="Receive by TLS",
        default=False,
        description="Listen on a second port for DICOM TLS. A certificate of this installation is required.",
    )
    dicom_tls_port: int = Field(
        title="TLS port", default=2762, ge=1, le=65535, description="The registered port of DICOM TLS is 2762."
    )
    profile: Literal["bcp195", "non-downgrading", "modified"] = Field(
        title="Profile",
        default="bcp195",
        description="BCP 195: TLS 1.2 and 1.3 with the cipher suites of RFC 9325. Non-downgrading: also older suites for devices without elliptic curves. Modified: also CCM and ChaCha20.",
    )
    client_certificates: Literal["none", "asked", "demanded"] = Field(
        title="Client certificates",
        default="none",
        description="Whether callers must present a certificate of a trusted authority.",
    )


class ProxySettings(Group):
    """Group `proxy`. The password is a sealed secret, no part of the group."""

    group: ClassVar[str] = "proxy"
    title: ClassVar[str] = "Proxy"

    url: str = Field(
        title="Proxy",
        default="",
        description="Proxy for outgoing connections, such as socks5://proxy:1080 or http://proxy:3128; empty: none.",
    )
    username: str = Field(
        title="User name", default="", max_length=255, description="User name for the proxy, if it requires one."
    )
    exceptions: list[str] = Field(
        title="Without the proxy",
        default=["localhost", "127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
        description="Hosts, domains such as .clinic.example, addresses and networks that are called directly.",
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if fault := proxy_fault(value):
            raise ValueError(fault)
        return value

    @field_validator("exceptions")
    @classmethod
    def _exceptions(cls, value: list[str]) -> list[str]:
        for one in value:
            if not is_network(one) and host_fault(one.removeprefix("*").removeprefix(".")):
                raise ValueError(f"{one!r} is no host, domain, address or network")
        return value
