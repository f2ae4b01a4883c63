from handheld.graph import Graph, GraphConfig, Node
from handheld.reply import Message, Replier
from handheld.reply.calculators import ReplySuggester


def test_messages_flow_like_frames(replier: Replier):
    config = GraphConfig(
        inputs={"message": Message},
        side_inputs={"replier": Replier},
        nodes=[
            Node(ReplySuggester(n=2), inputs="message", outputs="replies", side_inputs=["replier"])
        ],
    )
    with Graph(config, side={"replier": replier}) as graph:
        replies = graph.output("replies")
        graph.add("message", Message("hello there"), timestamp=1000)
        graph.add(
            "message", Message("hi", mine=True), timestamp=2000
        )  # nothing is suggested after one's own words
        graph.add("message", Message("thanks a lot"), timestamp=3000)
        found = {packet.timestamp: packet.payload for packet in replies.drain()}
    assert sorted(found) == [1000, 3000]
    assert found[1000] == replier.suggest("hello there", n=2)
    assert found[3000] == replier.suggest(
        [Message("hello there"), Message("hi", True), Message("thanks a lot")], n=2
    )
