"""QIDO-RS, WADO-RS, STOW-RS and WADO-URI (PS3.18). A door: parse, call one verb, answer."""
