"""Replies to a conversation, what the user's own words change, and messages that flow through a
graph.
"""

from handheld.graph import Graph, GraphConfig, Node
from handheld.reply import Message, Replier
from handheld.reply.calculators import ReplySuggester

replier = Replier.open()  # the English bundle that is shipped
for text in ("are you coming tonight?", "thanks for the lift!", "grandma passed away this morning"):
    found = replier.suggest(text)
    print(text, "->", found.texts or found.reason)

replier.learn("what would you like for dinner?", "pancakes, what else")
print(
    "so what would you like for dinner ->",
    replier.suggest("so what would you like for dinner?").texts,
)

config = GraphConfig(
    inputs={"message": Message},
    side_inputs={"replier": Replier},
    nodes=[Node(ReplySuggester(), inputs="message", outputs="replies", side_inputs=["replier"])],
)
with Graph(config, side={"replier": replier}) as graph:
    replies = graph.output("replies")
    for step, message in enumerate(
        (Message("lunch?"), Message("sure, where?", mine=True), Message("at the usual place"))
    ):
        graph.add("message", message, timestamp=step * 1000)
    for packet in replies.drain():
        print(packet.timestamp, packet.payload.texts)
