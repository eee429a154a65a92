"""Ordinary requests, written for this project: what traffic looks like that is no examination.

They stand for the share of plain traffic in the reference scores, from which thresholds are set until live traffic is
known. They carry no labels.
"""

from __future__ import annotations

from typing import Final

_DEADLOCK: Final = """Our service deadlocks when two transfers run at once between the same accounts. Find the cause and
propose a fix:
def transfer(a, b, amount):
    with a.lock:
        with b.lock:
            a.take(amount)
            b.give(amount)
"""

ORDINARY: Final[tuple[str, ...]] = (
    "Hi there! How is your day going?",
    "Thanks, that worked.",
    "Can you suggest a good name for a grey cat?",
    "What should I cook tonight with rice, eggs and spinach?",
    "I feel a bit tired this week. Any tips for sleeping better?",
    "Write a short birthday message for my colleague Anna.",
    "Rewrite this sentence so that it sounds friendlier: We have received your complaint.",
    "Draft an email to a supplier asking for a new delivery date.",
    "Write a product description for a foldable bicycle, about 80 words.",
    "Give me five slogans for a bakery.",
    "Write a poem about the sea in autumn.",
    "Pretend you are a museum guide and welcome a school class.",
    "Act as an interviewer for a junior accountant and ask me the first question.",
    "Translate to German: The meeting has been moved to Thursday at three.",
    "Translate this into French: Where can I park?",
    "Summarize the text below.\nThe council met on Monday to discuss the new bus line. A vote is planned for May.",
    "Give me the key points of this note: budget approved, launch in June, hiring on hold until the audit is done.",
    "Extract the name, date and total from this receipt as JSON: Cafe Luna, 3 May 2024, 2 espresso, total 5.00",
    "List all e-mail addresses in the following text: write to ann@example.org or to sales@example.com.",
    "Classify this review as positive, negative or neutral: The room was clean but breakfast was cold.",
    "Is this message spam? You have won a prize, click here.",
    "Which category fits best, billing, technical or other: I was charged twice in March.",
    "Who painted The Night Watch?",
    "What is the capital of Australia?",
    "When did the Berlin Wall fall?",
    "What does HTTP stand for?",
    "Explain photosynthesis to a ten-year-old.",
    "What is the difference between a virus and a bacterium?",
    "Why is the sky blue?",
    "Compare leasing and buying a car for a small company.",
    "Explain how vaccines work.",
    "What are the advantages of remote work for employers?",
    "Describe the main causes of inflation.",
    "How do I reset a forgotten password in a web shop?",
    "How can I convert a PDF to Word?",
    "Write a Python function that reverses the words of a sentence.",
    "What does this error mean? TypeError: 'NoneType' object is not subscriptable",
    "Write a SQL query for the ten customers with the highest revenue last year.",
    "Explain what this does: sorted(set(x), key=lambda v: -v)",
    "Convert this curl command to Python requests: curl -X POST https://example.org/api -d '{\"a\": 1}'",
    "Refactor this function so that it handles empty lists:\ndef mean(x):\n    return sum(x) / len(x)",
    "Write a regular expression that matches dates like 2024-05-31.",
    "Implement a rate limiter with a sliding window in Go and explain why it is safe for concurrent use.",
    _DEADLOCK,
    "What is 15 % of 240?",
    "A jacket costs 80 euros and is reduced by a quarter. What does it cost now?",
    "If three machines need four hours for 60 parts, how long do five machines need for 100 parts?",
    "Solve x^2 - 5x + 6 = 0.",
    "Prove that the square root of 3 is irrational.",
    "How many ways are there to seat five guests at a round table if two of them must not sit together?",
    "Anna is older than Ben, Ben is younger than Cara, and Cara is not the oldest. Who is the oldest?",
    "Plan a three-day trip to Lisbon for two people with a budget of 600 euros, including one rainy day.",
    "Make a weekly training plan for a beginner who wants to run five kilometres.",
    "Review this paragraph for grammar: He don't know where the keys was.",
    "Write a cover letter for a job as a nurse; I have six years of experience in intensive care.",
    "Turn these bullet points into a paragraph: new office, more light, closer to the station, opening in April.",
    "Create a table of pros and cons of electric heating.",
    "Analyse the risks of this clause for the tenant: The landlord may raise the rent once a year by up to 8 per cent.",
    "Which statistical test compares the means of three groups, and what must hold for it to be valid?",
    "Wie schreibe ich eine höfliche Absage auf eine Einladung?",
    "¿Cuál es la capital de Perú?",
    "Rédige un courriel pour reporter une réunion.",
)
"""One request each."""
