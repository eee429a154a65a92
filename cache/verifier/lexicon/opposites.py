"""Pairs of words that turn an answer round when one stands where the other stood."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import groups

_COMMANDS: Final = """
enable disable|set disable|set reset|set clear|enable unset|activate deactivate|start stop|begin end|open close
set unset|add remove|add delete|insert delete|insert remove|create delete|create remove|create destroy|make destroy
make delete|upload download|encrypt decrypt|encode decode|install uninstall|mount unmount|lock unlock|block unblock
hide show|hide reveal|hide unhide|show conceal|include exclude|allow deny|allow forbid|allow block|allow prevent
allow prohibit|permit forbid|permit deny|permit prohibit|grant revoke|grant deny|accept reject|accept decline
accept refuse|approve reject|approve deny|approve decline|compress decompress|compress extract|zip unzip|pack unpack
archive unarchive|archive extract|archive restore|push pull|push pop|import export|load unload|load save|read write
send receive|send get|connect disconnect|attach detach|subscribe unsubscribe|follow unfollow|like dislike|like hate
log-in log-out|login logout|register unregister|check uncheck|select deselect|mute unmute|freeze unfreeze
freeze thaw|pin unpin|link unlink|bind unbind|wrap unwrap|fold unfold|tie untie|do undo|undo redo|commit rollback
commit revert|upgrade downgrade|update revert|increase decrease|increase reduce|increase lower|raise lower
raise reduce|rise fall|rise drop|grow shrink|expand shrink|expand contract|expand collapse|extend shorten
lengthen shorten|widen narrow|strengthen weaken|tighten loosen|accelerate decelerate|accelerate slow|speed slow
boost reduce|gain lose|win lose|find lose|earn spend|save spend|save delete|save waste|buy sell|purchase sell
borrow lend|deposit withdraw|credit debit|pay refund|charge refund|charge discharge|lend repay|rent own|hire fire
hire dismiss|employ fire|recruit dismiss|join leave|join quit|join split|enter exit|enter leave|arrive depart
arrive leave|come go|stay leave|stay go|keep discard|keep remove|keep delete|keep lose|retain lose|retain discard
merge split|combine separate|unite divide|attract repel|attack defend|protect attack|protect harm|help harm
help hinder|help hurt|heal harm|cure cause|prevent cause|avoid cause|prevent encourage|encourage discourage
support oppose|agree disagree|approve disapprove|praise criticize|praise blame|love hate|trust distrust
believe doubt|believe disbelieve|remember forget|know ignore|teach learn|ask answer|question answer|obey disobey
succeed fail|pass fail|survive die|live die|birth death|born die|build demolish|build destroy|construct demolish
repair break|fix break|clean dirty|wash dirty|fill empty|heat cool|warm cool|melt freeze|boil freeze|inhale exhale
lift drop|lift lower|throw catch|ascend descend|advance retreat|forward backward|forwards backwards|appear disappear
appear vanish|emerge vanish|wake sleep|smile frown|relax stress|lose gain|evolve devolve|arm disarm
assemble disassemble|cover uncover|cover reveal|clothe undress|dress undress|marry divorce|engage disengage
qualify disqualify|inflate deflate|populate depopulate|authorize revoke|permit ban|allow ban|legalize ban
legalise ban|legal illegal|sign resign|plug unplug|screw unscrew|zip unzip|buckle unbuckle|dock undock|group ungroup
comment uncomment|escape unescape|serialize deserialize|marshal unmarshal|normalize denormalize|allocate free
allocate deallocate|acquire release|lock release|hold release|catch release|suspend resume|pause resume|pause play
pause continue|stop continue|continue quit|start finish|start end|begin finish|begin stop|launch close|launch quit
turn-on turn-off|switch-on switch-off|sync unsync|stage unstage|stash pop|star unstar|flag unflag|mark unmark
tag untag|ban unban|blacklist whitelist|show hide|display hide|print suppress|print hide|append remove
append truncate|prepend append|append strip|concatenate split|maximize minimize|maximise minimise|zoom-in zoom-out
ingest emit|consume produce|produce waste
"""

_QUALITIES: Final = """
good bad|good evil|good poor|good awful|good terrible|better worse|best worst|nice nasty|nice mean|kind cruel
kind unkind|right wrong|correct incorrect|correct wrong|true false|true untrue|true fake|real fake|real false
real imaginary|real unreal|genuine fake|authentic fake|original copy|honest dishonest|honest lying|fair unfair
fair foul|just unjust|moral immoral|ethical unethical|innocent guilty|safe dangerous|safe unsafe|safe risky
secure insecure|secure vulnerable|healthy sick|healthy ill|healthy unhealthy|well ill|well sick|alive dead
living dead|mortal immortal|happy sad|happy unhappy|happy miserable|glad sorry|glad sad|cheerful gloomy|calm angry
calm nervous|calm anxious|brave cowardly|brave afraid|confident shy|confident insecure|bold timid|proud ashamed
proud humble|arrogant humble|friendly hostile|friendly unfriendly|polite rude|gentle rough|gentle harsh|tender tough
soft hard|soft loud|smooth rough|fine coarse|sharp blunt|sharp dull|bright dark|bright dim|bright dull|light dark
light heavy|black white|day night|sunrise sunset|dawn dusk|morning evening|hot cold|warm cold|warm cool|hot cool
wet dry|damp dry|humid arid|fresh stale|fresh rotten|fresh frozen|raw cooked|ripe unripe|sweet bitter|sweet sour
sweet salty|spicy mild|strong weak|powerful weak|strong mild|thick thin|fat thin|fat slim|fat lean|wide narrow
broad narrow|deep shallow|tall short|long short|high low|upper lower|top bottom|up down|upward downward
upstairs downstairs|above below|over under|left right|front back|front rear|inside outside|inner outer|in out
indoor outdoor|indoors outdoors|internal external|interior exterior|inbound outbound|inward outward
incoming outgoing|input output|near far|close far|close distant|nearest farthest|nearest furthest|local remote
local global|domestic foreign|domestic international|national international|native foreign|urban rural|north south
east west|northern southern|eastern western|big small|big little|large small|large little|huge tiny|giant tiny
massive tiny|great small|largest smallest|biggest smallest|highest lowest|longest shortest|tallest shortest
oldest youngest|oldest newest|earliest latest|fastest slowest|strongest weakest|richest poorest|cheapest costliest
heaviest lightest|hottest coldest|hardest easiest|first last|former latter|next previous|next last|before after
prior after|earlier later|early late|old new|old young|old modern|ancient modern|recent ancient|past future
past present|present absent|current former|current previous|temporary permanent|brief long|fast slow|quick slow
rapid slow|rapid gradual|sudden gradual|easy hard|easy difficult|hard simple|difficult simple|simple complex
simple complicated|possible impossible|likely unlikely|likely improbable|probable improbable|certain uncertain
sure unsure|definite vague|clear unclear|clear vague|clear ambiguous|clear cloudy|obvious obscure|visible invisible
known unknown|familiar strange|familiar unfamiliar|common rare|common uncommon|usual unusual|normal abnormal
normal strange|normal weird|ordinary extraordinary|ordinary special|regular irregular|typical atypical
general specific|general particular|natural artificial|natural synthetic|natural unnatural|organic synthetic
manual automatic|static dynamic|fixed variable|constant variable|stable unstable|stable volatile|mutable immutable
sync async|synchronous asynchronous|serial parallel|sequential parallel|analog digital|online offline|public private
open closed|open private|free paid|free busy|free expensive|free premium|cheap expensive|cheap costly|rich poor
wealthy poor|valuable worthless|useful useless|helpful unhelpful|helpful useless|necessary unnecessary
needed unneeded|required optional|mandatory optional|compulsory optional|important unimportant|important trivial
important minor|major minor|main minor|primary secondary|serious playful|serious frivolous|serious funny|funny sad
interesting boring|exciting boring|beautiful ugly|pretty ugly|attractive ugly|handsome ugly|clean messy|tidy messy
neat messy|pure impure|pure mixed|full empty|full partial|complete incomplete|complete partial|whole partial
total partial|perfect imperfect|perfect flawed|exact approximate|precise vague|accurate inaccurate|smart stupid
smart dumb|intelligent stupid|intelligent dumb|clever stupid|wise foolish|educated ignorant|sane insane
mature immature|adult child|male female|man woman|men women|boy girl|boys girls|husband wife|father mother|dad mom
son daughter|brother sister|uncle aunt|nephew niece|king queen|prince princess|actor actress|hero villain
masculine feminine|gay straight|homosexual heterosexual|single married|alone together|single multiple|single double
singular plural|individual group|individual collective|personal professional|personal impersonal
professional amateur|professional unprofessional|expert beginner|expert novice|beginner advanced|basic advanced
senior junior|superior inferior|maximum minimum|max min|most least|more less|more fewer|much little|many few
plenty lack|all none|all some|every no|everyone nobody|everyone none|everybody nobody|everything nothing
everything anything|something nothing|always never|often rarely|often seldom|frequently rarely|usually rarely
always sometimes|yes no|on off|positive negative|plus minus|advantage disadvantage|advantages disadvantages|pro con
pros cons|benefit drawback|benefit risk|benefits drawbacks|benefits risks|strength weakness|strengths weaknesses
asset liability|profit loss|income expense|revenue cost|gross net|supply demand|surplus deficit|credit debit
creditor debtor|lender borrower|buyer seller|customer vendor|client server|employer employee|boss subordinate
teacher student|landlord tenant|doctor patient|parent child|parents children|ancestor descendant
predecessor successor|winner loser|victory defeat|success failure|friend enemy|ally enemy|peace war|love hatred
joy sorrow|hope despair|pleasure pain|comfort discomfort|courage fear|heaven hell|god devil|angel demon|truth lie
truth myth|fact fiction|fact opinion|fiction nonfiction|theory practice|cause effect|cause result|problem solution
source destination|source target|sender receiver|entrance exit|arrival departure|origin destination
departure destination|head tail|head foot|prefix suffix|start finish|beginning end|opening closing|ceiling floor
roof floor|land sea|land water|mountain valley|sky ground|solid liquid|liquid gas|acid base|acidic alkaline
proton electron|matter antimatter|hardware software|frontend backend|front-end back-end|offence defence
offense defense|guest host|predator prey|master slave|leader follower|majority minority|optimist pessimist
optimistic pessimistic|introvert extrovert|introverted extroverted|liberal conservative|democrat republican
democratic republican|left-wing right-wing|capitalism communism|capitalist communist|theist atheist
religious secular|sacred profane|formal informal|formal casual|explicit implicit|direct indirect|active passive
active inactive|awake asleep|conscious unconscious|voluntary forced|deliberate accidental|intentional accidental
flexible rigid|elastic rigid|dense sparse|compact loose|tight loose|straight curved|straight curly
horizontal vertical|parallel perpendicular|convex concave|even odd|equal unequal|same different|similar different
alike different|like unlike|identical different|unlike same|uniform diverse|relative absolute|absolute partial
objective subjective|concrete abstract|literal figurative|quantitative qualitative|finite infinite|bounded unbounded
limited unlimited|rational irrational|logical illogical|relevant irrelevant|valid invalid|legal unlawful
legitimate illegitimate|official unofficial|available unavailable|available busy|available missing|ready unready
existing missing|present missing|empty nonempty|signed unsigned|comfortable uncomfortable|convenient inconvenient
appropriate inappropriate|suitable unsuitable|responsible irresponsible|reliable unreliable|efficient inefficient
effective ineffective|patient impatient|grateful ungrateful|loyal disloyal|faithful unfaithful|generous stingy
generous selfish|selfish selfless|greedy generous|lazy hardworking|lazy active|busy idle|quiet loud|quiet noisy
silent loud|silent noisy|tame wild|vegetarian carnivore|vegan carnivore|herbivore carnivore|hungry full|drunk sober
naked dressed|frequent infrequent|frequent rare|scarce abundant|abundant rare|fertile barren
constructive destructive|creative destructive|heavy slight|opaque transparent|glossy matte|new used|brand-new used
with without|within outside|within beyond|during after|since until|until after|inclusive exclusive
ascending descending|older newer|older younger|larger smaller|bigger smaller|higher lower|longer shorter
faster slower|greater lesser|greater less|greater smaller|later earlier|stronger weaker|easier harder
cheaper costlier|taller shorter|warmer colder|hotter colder|lighter heavier|deeper shallower|wider narrower
thicker thinner|richer poorer|nearer farther|closer farther|recursive nonrecursive|recursively non-recursively
lowercase uppercase|lower-case upper-case|lower upper|verbose quiet|readable unreadable|writable readonly
leading trailing|hidden visible|foreground background|sorted unsorted|matching non-matching|quoted unquoted
cached uncached|tracked untracked|nonempty blank|modified unmodified|modified accessed|created modified
created accessed|changed accessed|changed unchanged|used unused|stdout stderr|stdin stdout|rows columns|row column
line column|hour minute|minute second|daily weekly|daily monthly|weekly monthly|monthly yearly|monthly annually
weekly yearly|physical virtual
overrated underrated|overestimate underestimate|overvalued undervalued|overweight underweight|overpaid underpaid
overload underload|overpriced underpriced|overexposed underexposed
"""


def _fold(*texts: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for text in texts:
        for one, other in groups(text):
            found.setdefault(one, set()).add(other)
            found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}


OPPOSITES: Final = _fold(_COMMANDS, _QUALITIES)
"""For each word its opposites, both ways; words as they are written, lower case."""
