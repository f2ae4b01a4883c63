"""Suggested replies, on the device: from conversations to a bundle, from a message to answers.

``Replier`` opens a bundle and suggests: a ranker over a learned projection and a network that reads
messages find the intents of the answer, a detector keeps silent where a ready-made answer could
hurt, a trigger decides whether to speak, and what the user picks or types is learned on the spot.
``training`` makes bundles of conversations (extra ``train``).
"""

from handheld.reply.bundle import Reply, ReplyBundle
from handheld.reply.conversation import Conversation, Message, read_conversations
from handheld.reply.personal import PersonalState
from handheld.reply.replier import Replier
from handheld.reply.suggestions import Suggestion, Suggestions

__all__ = [
    "Conversation",
    "Message",
    "PersonalState",
    "Replier",
    "Reply",
    "ReplyBundle",
    "Suggestion",
    "Suggestions",
    "read_conversations",
]
