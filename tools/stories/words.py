"""Word lists of the story grammar. A name in a template such as ``<happy>`` is a list here."""

GIRLS = (
    "Lily Mia Anna Sara Lucy Emma Zoe Ella Rosie Nora Ivy Clara Ruby Daisy Molly "
    "Amy Jane Kate Maya Nina Tess Wendy Polly Hazel Sue Grace Olive Ada Bella "
    "Tara Priya Aisha Lena Mary"
).split()
BOYS = (
    "Tom Ben Tim Max Sam Jack Leo Finn Noah Oscar Theo Billy Jake Dan Peter "
    "Henry Hugo Adam Luke Felix Omar Ravi Kai Toby Joe Will Eli Milo Carl Fred "
    "Bob Mark Ned"
).split()
PETS = (
    "Pip Tuft Nibbles Coco Biscuit Dot Pepper Button Ziggy Mossy Bramble Fern "
    "Dusty Hoppy Pebble Snowy Rusty Patch Bubbles Ginger Clover Whisker Tiny "
    "Buddy Acorn Spot Fluffy Teddy"
).split()
SURNAMES = "Green Brown White Hill Wood Reed Park Bell Stone Baker Fox Lake".split()

ANIMALS = (
    "rabbit fox bear mouse squirrel hedgehog duck frog turtle owl cat dog pig "
    "goat sheep horse cow hen lamb pony deer wolf badger otter mole beaver goose "
    "crow robin kitten puppy bunny monkey elephant lion tiger giraffe zebra "
    "panda penguin parrot"
).split()
WILD = (
    "rabbit fox bear mouse squirrel hedgehog duck frog turtle owl badger otter "
    "mole beaver goose crow robin deer pig goat bunny"
).split()
SMALL = "mouse squirrel hedgehog frog mole robin kitten duckling chick bunny ladybug snail".split()
BIG = "bear horse elephant lion tiger cow wolf moose ox giraffe".split()
BIRDS = "robin crow owl goose sparrow parrot swan pigeon blackbird wren".split()
BUGS = "ant bee beetle butterfly ladybug snail spider worm cricket caterpillar".split()

TRAITS = (
    "kind brave shy clever curious lazy cheerful quiet careful busy gentle "
    "stubborn proud silly patient honest greedy friendly"
).split()
GOOD_TRAITS = "kind brave clever curious cheerful gentle careful friendly patient honest".split()
COLOURS = ("red blue green yellow orange purple pink white black brown grey golden silver").split()
SIZES = "big small tiny large little huge".split()
LOOKS = "shiny pretty old new fine smooth bright beautiful special strange lovely".split()
MATERIALS = "wooden paper glass tin stone woolen plastic silk leather cotton metal".split()

TOYS = (
    "kite ball boat doll drum train truck puzzle robot top car bear whistle "
    "balloon hoop wagon bucket rocket block mask puppet"
).split()
WEARABLES = "hat scarf coat cap cape belt ribbon sweater jacket apron button necklace ring".split()
CLOTHES = "hat scarf coat cap cape sweater jacket".split()
TREASURES = "coin shell stone feather key bell gem marble star medal button leaf".split()
TOOLS = "hammer rope ladder shovel net broom lantern saw basket bucket stick hook brush".split()
KEEPSAKES = "book cup map clock lamp spoon bowl umbrella blanket pillow picture mirror bag".split()
CONTAINERS = "box basket jar bag drawer bucket chest pot tin cup trunk cupboard".split()
INSTRUMENTS = "drum flute violin piano trumpet guitar harp bell".split()
FOODS = (
    "cake pie soup bread honey cheese jam pancake cookie sandwich muffin salad "
    "stew porridge pudding toast rice pasta"
).split()
DISHES = "cake pie soup stew pudding salad bread".split()
FRUITS = "apple pear plum peach banana orange cherry strawberry lemon grape melon berry".split()
VEGETABLES = "carrot potato onion pumpkin turnip bean tomato cabbage radish mushroom".split()
DRINKS = "milk water tea juice lemonade cocoa".split()
FLOWERS = "rose daisy tulip sunflower poppy violet lily bluebell".split()
TREES = "oak apple pine willow pear maple cherry".split()

OUTDOORS = (
    "the park|the garden|the forest|the woods|the river|the lake|the beach|the "
    "meadow|the hill|the farm|the field|the pond|the playground|the old bridge|"
    "the orchard|the mountain|the sea|the valley|the village square"
).split("|")
BUILDINGS = (
    "the school|the market|the library|the shop|the bakery|the barn|the mill|the "
    "museum|the station|the castle|the zoo|the toy store"
).split("|")
SPOTS = (
    "under the bed|behind the couch|on the shelf|in the garden|under the table|"
    "behind the door|in the kitchen|near the window|in the barn|under the stairs|"
    "by the pond|beside the gate|on the roof|in the tall grass|under the bridge|"
    "behind the shed|next to the well|inside the closet|at the bottom of the "
    "basket|in the sandbox|on the porch|by the fence"
).split("|")
WILD_SPOTS = (
    "under a bush|behind a rock|in a hollow log|near the stream|on a branch|in "
    "the long grass|under a pile of leaves|by the old oak|between two stones|in "
    "a nest|beside the path|at the edge of the pond|behind a tree|in the mud|"
    "under a fern"
).split("|")
HIDING = (
    "behind the curtain|under the bed|inside the closet|behind the big tree|"
    "under the table|in the laundry basket|behind the shed|inside a large box|"
    "under the stairs|up in the attic|behind the couch|in the tall grass|under a "
    "blanket|behind the door"
).split("|")

OPENING = (
    "one day|one morning|one afternoon|one sunny day|one cold morning|one quiet "
    "evening|one summer day|one windy day|early one morning|late one afternoon|"
    "one Saturday|on a bright spring day|on a warm day|one winter morning|one "
    "autumn day"
).split("|")
LATER = (
    "after a while|soon|a little later|before long|at last|some time later|that "
    "afternoon|not long after|in the end|a few minutes later"
).split("|")
SUDDENLY = "suddenly|just then|at that moment|all of a sudden|then|all at once".split("|")
NIGHT = (
    "that night|that evening|at bedtime|when the stars came out|before going to "
    "sleep|when the sun went down|after supper"
).split("|")

HAPPY = "happy|glad|very happy|so happy|full of joy|pleased|delighted|cheerful".split("|")
SAD = "sad|very sad|upset|unhappy|close to tears|miserable".split("|")
SCARED = "scared|afraid|frightened|worried|nervous|very scared".split("|")
TIRED = "tired|sleepy|worn out|very tired|weary".split("|")
ANGRY = "angry|cross|mad|very angry|annoyed".split("|")
SAID = "said|said|said|answered|replied".split("|")
ASKED = "asked|asked|said".split("|")
CRIED = "cried|shouted|called|called out|yelled".split("|")
WHISPERED = "whispered|murmured|sighed|mumbled".split("|")
WALKED = "walked|went|ran|hurried|skipped|wandered|marched".split("|")
WENT = "went|walked|hurried|ran|set off".split("|")
SAW = "saw|noticed|spotted|found|came across".split("|")
SMILED = "smiled|laughed|grinned|nodded|clapped|giggled".split("|")
LOVED = "loved|liked|loved".split("|")
THANKS = "thank you|thank you so much|thanks|thank you very much|oh, thank you".split("|")
WOW = "wow|oh|look|oh my|hooray|goodness".split("|")
VERY = "very|so|really|quite".split("|")

NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
ORDINALS = "first second third fourth fifth".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

SCENTS = "roses daisies tulips grass bread rain leaves apples snow hay".split()
FRUITS_MANY = "apples pears plums peaches cherries oranges lemons berries grapes".split()
VEGETABLES_MANY = "carrots potatoes onions beans turnips pumpkins cabbages mushrooms".split()
NUMBER = "two three four five six seven eight nine ten".split()
