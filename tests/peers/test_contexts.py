"""What is proposed, and through which contexts an object goes."""

from app.dicom import syntaxes
from app.network import pdu
from app.network.contexts import (
    COMPRESSED,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LIMIT,
    Way,
    context_order,
    propose,
    why_not,
)

CT, MR, J2K = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.4.90"
JPEG, VIDEO = syntaxes.JPEG_BASELINE, "1.2.840.10008.1.2.4.102"


def test_the_stored_syntax_is_proposed_alone_and_uncompressed_beside_it() -> None:
    (proposal,) = propose([(CT, J2K), (CT, EXPLICIT_LITTLE), (MR, J2K)])
    assert [(c.id, c.abstract, c.transfer) for c in proposal.contexts] == [
        (1, CT, [EXPLICIT_LITTLE]),
        (3, CT, [J2K]),
        (5, CT, COMPRESSED),
        (7, CT, [EXPLICIT_LITTLE, IMPLICIT_LITTLE]),
        (9, MR, [J2K]),
        (11, MR, COMPRESSED),
        (13, MR, [EXPLICIT_LITTLE, IMPLICIT_LITTLE]),
    ]


def test_never_more_contexts_than_an_association_can_have() -> None:
    pairs = {(f"1.2.3.{n}", f"1.2.840.10008.1.2.4.{s}") for n in range(90) for s in (50, 70, 80)}
    proposals = propose(pairs)
    assert len(proposals) > 1 and all(len(p.contexts) <= LIMIT for p in proposals)
    covered = [key for p in proposals for key in p.as_stored]
    assert sorted(covered) == sorted(pairs)
    assert all(c.id < 256 and c.id % 2 for p in proposals for c in p.contexts)


def test_it_prefers_what_is_stored_then_uncompressed_then_lossless_then_says_why() -> None:
    (proposal,) = propose([(CT, J2K)])  # 1 as stored, 3 compressed, 5 uncompressed
    assert list(context_order(proposal, {1: J2K, 5: EXPLICIT_LITTLE}, CT, J2K)) == [
        Way(1, J2K),
        Way(5, EXPLICIT_LITTLE),
    ]
    assert list(context_order(proposal, {5: IMPLICIT_LITTLE}, CT, J2K)) == [Way(5, IMPLICIT_LITTLE)]
    assert list(context_order(proposal, {3: syntaxes.RLE}, CT, J2K)) == [Way(3, syntaxes.RLE)]
    assert list(context_order(proposal, {3: syntaxes.RLE}, CT, J2K, pixels=False)) == []
    assert list(context_order(proposal, {}, CT, J2K)) == []
    none = why_not(proposal, {1: pdu.ABSTRACT_UNKNOWN, 5: pdu.ABSTRACT_UNKNOWN}, CT, J2K)
    assert none == "The node does not take CT Image Storage."
    neither = why_not(proposal, {1: pdu.TRANSFER_UNKNOWN, 5: pdu.TRANSFER_UNKNOWN}, CT, J2K)
    assert "neither as JPEG 2000" in neither


def test_a_node_set_to_uncompressed_gets_nothing_else() -> None:
    (proposal,) = propose([(CT, J2K)], "uncompressed")
    assert [c.transfer for c in proposal.contexts] == [[EXPLICIT_LITTLE, IMPLICIT_LITTLE]]


def test_a_lossless_wish_is_met_where_no_pixel_changes() -> None:
    (proposal,) = propose([(CT, EXPLICIT_LITTLE), (CT, JPEG)], "jpeg-ls")
    all_taken = {c.id: c.transfer[0] for c in proposal.contexts}
    assert next(context_order(proposal, all_taken, CT, EXPLICIT_LITTLE)).transfer_syntax == syntaxes.JPEG_LS
    assert next(context_order(proposal, all_taken, CT, JPEG)).transfer_syntax == JPEG, "lossy stays as it is"
    assert (
        next(context_order(proposal, all_taken, CT, EXPLICIT_LITTLE, pixels=False)).transfer_syntax == EXPLICIT_LITTLE
    )
    refused = {c.id: c.transfer[0] for c in proposal.contexts if syntaxes.JPEG_LS not in c.transfer}
    assert next(context_order(proposal, refused, CT, EXPLICIT_LITTLE)).transfer_syntax == EXPLICIT_LITTLE


def test_video_is_never_offered_in_a_syntax_it_cannot_have() -> None:
    (proposal,) = propose([(CT, VIDEO)])
    assert [c.transfer for c in proposal.contexts] == [[VIDEO], [EXPLICIT_LITTLE, IMPLICIT_LITTLE]]
