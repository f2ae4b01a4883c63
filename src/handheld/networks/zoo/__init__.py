"""Small networks by name: ``pictures`` for families of classifiers, ``federated`` for learning
across devices.
"""
