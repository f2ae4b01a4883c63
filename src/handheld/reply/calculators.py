"""Replies in a graph: messages flow like frames."""

from handheld.graph import Calculator, Context, Contract
from handheld.reply.conversation import Message
from handheld.reply.ranker import CONTEXT
from handheld.reply.replier import Replier
from handheld.reply.suggestions import Suggestions

# more messages than are read, since several of one person in a row count as one
_REMEMBERED = 4 * CONTEXT


class ReplySuggester(Calculator):
    """Suggests replies to a stream of messages of one conversation.

    What the user sends goes in as a message that is ``mine``; nothing is suggested after it. The
    side packet ``replier`` may be shared by several graphs that run one after another.
    """

    contract = Contract(
        inputs={"message": Message},
        outputs={"replies": Suggestions},
        side_inputs={"replier": Replier},
    )

    def __init__(self, *, n: int = 3) -> None:
        self._n = n

    def open(self, context: Context) -> None:
        """Begin a conversation."""
        self._replier: Replier = context.side["replier"]
        self._messages: list[Message] = []

    def process(self, context: Context) -> None:
        """Suggest replies to the latest message."""
        message = context.get("message")
        self._messages.append(message)
        del self._messages[:-_REMEMBERED]
        if not message.mine:
            context.send("replies", self._replier.suggest(self._messages, n=self._n))
