"""A wide list of everyday words, by the part they play in a sentence of `loose`."""

W_NOUN = (
    "lighthouse harbor chimney balcony attic hallway doorway kitchen corner "
    "candlestick teapot lid handle knob lock bolt spring gear lever crank bench "
    "stool cradle mattress hammock porch yard lawn barn shed fountain statue "
    "square market stall counter scale penny dollar package badge uniform apron "
    "beard moustache braid freckle ankle wrist forehead voice whisper shout "
    "laugh giggle tear sneeze hiccup yawn nap breath step footprint track trail "
    "edge middle beginning piece slice crumb drop spoonful bite sip bunch pile "
    "heap row line circle triangle word sentence alphabet number rhyme riddle "
    "tale chapter library museum theater circus magician acrobat carousel "
    "costume parade band orchestra picnic tablecloth napkin straw recipe dough "
    "flour yeast syrup waffle dumpling pickle lettuce cucumber pea spinach "
    "garlic ginger vanilla walnut chestnut raisin blueberry raspberry pineapple "
    "coconut mango swallow seagull pelican eagle hawk stork heron turkey rooster "
    "hare weasel raccoon skunk porcupine kangaroo koala leopard buffalo tadpole "
    "mosquito flea jellyfish starfish lobster salmon carp pasture stump log twig "
    "bark ivy thistle dandelion cactus palm volcano glacier canyon peak slope "
    "horizon breeze hail dew mist flood dawn dusk shade spark flame ash smoke "
    "steam bubble foam splash ripple dock pier cabin deck paddle thing kind side "
    "place world town city country family crowd village minute hour moment day "
    "night week month year summer winter spring autumn Monday Sunday weekend "
    "school class pupil homework chalk board seat window door chair table roof "
    "wall floor stair cellar ceiling fire stove oven kettle pan plate fork knife "
    "spoon glass bottle jug towel soap comb sponge sink bath bed sheet quilt "
    "curtain carpet sofa shelf drawer clock radio phone camera letter stamp "
    "envelope parcel newspaper page pencil crayon pen ruler paper card paint "
    "notebook desk map globe lesson story poem song dance game prize race team "
    "goal bat swing slide seesaw ladder fence gate path road street bridge "
    "tunnel train bus car bicycle ship ferry boat raft canoe plane rocket truck "
    "tractor cart wheel engine motor anchor sail flag mast tent torch rope chain "
    "hook nail screw hammer saw axe spade rake hose bucket barrel sack box crate "
    "basket purse wallet coin ticket crown sword shield castle tower king queen "
    "wizard witch giant dwarf fairy dragon pirate knight ghost treasure cave "
    "cliff island shore wave tide sand shell pebble rock stone hill valley "
    "desert jungle swamp river stream waterfall lake pond puddle cloud storm "
    "thunder lightning rainbow fog frost ice snowflake moon sun star planet sky "
    "shadow light candle lamp lantern mirror button zipper pocket sleeve collar "
    "shoe boot sock glove mitten hat cap scarf coat jacket dress skirt shirt "
    "sweater belt ribbon needle thread wool blanket pillow nose ear eye mouth "
    "tooth tongue chin cheek hair finger thumb hand elbow arm shoulder knee leg "
    "toe heel heart belly back tail wing feather beak claw paw fur shell nest "
    "egg web hive burrow den stable kennel cage whale shark dolphin octopus crab "
    "seal walrus fish snake lizard camel donkey ostrich peacock bat moth wasp "
    "dragonfly grasshopper worm leaf branch root trunk seed flower petal thorn "
    "bush hedge grass moss fern mushroom acorn nut corn wheat hay bread butter "
    "egg sausage noodle pizza pepper salt sugar candy chocolate biscuit jelly "
    "cream drum flute bell whistle trumpet fiddle puppet doll robot kite balloon "
    "marble puzzle toy joke trick secret dream wish promise lie question answer "
    "idea plan mistake accident surprise present party wedding holiday trip "
    "journey adventure machine clinic medicine bandage fever cough umbrella "
    "raincoat suitcase backpack helmet compass telescope magnet battery bulb "
    "pipe pump oar net hen lamb colt goldfish hamster"
).split()
W_ADJ = (
    "big small tall short long wide narrow thick thin heavy light fast slow loud "
    "quiet soft hard smooth rough sharp round flat straight crooked hot cold "
    "warm cool wet dry clean dirty dusty muddy sticky slippery shiny dull bright "
    "dark pale colorful empty full open closed broken new old young fresh rotten "
    "sweet sour salty bitter spicy tasty hungry thirsty rich poor strong weak "
    "brave timid clever foolish wise silly funny serious strange ordinary famous "
    "secret hidden lost safe dangerous easy difficult simple careful careless "
    "gentle rude polite noisy calm wild tame lazy busy tired sleepy awake alive "
    "early late ready perfect wonderful terrible awful lovely ugly pretty "
    "beautiful fancy plain cheap precious magical invisible enormous tiny "
    "gigantic fluffy furry fuzzy wooden striped spotted golden silver purple "
    "orange cozy creaky cheerful"
).split()
W_FEEL = (
    "happy sad angry glad proud ashamed shy lonely jealous bored excited "
    "surprised worried afraid frightened calm curious confused grateful hopeful "
    "sorry sick dizzy sleepy hungry thirsty better"
).split()
W_PERSON = (
    "teacher doctor nurse farmer baker butcher tailor sailor captain pilot "
    "driver painter singer dancer clown soldier guard judge king queen prince "
    "princess neighbor stranger uncle aunt cousin brother sister baby man woman "
    "gardener shopkeeper postman fisherman hunter shepherd carpenter plumber "
    "fireman policeman librarian conductor cook waiter boy girl twin friend mayor"
).split()
_VERBS = [
    ("call", "called", "called", "calling"),
    ("cook", "cooked", "cooked", "cooking"),
    ("count", "counted", "counted", "counting"),
    ("help", "helped", "helped", "helping"),
    ("climb", "climbed", "climbed", "climbing"),
    ("chase", "chased", "chased", "chasing"),
    ("scare", "scared", "scared", "scaring"),
    ("learn", "learned", "learned", "learning"),
    ("need", "needed", "needed", "needing"),
    ("want", "wanted", "wanted", "wanting"),
    ("like", "liked", "liked", "liking"),
    ("hate", "hated", "hated", "hating"),
    ("miss", "missed", "missed", "missing"),
    ("notice", "noticed", "noticed", "noticing"),
    ("taste", "tasted", "tasted", "tasting"),
    ("spill", "spilled", "spilled", "spilling"),
    ("knit", "knitted", "knitted", "knitting"),
    ("fold", "folded", "folded", "folding"),
    ("pour", "poured", "poured", "pouring"),
    ("swallow", "swallowed", "swallowed", "swallowing"),
    ("lick", "licked", "licked", "licking"),
    ("scratch", "scratched", "scratched", "scratching"),
    ("tickle", "tickled", "tickled", "tickling"),
    ("wipe", "wiped", "wiped", "wiping"),
    ("guard", "guarded", "guarded", "guarding"),
    ("finish", "finished", "finished", "finishing"),
    ("start", "started", "started", "starting"),
    ("change", "changed", "changed", "changing"),
    ("use", "used", "used", "using"),
    ("try", "tried", "tried", "trying"),
    ("join", "joined", "joined", "joining"),
    ("reach", "reached", "reached", "reaching"),
    ("pass", "passed", "passed", "passing"),
    ("enter", "entered", "entered", "entering"),
    ("invent", "invented", "invented", "inventing"),
    ("discover", "discovered", "discovered", "discovering"),
    ("imagine", "imagined", "imagined", "imagining"),
    ("thank", "thanked", "thanked", "thanking"),
    ("plant", "planted", "planted", "planting"),
    ("cross", "crossed", "crossed", "crossing"),
    ("melt", "melted", "melted", "melting"),
    ("stir", "stirred", "stirred", "stirring"),
    ("dry", "dried", "dried", "drying"),
    ("surprise", "surprised", "surprised", "surprising"),
    ("believe", "believed", "believed", "believing"),
    ("bake", "baked", "baked", "baking"),
    ("invite", "invited", "invited", "inviting"),
    ("promise", "promised", "promised", "promising"),
    ("answer", "answered", "answered", "answering"),
    ("scrub", "scrubbed", "scrubbed", "scrubbing"),
    ("kiss", "kissed", "kissed", "kissing"),
    ("greet", "greeted", "greeted", "greeting"),
    ("trust", "trusted", "trusted", "trusting"),
    ("copy", "copied", "copied", "copying"),
    ("collect", "collected", "collected", "collecting"),
    ("decorate", "decorated", "decorated", "decorating"),
    ("deliver", "delivered", "delivered", "delivering"),
    ("eat", "ate", "eaten", "eating"),
    ("drink", "drank", "drunk", "drinking"),
    ("read", "read", "read", "reading"),
    ("write", "wrote", "written", "writing"),
    ("know", "knew", "known", "knowing"),
    ("feed", "fed", "fed", "feeding"),
    ("dig", "dug", "dug", "digging"),
    ("meet", "met", "met", "meeting"),
    ("teach", "taught", "taught", "teaching"),
    ("understand", "understood", "understood", "understanding"),
    ("ring", "rang", "rung", "ringing"),
    ("ride", "rode", "ridden", "riding"),
    ("fly", "flew", "flown", "flying"),
    ("hang", "hung", "hung", "hanging"),
    ("spread", "spread", "spread", "spreading"),
    ("bite", "bit", "bitten", "biting"),
    ("wake", "woke", "woken", "waking"),
    ("sweep", "swept", "swept", "sweeping"),
    ("win", "won", "won", "winning"),
    ("get", "got", "got", "getting"),
    ("have", "had", "had", "having"),
    ("tell", "told", "told", "telling"),
    ("put", "put", "put", "putting"),
    ("pay", "paid", "paid", "paying"),
    ("beat", "beat", "beaten", "beating"),
    ("light", "lit", "lit", "lighting"),
    ("take", "took", "taken", "taking"),
    ("see", "saw", "seen", "seeing"),
    ("make", "made", "made", "making"),
    ("find", "found", "found", "finding"),
    ("hold", "held", "held", "holding"),
    ("break", "broke", "broken", "breaking"),
    ("build", "built", "built", "building"),
    ("buy", "bought", "bought", "buying"),
    ("bring", "brought", "brought", "bringing"),
    ("catch", "caught", "caught", "catching"),
    ("choose", "chose", "chosen", "choosing"),
    ("draw", "drew", "drawn", "drawing"),
    ("drop", "dropped", "dropped", "dropping"),
    ("fix", "fixed", "fixed", "fixing"),
    ("hide", "hid", "hidden", "hiding"),
    ("keep", "kept", "kept", "keeping"),
    ("kick", "kicked", "kicked", "kicking"),
    ("lift", "lifted", "lifted", "lifting"),
    ("lose", "lost", "lost", "losing"),
    ("move", "moved", "moved", "moving"),
    ("open", "opened", "opened", "opening"),
    ("paint", "painted", "painted", "painting"),
    ("pull", "pulled", "pulled", "pulling"),
    ("push", "pushed", "pushed", "pushing"),
    ("sell", "sold", "sold", "selling"),
    ("send", "sent", "sent", "sending"),
    ("show", "showed", "shown", "showing"),
    ("smell", "smelled", "smelled", "smelling"),
    ("steal", "stole", "stolen", "stealing"),
    ("throw", "threw", "thrown", "throwing"),
    ("touch", "touched", "touched", "touching"),
    ("wash", "washed", "washed", "washing"),
    ("watch", "watched", "watched", "watching"),
    ("wear", "wore", "worn", "wearing"),
    ("carry", "carried", "carried", "carrying"),
    ("clean", "cleaned", "cleaned", "cleaning"),
    ("cover", "covered", "covered", "covering"),
    ("cut", "cut", "cut", "cutting"),
    ("fill", "filled", "filled", "filling"),
    ("follow", "followed", "followed", "following"),
    ("forget", "forgot", "forgotten", "forgetting"),
    ("give", "gave", "given", "giving"),
    ("hear", "heard", "heard", "hearing"),
    ("hug", "hugged", "hugged", "hugging"),
    ("leave", "left", "left", "leaving"),
    ("love", "loved", "loved", "loving"),
    ("pick", "picked", "picked", "picking"),
    ("polish", "polished", "polished", "polishing"),
    ("remember", "remembered", "remembered", "remembering"),
    ("save", "saved", "saved", "saving"),
    ("shake", "shook", "shaken", "shaking"),
    ("squeeze", "squeezed", "squeezed", "squeezing"),
    ("tie", "tied", "tied", "tying"),
    ("turn", "turned", "turned", "turning"),
    ("wrap", "wrapped", "wrapped", "wrapping"),
    ("visit", "visited", "visited", "visiting"),
    ("share", "shared", "shared", "sharing"),
    ("borrow", "borrowed", "borrowed", "borrowing"),
]
W_BASE = [v[0] for v in _VERBS]
W_TRANS = [v[1] for v in _VERBS]
W_DONE = [v[2] for v in _VERBS]
W_DOING = [v[3] for v in _VERBS]
W_INTRANS = (
    "laughed|cried|smiled|slept|jumped|ran|walked|danced|sang|waited|sat down|"
    "stood up|fell|hopped|sighed|sneezed|yawned|blinked|waved|nodded|shouted|"
    "whispered|listened|stopped|climbed|swam|crawled|slipped|rolled over|turned "
    "around|looked up|woke up|ran away|came back|went home|grew|shone|flew|"
    "floated|sank|dripped|melted|burned|rang|squeaked|barked|meowed|growled|"
    "hummed|played|worked|rested|thought|dreamed|giggled|trembled|rushed|tiptoed|"
    "stayed|disappeared"
).split("|")
W_ADVERB = (
    "slowly|quickly|softly|loudly|quietly|happily|sadly|carefully|suddenly|"
    "gently|bravely|proudly|politely|again|away|at once|together|alone|for hours|"
    "all night|at last|too|far away|inside|outside|upstairs|downstairs|nearby|"
    "everywhere|a little|a lot|as fast as possible"
).split("|")
W_WHERE = (
    "on the table|under the bed|in the box|behind the door|near the river|at "
    "school|at home|in the sky|on the roof|in the garden|at the market|in the "
    "kitchen|by the window|inside the cave|on the beach|beside the road|between "
    "the trees|in the water|above the clouds|across the street|in the middle of "
    "the field|at the top of the hill|around the corner|in a corner|on the floor|"
    "on the other side|under the stars|in the city|on the bus|next to the fire|"
    "below the bridge|among the flowers"
).split("|")
W_TIME = (
    "breakfast|lunch|dinner|noon|midnight|morning|sunset|a long time|a minute|an "
    "hour|the party|school|the rain|the storm|supper|bedtime"
).split("|")
W_TIME2 = "now|later|tomorrow|tonight|next week|first|again|together|right away|after lunch".split(
    "|"
)
W_DAY = "day|morning|evening|night|week|month|summer|winter|spring|autumn|year".split("|")
W_MANY = (
    "cups|shoes|birds|clouds|flowers|stones|books|toys|chairs|windows|children|"
    "people|horses|boats|trees|leaves|stars|fish|eggs|boxes|letters|coins|cakes|"
    "ducks|bees|mice|sheep|socks|candles|cars"
).split("|")
W_PLACE = (
    "house|shop|barn|cave|kitchen|garden|school|street|castle|boat|attic|forest|zoo|park".split("|")
)
