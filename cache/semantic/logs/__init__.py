"""Where replicas write down what they store, delete and learn, so that each of them, and the next process, knows."""
