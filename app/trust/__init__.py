"""Certificates, keys, revocation lists, TLS contexts and proxies: what connections in both directions are secured with."""
