"""Words that may stand for each other in a question without changing its answer."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import groups

_GROUPS: Final = """
know tell determine identify recognize recognise detect|quit stop
fight combat beat overcome battle tackle handle deal cope|scary creepy spooky frightening terrifying
strange weird odd bizarre|encounter experience|favorite favourite|color colour|spouse partner|faith belief
earth world globe|buy purchase acquire|switch change|teenager teen adolescent young youth|cheating unfaithful
decide choose|cancel ban prohibit forbid illegalize illegalise outlaw|emotion feeling|elevator lift
practice practise|continue keep|reduce minimize minimise|funny hilarious humorous|stupid dumb idiotic|cool awesome
attractive handsome|wealth money|journey trip travel visit tour|gift present|begin initiate|concentrate focus
concentration focus|benefit beneficial advantageous|useful helpful|effective efficient
characteristic trait feature attribute|property|personality character|job occupation profession|intern internship
tired sleepy exhausted|vocabulary words|weight mass|pupil student learner|teacher tutor instructor|boss employer
employee worker staff|client customer|guest visitor|soldier troop|murderer killer|thief robber|crime offence offense
jail prison|court tribunal|attorney lawyer advocate|physician doctor|remedy treatment cure therapy solution
symptom sign indication|cancer tumor tumour|flu influenza|belly abdomen|odor odour smell|garbage trash waste rubbish
carpet rug|couch sofa|apartment flat|garden yard|autumn fall|holiday vacation|highway motorway freeway
gas petrol gasoline|soccer football|sweets candy|biscuit cookie|cab taxi|queue line|subway metro underground
railway railroad|pavement sidewalk|postcode zipcode zip|cv resume|maths math mathematics
plane airplane aircraft aeroplane|luggage baggage|loan credit|discount coupon deal offer|error bug exception fault
crash failure|slow sluggish|memory ram|disk drive|folder directory|server host|delete wipe|shut close|reboot restart
username user|sign-in login signin|sign-up register signup|notification alert|post publish|image picture photo pic
video clip|song track|artist musician|directory folder dir|file document|show display print list output view reveal
find search locate seek look|delete remove erase rid|get obtain receive acquire gain fetch retrieve
make create build generate produce construct mkdir|begin start commence|end finish stop cease terminate
big large huge great|small little tiny|buy purchase|use utilize utilise employ using usage|help assist aid support
fix repair solve resolve cure|change modify alter adjust|choose select pick|need require|want wish desire like
tell inform|speak talk|learn study|teach instruct educate|become turn|happen occur|keep retain hold
give provide offer supply|allow permit let enable|try attempt|ask request|improve enhance better increase boost
reduce decrease lower lessen diminish|lose drop|job career work employment|money cash
method way approach technique manner means|purpose aim goal objective|cause reason
effect impact consequence result outcome influence|difference distinction differ|advantage benefit pro
disadvantage drawback con|example instance sample|kind type sort|part portion piece|place location spot
area region zone|country nation|city town|child kid|people person folk human|man guy|woman lady
smart intelligent clever|hard difficult tough|easy simple|fast quick rapid speedy
important essential crucial vital key|good great nice excellent|best top greatest finest|bad poor terrible
true real actual|strange weird odd|famous popular renowned|awesome amazing|interesting fascinating|beautiful pretty
happy glad|sad unhappy|angry mad|scared afraid frightened|rich wealthy|quiet silent|wrong incorrect|right correct
current present|recent new latest|old ancient|whole entire complete full total|specific particular
different various diverse|several multiple many numerous|maximum max|minimum min|number count
approximately about roughly around|called named known titled|contain include comprise|consist comprise
begin originate|end expire|earn gain|movie film|tv television|picture photo image
phone cellphone mobile smartphone cell|computer pc laptop|internet web online|website site webpage|app application
program software|university college|exam test examination|doctor physician|company firm corporation business
car automobile vehicle|house home|shop store|road street|illness disease sickness|drug medicine medication
sex intercourse|weight kg|mistake error|question query|answer reply response|explain describe clarify
understand comprehend grasp|think believe|know|say claim allege|mean signify|compare comparison|relate relationship
exist exists|require necessitate|convert transform turn|define definition|define designate|run execute|start launch
install setup|save store|rename retitle|copy duplicate|move transfer|extract unpack|compress zip gzip
contents content|extension suffix|recursively recursive subdirectory|end ending|match matching|name named
owner ownership|permission mode|username login|path pathname|argument parameter|function method|value amount
column field|row record|line row|split division divide|link symlink|display present|whole overall|every each all any
two both|usa america american us|uk britain british|facebook fb|invest investment|prepare preparation
suggest recommend advise suggestion advice|tip trick|guide tutorial manual|marry marriage|die death|kill murder
cheap inexpensive affordable|cost price|salary wage pay|rule law|power strength|feeling emotion|love romance
girl female|boy male|student pupil|leader head chief|war conflict|win victory|original initial first
region territory|author writer|write author|film shoot|inventor invent|found establish|discover discovery
invade invasion|vote election|population inhabitant|river stream|mountain peak|kill destroy|burn fire|send transmit
mail email e-mail|password passcode|top-up topup|cancel cancellation|refund reimburse|fee charge
verify verification confirm|identity identification|exchange swap|deliver delivery arrive arrival|block freeze
steal theft|declined decline rejected refuse|withdraw withdrawal|pay payment|transfer transaction|atm cashpoint
enough sufficient|often frequently|usually normally commonly|quickly fast|maybe perhaps possibly|also too
only just merely|really actually truly|safe secure|instantly immediately|return yield|allow let
loop iterate cycle traverse|load import|indicate specify|following below|previous last|additional extra more
"""


def _fold() -> dict[str, str]:
    found: dict[str, str] = {}
    for group in groups(_GROUPS):
        for word in group:
            found.setdefault(word, found.get(group[0], group[0]))
    return found


SYNONYMS: Final = _fold()
"""For each word the word that stands for its group; a word that two groups name belongs to the first."""
