# ruff: noqa: RUF001  letters that look like others are meant
"""Words and pairs of words that tell the kind of a task, or what makes one of its kind hard.

Written by hand from what such requests say, in English with the commonest verbs of a few other languages; nothing here
was fitted. Each group is a column of a table over hashed words; a text's count in a group is a sum over rows.
"""

from __future__ import annotations

from typing import Final

KINDS: Final = (
    "code",
    "maths",
    "reasoning",
    "knowledge",
    "extraction",
    "summary",
    "writing",
    "roleplay",
    "chat",
    "translation",
    "classification",
    "explanation",
)
"""Kinds of task with words of their own; a text that has none of them is `other`."""

TRAITS: Final = ("negation", "condition", "quantity", "constraint", "parts", "advanced", "common", "pleading", "polite")
"""What makes a task of any kind harder; `common` are the words that tell English prose, `pleading` and `polite` those
that a plea and politeness have one of."""

GROUPS: Final = (*KINDS, *TRAITS)

WORDS: Final[dict[str, str]] = {
    "code": """python javascript typescript java golang rust sql html css regex api backend frontend coding program
        programming script compile compiler debug bug refactor implement algorithm array boolean recursion recursive
        queue pointer runtime database endpoint async docker kubernetes git linux bash shell exception traceback
        pytest react node django flask return import print elif lambda const var void assert len append leetcode
        subarray hashmap snippet code function functions method class loop strings integer php kotlin swift ruby npm
        cpp programa código codigo programm funktion fonction def self struct deadlock deadlocks mutex lock locks
        concurrent cache curl excel formula server typeerror subscriptable template namespace compiles segfault""",
    "maths": """calculate compute solve equation equations integral derivative polynomial matrix theorem prove proof
        triangle circle radius perimeter hypotenuse prime integers modulo divisible remainder product quotient ratio
        percent percentage sqrt frac cdot logarithm sine cosine algebra geometry arithmetic permutation permutations
        combinations factorial combined ways average total quadratic median variance inequality twice altogether
        probability evaluate simplify determine digits digit coefficient roots angle area volume sum profit berechne
        berechnen löse gleichung calcula calcular ecuación calcule calculer équation résoudre calcola""",
    "reasoning": """puzzle puzzles riddle logic logical deduce deduction infer inference premise premises syllogism
        clue clues liar liars truthful knight knave knights knaves taller shorter older younger heavier seated seating
        paradox therefore implies suppose counterexample houses race overtaken overtake sisters brothers siblings
        statements neither guilty assumption assumptions hypothesis consistent contradict trolley optimal strategy
        rätsel acertijo énigme schlussfolgerung""",
    "knowledge": """who when where which capital president century treaty empire invented discovered founded born died
        river species disease drug symptom enzyme protein constitution amendment defendant plaintiff philosopher
        psychologist patient diagnosis anatomy planet wer wann wo quién cuándo dónde quand où biology chemistry
        history physics economics known called""",
    "extraction": """extract extracting identify retrieve entities entity parse parsing listed mentioned csv json
        fields columns keywords extrahiere extrae extraire invoice receipt passage transcript highlight spreadsheet
        mentions named""",
    "summary": """summarize summarise summary summaries tldr shorten condense gist takeaways zusammenfassung
        zusammenfassen fasse resumen resume résumé résumer riassumi""",
    "writing": """write compose draft essay story poem haiku sonnet lyrics song blog article cover speech headline
        slogan tagline caption tweet dialogue novel chapter rewrite rephrase paraphrase proofread polish persuasive
        advertisement linkedin instagram brainstorm travelogue letter email captivating vivid narrative limerick
        generate create outline schreibe schreiben verfasse escribe escribir redacta écris rédige scrivi grammar
        grammatical edit""",
    "roleplay": """pretend imagine roleplay persona character act acting embody impersonate yourself pirate wizard
        detective tutor therapist interviewer dungeon portray stark sheldon""",
    "chat": """hi hello hey thanks thank morning evening goodbye bye feel feeling feelings favorite favourite
        recommend suggest advice tips my i girlfriend boyfriend wife husband mom dad kids recipe travel trip weekend
        birthday gift dinner hallo danke hola gracias bonjour merci ciao lol bored""",
    "translation": """translate translation translated translating übersetze übersetzen traduce traducir traduis
        traduire tradurre spanish french german italian chinese japanese korean portuguese russian arabic hindi""",
    "classification": """classify classification categorize categorise category categories label labels sentiment spam
        toxic intent duplicate duplicates neutral klassifiziere clasifica""",
    "explanation": """explain why how describe discuss compare contrast analyze analyse difference differences
        advantages disadvantages impact effects implications significance overview erkläre warum explica explicar
        pourquoi explique provide give what""",
    "negation": """not no never none neither nor except cannot without least incorrect false unless nicht kein keine
        jamais pas sin nunca wrong""",
    "condition": """if then when unless otherwise suppose assume assuming given whenever provided while before after
        until during since wenn falls si""",
    "quantity": """each every all any both half twice double triple times more less fewer than per total remaining
        left another rest first second third fourth last next average most least only exactly between""",
    "constraint": """must exactly only ensure avoid limit least most maximum minimum cannot require required requires
        exclude contain contains satisfy satisfies strictly respectively simultaneously""",
    "parts": """statement statements scenario scenarios ii iii iv both neither respectively former latter pair pairs
        combination conditions""",
    "advanced": """prove proof theorem lemma integral derivative polynomial matrix eigenvalue eigenvalues vector
        congruent modulo divisible bijective isomorphic convergent differentiable stochastic asymptotic complexity
        optimal optimize optimise concurrent concurrency distributed thread deadlock mutex recursion recursive dynamic
        scalable architecture design implement algorithm algorithms refactor parser compiler cryptographic kernel
        derive rigorous counterexample invariant combinatorial graph integers complex primes subarray subsequence
        substring consistency transaction transactions benchmark vulnerability tradeoffs causal""",
    "common": """the a an of to in and is are was were be been by for on with as that this it at from or which i you
        what how do me my please can your""",
    "pleading": """model models modell modèle modelo modello tier tiers route routed routing router reroute complex
        complexity complicated difficult hard trivial easy simple urgent urgently expert reasoning thinking think
        premium gpt claude gemini opus sonnet cheap cheapest best smartest strongest important critical llm llms
        priority difficulty quality expense money cost underestimate downgrade depends depend asap child genius
        escalate komplex komplexe kompliziert schwierige schwierig einfach dringend wichtig complexe difficile
        compliqué compliquée facile urgente complejo compleja difícil complicado complicada fácil sencillo sencilla
        complexo complexa simples complesso complessa semplice moeilijk ingewikkeld eenvoudig trudne złożone proste
        karmaşık basit zor acil challenging straightforward elementary intelligence quick paying customer effort
        escalation overthink rocket shortcuts frontier grade modelle ardue tricky demanding advanced intricate nuanced
        sophisticated tough""",
    "polite": """please pls plz kindly thank thanks bitte danke gracias merci grazie obrigado obrigada favor favore
        plaît plait""",
}
"""Group to its words."""

PAIRS: Final[dict[str, str]] = {
    "code": """a function, python code, python function, a program, source code, unit test, unit tests, time
        complexity, sql query, the code, this code, my code, def f, rest api, stack trace, command line, binary tree,
        linked list, dynamic programming, the function, this function, a class, a script, a website, o n, web server,
        regular expression, in python, in java, in go, in rust, in c, in javascript, using python, an api, the api, a
        bug, the bug, implement a, implement an, a regex, thread safe, race condition, data structure""",
    "maths": """how many, how much, find the, square root, real numbers, positive integers, what value, value of,
        number of, probability that, greatest common, least common, in terms, times as, as many, per hour, per day,
        ways to, how long, how old, the probability, solve for, is divisible, x y, the value, what is, the sum, the
        average""",
    "reasoning": """if all, taller than, older than, logically follows, exactly one, not necessarily, step by, who is,
        cause and, must be, could be, opposite direction, sits next, next to, the odd, odd one, if you, all of""",
    "knowledge": """which of, who was, who is, what was, is known, known as, refers to, true about,
        best describes, associated with, most likely, characteristic of, when did, where is, capital of""",
    "extraction": """extract the, identify the, from the, based on, according to, in json, json format, csv format,
        the text, the passage, each of, following text, following paragraph""",
    "summary": """key points, main points, main ideas, one sentence, bullet points, a summary""",
    "writing": """write a, write an, write me, compose a, compose an, draft a, short story, blog post, cover letter,
        an email, a poem, a story, come up, product description, rewrite the, edit the, ideas for, write about, a
        tweet""",
    "roleplay": """act as, pretend to, imagine you, play the, role of, in character, speak like, as if, pretend you,
        the persona, you are, imagine yourself, take on""",
    "chat": """how are, are you, do you, can you, help me, i want, i am, i need, should i, i have, how to, my friend,
        what should, i feel, tell me""",
    "translation": """translate the, translate this, into english, into french, into german, into spanish, to english,
        to french, to spanish, to german, in spanish, in french, in german, in chinese, translate to""",
    "classification": """positive or, or negative, the sentiment, following categories, rate the, yes or, is this,
        scale of, the category, is positive""",
    "explanation": """explain the, how does, how do, why do, why does, why is, difference between, pros and, describe
        the, what are, discuss the, compare and, explain how, explain why, explain what, what is""",
    "constraint": """at least, at most, no more, more than, less than, exactly one, such that, so that, must be, must
        not, should not, do not, as well, no two, without using""",
}
"""Group to pairs of neighbouring words, separated by commas; a pair counts twice as much as a word."""
