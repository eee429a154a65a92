"""Texts that a freshly written model is compared on with what it was made from: short and long, of several kinds."""

from __future__ import annotations

from typing import Final

_LONG: Final = (
    "We run two warehouses, one in Leeds and one in Gdansk, and since the change of carrier in spring the parcels from "
    "the second one arrive a day late on average. The label printer was replaced, the cut-off moved from four to six, "
    "and the scanner at the gate now reads every pallet twice. Which of these changes would you look at "
    "first, what would you measure in the coming week to tell them apart, and how many parcels would you need for that?"
)

_LISTING: Final = (
    "Traceback (most recent call last): File 'server.py', line 118, in serve: connection.sendall(frame) "
    "BrokenPipeError: [Errno 32] Broken pipe. It happens about twice an hour, always on the same two machines, and the "
    "clients on the other end say that they never closed anything. What should I check on the load balancer?"
)

PROBES: Final[tuple[str, ...]] = (
    "hello",
    "Thanks!",
    "tides",
    "How do I boil an egg?",
    "How long should an egg boil?",
    "What is the capital of Portugal?",
    "Which city is the capital of Portugal",
    "Who wrote the first book about bees?",
    "Why is the sky dark at night?",
    "When does the shop at the harbour open on Sundays?",
    "Where can I park a camper van near the old town?",
    "Turn the lights in the kitchen on",
    "Turn the lights in the kitchen off",
    "How can I enable two-factor login?",
    "How can I disable two-factor login?",
    "Is it safe to drink rain water?",
    "Is it unsafe to drink rain water?",
    "The train from Basel to Milan takes four hours.",
    "The train from Milan to Basel takes four hours.",
    "What is 17 percent of 2,350?",
    "What is 18 percent of 2,350?",
    "Convert 12 miles to kilometres",
    "Convert 12 kilometres to miles",
    "Who won the regatta in 1987?",
    "Who won the regatta in 1993?",
    "Show all files changed in the last 3 days",
    "Delete all files changed in the last 3 days",
    "find . -name '*.log' -size +10M",
    "copy /etc/hosts to /tmp/hosts.bak",
    "My card was declined twice although there is money on the account",
    "Why was I charged twice for the same order?",
    "I lost my card, what now?",
    "Can I change the delivery address after paying?",
    "How many moons does Jupiter have?",
    "How many moons does Saturn have?",
    "Explain recursion to a ten-year-old",
    "Explain recursion to an experienced programmer",
    "Summarise the plot of a story about a lighthouse keeper in two sentences.",
    "Write a polite e-mail that asks a supplier for a lower price.",
    "Translate 'good morning' into Finnish",
    "Translate 'good evening' into Finnish",
    "What is the difference between a list and a tuple?",
    "What does a tuple have in common with a list?",
    "SELECT name FROM ships WHERE year > 1990 ORDER BY name",
    "def area(radius): return 3.14159 * radius ** 2",
    "Best way to learn the violin as an adult",
    "Worst way to learn the violin as an adult",
    "Does coffee keep you awake?",
    "Does tea keep you awake?",
    "How tall is the tallest tree?",
    "What is the second tallest mountain in Africa?",
    "Who is the mother of the current queen?",
    "What medicine helps against hay fever without making me sleepy?",
    "List three arguments for and three against school uniforms.",
    "If all bloops are razzies and some razzies are lazy, are some bloops lazy?",
    "A farmer has 24 sheep and sells a third of them. How many are left?",
    "ERROR 1045 (28000): Access denied for user 'root'@'localhost'",
    "kubectl get pods returns nothing although the deployment says 3/3",
    "the quick brown fox jumps over the lazy dog and then it goes home",
    "¿Dónde está la estación?",
    "Wo ist der nächste Bahnhof?",
    "naïve café résumé",
    _LISTING,
    _LONG,
)
"""Written for this purpose. None of them is in a data set that the cache is measured on."""
