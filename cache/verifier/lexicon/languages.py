"""Small words that tell English from other languages of the Latin script; what two languages share is left out."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import words

ENGLISH: Final = frozenset(
    words(
        """
    the is are of and to what how which who whose when where why do does did can could would should will have had
    been were with from that this these those it its for my your our their his her you they we i be by at as if not
    all any some between there than then about into after before find list show print files please tell give
    """
    ),
)
"""Words of most English prompts."""

OTHERS: Final = frozenset(
    words(
        """
    der das dem den ist sind wurde wurden wird hat haben wer wie wann wo warum welche welcher welches und oder nicht
    eine einen einem einer für mit von zu auf bei aus nach wieviel viele ich wir ihr kann mein meine el los las del
    qué cuál cuáles quién quiénes cómo dónde cuándo cuánto cuánta cuántos cuántas por para una como que en se fue es
    son está qual quais quem onde quando quanto quantos quantas são foi os um uma não com dos das pelo pela mais le
    les du des une est sont quel quelle quels quelles qui où quand comment pourquoi combien dans avec sur pour et ou
    je nous vous mon ma mes ce cette il gli lo della delle dei nel nella che chi quale quali dove perché quanti come
    sono è un di het een wat waar wanneer waarom hoe hoeveel welk wie van voor zijn werd niet kim kimdir ne nedir
    zaman hangi hangisi hangisidir kaç nasil nerede nereden neden niçin ve bir bu için ile olarak olan mi kto co
    gdzie kiedy dlaczego jak jaki jaka jakie ile czy jest są nie się od przez ktoré který jaký kde kdy proč là gì ai
    của nào khi được có bao nhiêu những các và cho trong với một như thế tại sao đã vad vem var när varför hur
    vilken vilket och är det ett som hva hvem hvor hvornår hvorfor hvordan hvilken og mikä kuka missä milloin miksi
    miten kuinka on oli ja apa siapa mana kapan mengapa bagaimana berapa yang dan di untuk ce cine unde cât cum este
    sunt și pe cu mi ki hol mikor miért hogyan hány melyik az egy és
    """
    ),
) - {
    "it",
    "on",
    "one",
    "come",
    "per",
    "in",
    "i",
    "co",
    "do",
    "me",
    "no",
    "as",
    "so",
    "most",
    "ai",
    "or",
    "to",
    "dan",
    "ma",
    "pe",
    "di",
}
"""Words of most prompts in German, Spanish, Portuguese, French, Italian, Dutch, Turkish, Polish, Czech, Vietnamese, the
Scandinavian languages, Finnish, Indonesian, Romanian or Hungarian."""
