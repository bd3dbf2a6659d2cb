"""How many headlines have a word or value, so that a query is found by the rarest of what it requires.

The words below are the commonest of 85,000 English headlines of a dozen outlets, in order. Word frequencies follow Zipf's
law (G. K. Zipf, "Human Behavior and the Principle of Least Effort", 1949): the n-th word stood in about 1.3 / (n + 4) of
these headlines, to within a third from the first to the thousandth. Only the order of what is estimated matters: it
decides what queries cost, and never what they find.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias

#: ``word`` is a folded word of the headline, ``pair`` two that follow one another, with a space between; ``wildcard``,
#: ``fuzzy`` and ``regex`` describe a word. ``topics`` and ``sources`` are patterns of a topic and a source, the others are
#: values of a field.
Place: TypeAlias = Literal[
    "word", "pair", "wildcard", "fuzzy", "regex", "topic", "topics", "source", "sources", "url", "kind", "status"
]

#: The share of headlines that have what a place other than a word asks for, guessed.
_SHARE_OF_PLACE = {
    "fuzzy": 0.002,
    "regex": 0.02,
    "topic": 0.03,
    "topics": 0.06,
    "source": 0.03,
    "sources": 0.1,
    "url": 0.0001,
    "status": 0.002,
    "kind": 0.5,
}
#: The share of headlines that have a word that is none of the thousand commonest.
_SHARE_OF_RARE = 0.0006
#: Words that follow one another in a query do so oftener in headlines than by chance.
_COMPANY = 30
#: Of headlines that have two such words, so many have them next to each other in this order.
_IN_THIS_ORDER = 0.3
#: A letter more leaves a third of the words that begin or end so.
_LETTERS = 3.0


class Anchor(NamedTuple):
    """Something that a headline has or has not, by which queries can be found."""

    place: Place
    text: str


class Weights(Protocol):
    """Estimates how many headlines have something."""

    def share(self, anchor: Anchor) -> float:
        """The share of headlines that have it, from 0 to 1."""


class WordWeights:
    """Weights by how often words stood in headlines. What they do not know is rare."""

    def __init__(self, share_of_word: Mapping[str, float], share_of_rare: float = _SHARE_OF_RARE) -> None:
        self._share_of_word = share_of_word
        self._share_of_rare = share_of_rare

    def share(self, anchor: Anchor) -> float:
        """The share of headlines that have it."""
        if anchor.place == "word":
            return self._share_of_word.get(anchor.text, self._share_of_rare)
        if anchor.place == "pair":
            one, other = (self._share_of_word.get(word, self._share_of_rare) for word in anchor.text.split())
            return _IN_THIS_ORDER * min(one, other, _COMPANY * one * other)
        if anchor.place == "wildcard":
            letters = max(map(len, anchor.text.replace("?", "*").split("*")))
            return max(2 * _LETTERS**-letters, self._share_of_rare)
        return _SHARE_OF_PLACE[anchor.place]


_COMMONEST = """
    to in the of for and a on is with after as at new from by world says how over are it will cup us best be who up
    more his your out you this that what biden man ukraine he off was her first police an about black twitter not
    england year into has why can trump have its home russia watch could now against musk i two day one back house
    friday uk apple deals but china queen their time get people league down all years russian death show war no
    video woman here win election amazon she elon we top review just than say before covid deal australia old star
    court google save dead game week being killed state during when tv next life claims they putin live hit found
    city make shows power v attack iran family pro climate report today school women murder if three ex florida do
    should security car amid reveals big former still know set most early take my iphone like may fire him under
    prime south gop million or final calls series help hn monday west go pay face last need right dies trial tech
    were moment ahead high race netflix arrested shooting white cyber truss season sunak democrats king qatar use
    free nasa see hurricane while warns text record run so mother end stop data crisis four york senate news accused
    dont these change work football wales lead children charged been texas team ai five midterms energy president vs
    days liz protests north call british government left made california sale latest media funeral crash buy gets
    social open fight return makes where way air takes minister republicans radio fans plans microsoft shot tax ian
    premier support student behind party cost faces midterm health our using beat again rishi charles only national
    meta halloween money another launch want find some plan build case wife history india had inside without second
    start pm workers military nfl space sydney through im boy republican border pelosi tiktok sex american son night
    bill james hits nuclear there missing london prince judge britain georgia migrants head wants online them key
    would future ask price plus long own phone child leader other wins prison away app ever rise harry baby great
    inflation despite prices real gaming girl red suspect group keep chinese oil tells wont abortion public month
    look law staff ukrainian vote bank cut father america rugby tom chief crime october pakistan office officials
    good rates pixel since strike me sales royal korea men better christmas service making voters brazil going
    killing does strikes must france ftx john daughter campaign elections died champions driver told games
    australian never anti play release too living boss students times gas control ban finds company kids much
    november business un nyc getting six desantis parents allegedly following crypto turn elizabeth holiday battle
    goes liverpool study biggest jailed lost university budget water samsung across claim kherson cant billion smart
    young paul action users coming launches country post speech every major arizona officer photos rules victory far
    late xi love months melbourne market nations near slams announces official human cuts killer hours storm body
    low episode united teen disney issues did super dog nearly alleged tory used job supreme laptop risk windows
    full close due political internet jail husband event food meet fall johnson between talks test hospital third
    horror everything finally least really arrest guilty ceo economy gives scotland store move germany mexico loss
    female europe system global reaction put democrat electric warning migrant around android charges rape david
    hunt joe host trailer mark zealand kanye probe even huge moon music debate half seen victim thousands movies row
    leave tesla missile fetterman rights reports eu got come hold camera bills trying fears french lawsuit forces
    secret abuse winter japan players arsenal part search less manchester questions ireland break americans iranian
    ios become states meghan injured threat update assault cancer scores line building mass employees story outside
    give chelsea leaders which bad try gun college island mayor working force attacks breaks might congress leaves
    aged drug protest jones italy sexual match bid flight club revealed card canada blue running book road
    protesters player gov absolute taylor chaos governor said chris mom utd thanksgiving let worth because ipad
    victims care wrong facebook available africa fi taking guide things special weeks results brady caught target
    looks movie saudi admits among owner poll front rate george forced source returns investigation sentenced
    interview cops summit credit andor rocket experts updates bring stars earth sent double act mystery meeting
    legal think michigan la reportedly reveal crown film driving fbi millions weather wars lose explained interest
    decision max denies images ii street numbers pc doesnt town grand coach e drops policy bridge kyiv boost blood
    walmart train many stabbed drive deadly massive candidate access needs tell virginia aaron art secretary
    emergency including shares begins hundreds cars brings past hosts founder ways park streaming avoid coast
    companies idaho defends fired federal general mortgage very giant autumn charge isnt fox c voting costs pandemic
    fast banned drop historic demand self dragon travel zero carolina ohio station age winning pennsylvania mission
    miss number little didnt stream democratic foreign mail ready economic private andrew expected fan poland injury
    account inch almost donald residents safety walker teacher nsw washington called paris jobs illegal accounts
    released plane galaxy goal turns gen robot manager until families colorado leads software instagram channel
    deaths role william push held couple rare heart worker victoria scandal yet ronaldo list doctor usa sea friend
    hunter collapse cash remains mini activists beats answer racist layoffs kill nhs kills woke politics features
    seven boris sign likely accuses matt violence clips fake same name princess board offers hard anthony cloud
    european murdered fighting fraud hopes labour san blasts hotel mps photo services site celebrity zelensky kevin
    protect hiring trade problem based devices stay nation tips leaving forever facing eight any conference
    customers view side fires daily apps wild defeat dark army paid green analysis point ring votes ad place plant
    airpods met response
""".split()  # noqa: SIM905 - a list of a thousand words would take a thousand lines

#: The weights of a desk that has no history yet.
USUAL = WordWeights({word: 1.3 / (rank + 4) for rank, word in enumerate(_COMMONEST, start=1)})
