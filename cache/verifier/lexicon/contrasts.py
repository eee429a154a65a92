"""Families of words of which one cannot stand for another: places, colours, tools, sports and the like."""

from __future__ import annotations

from typing import Final

from cache.verifier.lexicon.notation import groups, words

PLACES: Final = """
afghanistan=afghan albania=albanian algeria=algerian andorra angola argentina=argentine=argentinian armenia=armenian
australia=australian=aussie austria=austrian azerbaijan bahamas bahrain bangladesh=bangladeshi barbados
belarus=belarusian belgium=belgian belize benin bhutan=bhutanese bolivia=bolivian bosnia=bosnian botswana
brazil=brazilian brunei bulgaria=bulgarian burma=burmese=myanmar burundi cambodia=cambodian cameroon canada=canadian
chad chile=chilean china=chinese colombia=colombian congo=congolese croatia=croatian cuba=cuban cyprus=cypriot
czechia=czech denmark=danish djibouti dominica ecuador=ecuadorian egypt=egyptian eritrea estonia=estonian
ethiopia=ethiopian fiji finland=finnish france=french gabon gambia germany=german ghana=ghanaian greece=greek
grenada guatemala=guatemalan guinea guyana haiti=haitian honduras hungary=hungarian iceland=icelandic india=indian
indonesia=indonesian iran=iranian iraq=iraqi ireland=irish israel=israeli italy=italian jamaica=jamaican
japan=japanese jordan=jordanian kazakhstan=kazakh kenya=kenyan korea=korean kosovo kuwait=kuwaiti kyrgyzstan
laos=laotian latvia=latvian lebanon=lebanese lesotho liberia=liberian libya=libyan lithuania=lithuanian luxembourg
macedonia=macedonian madagascar malawi malaysia=malaysian maldives mali malta=maltese mauritania mauritius
mexico=mexican moldova=moldovan monaco mongolia=mongolian montenegro morocco=moroccan mozambique namibia
nepal=nepali=nepalese netherlands=dutch=holland nicaragua niger nigeria=nigerian norway=norwegian oman=omani
pakistan=pakistani palestine=palestinian panama=panamanian paraguay peru=peruvian philippines=filipino poland=polish
portugal=portuguese qatar=qatari romania=romanian russia=russian rwanda=rwandan samoa senegal serbia=serbian
seychelles singapore=singaporean slovakia=slovak slovenia=slovenian somalia=somali spain=spanish sudan=sudanese
suriname swaziland sweden=swedish switzerland=swiss syria=syrian taiwan=taiwanese tajikistan tanzania=tanzanian
thailand=thai tibet=tibetan togo tonga trinidad tunisia=tunisian turkey=turkish turkmenistan uganda=ugandan
ukraine=ukrainian uruguay=uruguayan uzbekistan vatican venezuela=venezuelan vietnam=vietnamese yemen=yemeni
zambia=zambian zimbabwe=zimbabwean england=english britain=british=uk wales=welsh scotland=scottish
usa=america=american europe=european asia=asian africa=african antarctica arctic scandinavia=scandinavian alabama
alaska arizona arkansas california=californian colorado connecticut delaware florida georgia hawaii=hawaiian idaho
illinois indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri
montana nebraska nevada ohio oklahoma oregon pennsylvania tennessee texas=texan utah vermont virginia wisconsin
wyoming ontario quebec alberta manitoba saskatchewan bavaria catalonia tuscany sicily crimea punjab gujarat kerala
karnataka maharashtra bihar assam goa kashmir rajasthan odisha telangana haryana london paris berlin madrid rome
vienna moscow tokyo beijing shanghai delhi mumbai=bombay bangalore=bengaluru chennai=madras kolkata=calcutta
hyderabad pune sydney melbourne toronto vancouver montreal chicago boston seattle houston dallas atlanta detroit
miami denver philadelphia phoenix baltimore munich hamburg frankfurt amsterdam brussels lisbon barcelona milan
venice florence naples athens istanbul ankara cairo dubai bangkok manila jakarta seoul osaka kyoto lahore karachi
dhaka kathmandu colombo johannesburg nairobi lagos stockholm oslo copenhagen helsinki warsaw prague budapest zurich
geneva dublin edinburgh glasgow manchester liverpool birmingham
"""

_FAMILIES: Final = """
red green blue yellow orange purple violet pink brown black white grey=gray silver golden
monday tuesday wednesday thursday friday saturday sunday
january february march april june july august september october november december
spring summer autumn winter
north south east west northeast northwest southeast southwest
breakfast lunch dinner brunch
python java javascript typescript ruby perl php golang rust kotlin swift scala haskell matlab fortran cobol bash \
powershell
windows mac=macos=osx linux android ios ubuntu debian fedora centos redhat symbian blackberry
chrome firefox safari opera edge
mysql postgresql=postgres sqlite oracle mongodb redis cassandra mariadb dynamodb elasticsearch
json xml yaml csv html pdf docx xlsx toml markdown
tar zip gzip bzip2 rar 7z xz
aws azure gcp heroku digitalocean
react angular vue svelte django flask rails spring laravel express
google facebook amazon microsoft apple twitter instagram youtube netflix uber linkedin whatsapp snapchat quora \
reddit samsung nokia sony xiaomi huawei oneplus motorola tesla intel nvidia ibm infosys accenture flipkart paypal \
ebay airbnb yahoo
iphone ipad macbook ipod
visa mastercard amex maestro
dollar euro pound rupee yen yuan peso franc bitcoin ethereum
english french spanish german italian portuguese russian arabic hindi urdu bengali tamil telugu marathi punjabi \
chinese mandarin cantonese japanese korean turkish persian hebrew latin greek dutch swedish polish
physics chemistry biology mathematics=math=maths history geography economics philosophy psychology sociology \
astronomy geology linguistics medicine statistics law accounting algebra geometry calculus
football=soccer cricket basketball baseball hockey tennis golf rugby volleyball badminton boxing swimming wrestling
piano guitar violin drum flute trumpet saxophone cello ukulele
dog=puppy cat=kitten horse cow pig sheep goat chicken duck rabbit mouse rat snake lion tiger bear wolf fox elephant \
monkey whale dolphin shark eagle owl parrot spider
apple banana mango grape lemon cherry strawberry peach pear pineapple watermelon
carbon hydrogen oxygen nitrogen helium iron copper zinc nickel mercury uranium plutonium sodium potassium calcium \
magnesium aluminium=aluminum lead tin chlorine sulfur=sulphur phosphorus
mercury venus earth mars jupiter saturn uranus neptune pluto moon sun
christianity=christian islam=islamic=muslim hinduism=hindu buddhism=buddhist judaism=jewish=jew sikhism=sikh \
jainism=jain catholic protestant atheism=atheist
mother father brother sister uncle aunt cousin son daughter wife husband girlfriend boyfriend grandmother \
grandfather
aries taurus gemini cancer leo virgo libra scorpio sagittarius capricorn aquarius pisces
bachelor master doctorate=phd diploma mba
coffee tea beer wine whiskey vodka milk juice water soda
car truck bus train bicycle=bike motorcycle boat ship plane=airplane=aeroplane helicopter
heart liver kidney lung brain stomach skin eye ear nose mouth tooth=teeth knee ankle shoulder elbow wrist thumb toe \
neck
circle square triangle rectangle pentagon hexagon sphere cube cylinder cone
copy move delete rename
user group owner
file directory process line word character
today tomorrow yesterday tonight
second minute hour day week month year decade century
"""


def _fold() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    families = [("place", words(PLACES)), *((family[0], family) for family in groups(_FAMILIES))]
    for name, family in families:
        for same in family:
            first, *others = same.split("=")
            for word in (first, *others):
                found.setdefault(word, (name, first))
    return found


CONTRASTS: Final = _fold()
"""For each word the name of its family and the word that stands for it there; a word has one family."""
