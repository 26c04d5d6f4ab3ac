"""The others: DICOM nodes, who of them may call us, and what we ask of them (echo, send).

Public verbs: `service` (nodes, transfers), `admission.admit`, `scu.echo`; `wire`, `pdu` and `commands` are the DICOM
upper layer, which the door `dimse` uses too."""
