"""Search over the index: the study list, and one engine of attribute matching (PS3.4 C.2.2.2) for QIDO-RS and C-FIND."""
