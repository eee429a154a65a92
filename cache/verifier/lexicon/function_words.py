"""Words that carry grammar rather than content, and those that ask, negate or compare."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import words

FUNCTION_WORDS: Final = frozenset(
    words(
        """
    a an the this that these those it its it's he she they them him his her hers their theirs we us our ours you
    your yours i me my mine myself yourself himself herself itself themselves ourselves someone anyone everyone
    somebody anybody something anything one ones of in on at to for from by with about as into onto upon over under
    between among amongst through during within across against along around behind beside besides beyond near off
    out up down per via than then and or but nor so yet if when while because since until till although though
    whether that which who whom whose what where why how be am is are was were been being isn't aren't wasn't
    weren't do does did done doing don't doesn't didn't have has had having haven't hasn't hadn't can could can't
    couldn't will would won't wouldn't shall should shouldn't may might must mustn't need let lets let's get gets
    got getting gotten there here also too very really just only even still ever already again please ok okay oh
    well yes hi hello thanks i'm i've i'd i'll you're you've you'd you'll he's she's we're we've they're they've
    that's there's what's who's how's where's when's why's such some any each every all both either neither other
    another same own more most much many few less least lot lots able possible way ways thing things kind kinds sort
    sorts type types like etc e.g i.e vs versus im ive dont doesnt cant wont isnt whats s t re ve d ll m u r ur
    exactly actually basically simply currently best better good
    """
    ),
)
"""What content words are not. Best and good are here: a rule of its own looks at degrees."""

ASKING: Final = {
    "who": "who", "whom": "who", "whose": "who", "who's": "who", "when": "when", "when's": "when", "where": "where",
    "where's": "where", "why": "why", "why's": "why", "how": "how", "how's": "how", "what": "what", "what's": "what",
    "whats": "what", "which": "what",
}  # fmt: skip
"""Words that ask, and what they ask for."""

AUXILIARIES: Final = frozenset(
    words(
        """
    is are am was were do does did has have had can could will would shall should may might must isn't aren't wasn't
    weren't don't doesn't didn't hasn't haven't hadn't can't couldn't won't wouldn't shouldn't
    """
    ),
)
"""Words that begin a question answered by yes or no."""

NEGATIONS: Final = frozenset(
    words(
        """
    not no never none nobody nothing nowhere neither nor without cannot dont doesnt didnt isnt wasnt arent wont cant
    couldnt wouldnt shouldnt hardly barely scarcely lack lacks lacking unable except excluding
    """
    ),
)
"""Words that deny; whatever ends in n't does too."""

DEGREES: Final = {
    "more": "more", "most": "most", "less": "less", "fewer": "less", "least": "least", "fewest": "least",
    "better": "better", "best": "best", "worse": "worse", "worst": "worst", "only": "only", "too": "too",
    "enough": "enough",
}  # fmt: skip
"""Words that compare, and how."""

COMMANDS: Final = frozenset(
    words(
        """
    find list show print display search create make remove delete copy move rename change set unset run execute
    count compress extract archive download upload install uninstall kill start stop get sort replace write read
    append convert generate calculate compute check open close save add update output split merge send mount unmount
    give go connect report unzip zip tar backup sync clear dump store load process translate summarize summarise
    rewrite rephrase explain describe draft compose edit fix correct format parse validate test build compile deploy
    configure enable disable turn switch play pause schedule book order cancel remind call email insert select drop
    filter group join plot draw design implement refactor debug review compare classify extract identify recommend
    suggest simplify shorten expand paraphrase proofread outline brainstorm evaluate solve prove derive estimate
    convert fetch query monitor restart reboot reset restore encrypt decrypt encode decode rotate resize crop import
    export publish share post commit push pull clone fork checkout rebase revert transform modify enter locate
    concatenate truncate redirect rsync ping use put take keep force apply assign define declare initialize
    """
    ),
)
"""Verbs that begin an instruction: something is to be done exactly as said."""

LIGHT_WORDS: Final = frozenset(
    words(
        """
    become think believe consider want wish like love prefer find use used using utilize know tell say said mean
    happen occur make made take give go going come see look try start begin keep let help put feel seem exist
    involve include consist contain regard refer call called name named term phrase word question answer opinion
    view idea thought reason purpose point fact matter case issue problem situation experience example instance kind
    type sort form part number amount level bit piece set group list person people human man woman guy anybody
    everybody someone everyone society world life earth year time day moment nowadays days today's now currently
    present recent recently far yet ever always usually often generally normally commonly typically main major
    general overall basic common usual important essential necessary good nice great best top better favorite
    favourite interesting amazing awesome cool popular famous known well-known effective efficient helpful useful
    proper suitable appropriate successful right correct exact particular specific certain various different several
    multiple many similar true real possible available easy easily simple quick quickly fast step tip trick advice
    suggestion method technique approach solution option recommend recommended suggest suggested describe explain
    discuss compare mention tell please need required require suppose supposed able actually basically really truly
    completely absolutely totally definitely simply extremely highly especially mainly mostly probably maybe perhaps
    etc also else instead somewhere anywhere everywhere away back along together overall according based regarding
    concerning related various own prove proven manage deal get obtain receive happen consider sense way whole
    entire total full complete following given current place area thing stuff lot benefit effect
    """
    ),
)
"""Words that rarely decide an answer: one of them more or less is no other question. Content words all the same."""
