"""From conversations to a bundle: cleaning, intents, ranker, trigger. Needs the extra ``train``."""
