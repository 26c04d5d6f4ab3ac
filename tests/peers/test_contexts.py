"""What is proposed, and which context an object goes through."""

from app.peers import pdu
from app.peers.contexts import EXPLICIT_LITTLE, IMPLICIT_LITTLE, LIMIT, choose, propose

CT, MR, J2K = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.4.90"


def test_the_stored_syntax_is_proposed_alone_and_uncompressed_beside_it() -> None:
    (proposal,) = propose([(CT, J2K), (CT, EXPLICIT_LITTLE), (MR, J2K)])
    assert [(c.id, c.abstract, c.transfer) for c in proposal.contexts] == [
        (1, CT, [EXPLICIT_LITTLE]),
        (3, CT, [J2K]),
        (5, CT, [EXPLICIT_LITTLE, IMPLICIT_LITTLE]),
        (7, MR, [J2K]),
        (9, MR, [EXPLICIT_LITTLE, IMPLICIT_LITTLE]),
    ]


def test_never_more_contexts_than_an_association_can_have() -> None:
    pairs = {(f"1.2.3.{n}", f"1.2.840.10008.1.2.4.{s}") for n in range(90) for s in (50, 70, 80)}
    proposals = propose(pairs)
    assert len(proposals) > 1 and all(len(p.contexts) <= LIMIT for p in proposals)
    covered = [key for p in proposals for key in p.as_stored]
    assert sorted(covered) == sorted(pairs)
    assert all(c.id < 256 and c.id % 2 for p in proposals for c in p.contexts)


def test_it_prefers_what_is_stored_then_uncompressed_then_says_why() -> None:
    (proposal,) = propose([(CT, J2K)])
    assert choose(proposal, {1: J2K, 3: EXPLICIT_LITTLE}, {}, CT, J2K).context_id == 1
    fallback = choose(proposal, {3: IMPLICIT_LITTLE}, {1: pdu.TRANSFER_UNKNOWN}, CT, J2K)
    assert (fallback.context_id, fallback.transfer_syntax) == (3, IMPLICIT_LITTLE)
    none = choose(proposal, {}, {1: pdu.ABSTRACT_UNKNOWN, 3: pdu.ABSTRACT_UNKNOWN}, CT, J2K)
    assert none.fault == "The node does not take CT Image Storage."
    neither = choose(proposal, {}, {1: pdu.TRANSFER_UNKNOWN, 3: pdu.TRANSFER_UNKNOWN}, CT, J2K)
    assert "neither as JPEG 2000" in neither.fault


def test_a_node_set_to_uncompressed_gets_nothing_else() -> None:
    (proposal,) = propose([(CT, J2K)], only_uncompressed=True)
    assert [c.transfer for c in proposal.contexts] == [[EXPLICIT_LITTLE, IMPLICIT_LITTLE]]
