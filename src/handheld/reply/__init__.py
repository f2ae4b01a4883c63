"""Suggested replies, on the device: from conversations to a bundle, and from a message to three answers.

``Replier`` opens a bundle and suggests: a ranker over a learned projection and a table of signatures find the intents of the
answer, a trigger decides whether to speak, a filter keeps silent on sensitive topics, and what the user picks or types is
learned on the spot. ``training`` makes bundles of conversations (extra ``train``).
"""

from handheld.reply.bundle import Bundle, Reply
from handheld.reply.conversation import Conversation, Message, read_conversations
from handheld.reply.personal import Personal
from handheld.reply.replier import Replier, Suggestion, Suggestions

__all__ = [
    "Bundle", "Conversation", "Message", "Personal", "Replier", "Reply", "Suggestion", "Suggestions", "read_conversations",
]  # fmt: skip
