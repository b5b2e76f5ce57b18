"""A small grammar of English sentences, for practice text that no plot shapes.

Each list holds the ways to write one kind of phrase; ``<x_np>`` in a phrase is another of them,
so clauses nest. Where a kind can hold itself, most of its ways do not, so that expansion ends.
"""

X_WHO = (
    "{A}|{A}|{B}|{A.he}|{A.he}|{A.he}|the <w_person>|the <w_person>|the "
    "<animals>|{A.his} <w_person>|his <w_person>|her <w_person>|the old man|the "
    "old woman|the little girl|the little boy|someone|somebody|everyone|"
    "everybody|nobody|no one|the other|one of them|each of them|the first one|a "
    "<w_person>|a <w_adj> <animals>|the <w_adj> <w_person>|an old <w_person>|"
    "{B.full}'s <w_person>|the <w_person> <x_pp>|the <w_person> who <x_did>|his "
    "grandmother|her grandfather|the lady next door"
).split("|")
X_THEY = (
    "they|they|they|the children|the people|the <w_many>|{A} and {B}|both of "
    "them|all of them|some of the <w_many>|the others|two <w_many>|many <w_many>|"
    "most people|the two friends|we"
).split("|")
X_THING = (
    "the <w_noun>|the <w_noun>|the <w_noun>|a <w_noun>|a <w_noun>|a <w_adj> "
    "<w_noun>|the <w_adj> <w_noun>|{A.his} <w_noun>|his <w_noun>|her <w_noun>|"
    "their <w_noun>|this <w_noun>|that <w_noun>|another <w_noun>|one <w_noun>|"
    "the last <w_noun>|the first <w_noun>|the same <w_noun>|the whole <w_noun>|"
    "no <w_noun>|the <w_noun> of the <w_noun>|the end of the <w_noun>|a piece of "
    "<w_noun>|a bit of <w_noun>|{B}'s <w_noun>|the <w_noun> <x_pp>|a <w_noun> "
    "with a <w_noun>|the <w_noun> that <x_who> <w_trans>|a little <w_noun>|a big "
    "<w_noun>|an old <w_noun>|such a <w_noun>|half of the <w_noun>|the <w_adj>, "
    "<w_adj> <w_noun>|a <w_noun> that was <w_adj>|every <w_noun>|the <w_noun> "
    "and the <w_noun>"
).split("|")
X_OBJ = (
    "<x_thing>|<x_thing>|<x_thing>|<x_thing>|it|it|them|him|her|{B}|{A}|"
    "something|nothing|everything|the <w_many>|some <w_many>|a few <w_many>|all "
    "the <w_many>|the <animals>|the <w_person>|the rest|one of the <w_many>|"
    "<w_many> and <w_many>|each other|what was left|a lot of <w_many>|many "
    "<w_many>"
).split("|")
X_PLACE = (
    "the <w_noun>|the <w_noun>|the <w_place>|a <w_noun>|the <w_adj> <w_noun>|"
    "{A.his} <w_noun>|the <w_many>|the edge of the <w_noun>|the house|the ground|"
    "the water|the air|the sky|the trees|the street|her|him|them|it"
).split("|")
X_PP = (
    "in <x_place>|in <x_place>|on <x_place>|on <x_place>|at <x_place>|to "
    "<x_place>|to <x_place>|into <x_place>|from <x_place>|with <x_obj>|with "
    "<x_obj>|without <x_obj>|for <x_obj>|by <x_place>|under <x_place>|over "
    "<x_place>|through <x_place>|across <x_place>|around <x_place>|behind "
    "<x_place>|beside <x_place>|between <x_place> and <x_place>|near <x_place>|"
    "next to <x_place>|out of <x_place>|onto <x_place>|up <x_place>|down "
    "<x_place>|along <x_place>|past <x_place>|toward <x_place>|against <x_place>|"
    "above <x_place>|below <x_place>|inside <x_place>|outside <x_place>|in front "
    "of <x_place>|on top of <x_place>|like <x_thing>|about <x_obj>|after "
    "<w_time>|before <w_time>|until <w_time>|far from <x_place>|all over "
    "<x_place>|among <x_place>|as far as <x_place>|off <x_place>"
).split("|")
X_WENT = (
    "went|went|came|came|ran|walked|sat|sat down|lay|stood|stood up|fell|jumped|"
    "climbed|flew|got|stayed|lived|slept|played|looked|turned|stepped|rode|drove|"
    "swam|crawled|rolled|slipped|moved|landed|hid|came back|went back|went away|"
    "hurried|sailed|waited|worked|marched|travelled|appeared|arrived"
).split("|")
X_DID = (
    "<w_intrans>|<w_intrans>|<x_went> <x_pp>|<x_went> <x_pp>|<x_went> <x_pp>|"
    "<x_went> <x_pp> and <x_did>|<w_trans> <x_obj>|<w_trans> <x_obj>|<w_trans> "
    "<x_obj>|<w_trans> <x_obj> <x_pp>|<w_trans> <x_obj> <x_pp>|<w_trans> <x_obj> "
    "and <x_did>|wanted to <x_do>|had to <x_do>|could <x_do>|could not <x_do>|"
    "did not <x_do>|did not <x_do>|would <x_do>|would not <x_do>|began to <x_do>|"
    "tried to <x_do>|used to <x_do>|was going to <x_do>|never <w_trans> <x_obj>|"
    "always <w_trans> <x_obj>|had <w_done> <x_obj>|had never <w_done> <x_obj>|"
    "had already <w_done> <x_obj>|had been <w_adj>|put <x_obj> <x_pp>|put "
    "<x_obj> <x_pp>|took <x_obj> out of <x_place>|gave <x_obj> to <x_who>|gave "
    "{B} <x_thing>|told <x_who> about <x_obj>|asked <x_who> to <x_do>|asked for "
    "<x_obj>|asked if <x_s>|said that <x_s>|thought that <x_s>|thought of "
    "<x_obj>|knew that <x_s>|knew how to <x_do>|wondered why <x_s>|saw that "
    "<x_s>|saw <x_obj> <x_pp>|heard <x_obj>|felt <w_feel>|felt <w_adj>|let "
    "<x_obj> <w_base> <x_obj>|made <x_obj> out of <x_obj>|helped <x_who> to "
    "<x_do>|kept <w_doing> <x_obj>|stopped <w_doing> <x_obj>|looked at <x_obj>|"
    "looked at <x_obj>|looked for <x_obj>|looked like <x_thing>|looked up|looked "
    "around|waited for <x_obj>|picked up <x_obj>|picked <x_obj> up|took off "
    "{A.his} <w_noun>|turned on <x_thing>|held on to <x_obj>|talked about "
    "<x_obj>|laughed at <x_obj>|got <w_adj>|became <w_adj>|grew <w_adj>|forgot "
    "to <x_do>|remembered <x_obj>|liked <x_obj>|loved <x_obj>|needed <x_obj>|had "
    "<x_thing>|had <x_thing>|had no <w_noun>|had only <x_thing>|came to <x_do>|"
    "went to <x_do>|did nothing|did it again|said nothing"
).split("|")
X_WAS = (
    "was <w_adj>|was <w_adj>|was very <w_adj>|was so <w_adj> that <x_s>|was too "
    "<w_adj> to <x_do>|was not <w_adj>|was as <w_adj> as <x_thing>|was more "
    "<w_adj> than <x_thing>|was <x_pp>|was <x_pp>|was <w_doing> <x_obj>|was "
    "<w_done> by <x_who>|was <x_thing>|was still <w_adj>|was <w_adj> and <w_adj>|"
    "was gone|was there|was not there|was over|was full of <w_many>|was made of "
    "<w_noun>|was only <x_thing>|was afraid of <x_obj>|was called {B}|was almost "
    "<w_adj>|was no longer <w_adj>|was always <w_adj>"
).split("|")
X_DO = (
    "<w_base> <x_obj>|<w_base> <x_obj>|<w_base> <x_obj>|<w_base> <x_obj> <x_pp>|"
    "be <w_adj>|be <w_adj>|go|go <x_pp>|go home|come back|come <x_pp>|sleep|"
    "sleep <x_pp>|sit <x_pp>|play <x_pp>|see <x_obj>|see <x_obj>|have <x_thing>|"
    "have <x_thing>|get <x_obj>|get up|get out|do it|do anything|say anything|"
    "say a word|look at <x_obj>|know|know <x_obj>|eat <x_thing>|drink the "
    "<w_noun>|help|help <x_who>|stay <x_pp>|talk to <x_who>|think about <x_obj>|"
    "wait|wait for <x_obj>|walk <x_pp>|run <x_pp>|run away|climb <x_pp>|fly|swim|"
    "sing|dance|laugh|cry|stop|try again|live <x_pp>|be a <w_person>|be like "
    "<x_thing>|put it <x_pp>|tell <x_who>|ask <x_who>|hear <x_obj>|believe it|"
    "read <x_thing>|write <x_thing>|begin|move|work"
).split("|")
X_S = (
    "<x_who> <x_did>|<x_who> <x_did>|<x_who> <x_did>|<x_who> <x_did>|<x_who> "
    "<x_was>|<x_who> <x_was>|<x_thing> <x_was>|<x_thing> <x_was>|<x_thing> "
    "<x_was>|<x_they> <x_did>|<x_they> <x_did>|<x_they> were <w_adj>|<x_they> "
    "were <x_pp>|it <x_was>|it <x_was>|it <x_did>|there was <x_thing>|there was "
    "<x_thing> <x_pp>|there were <w_many> <x_pp>|<x_thing> <x_went> <x_pp>|"
    "<x_thing> <w_intrans>|that <x_was>|nothing happened|something <w_intrans>|"
    "it rained|it was <w_time>|the wind blew|the sun <w_intrans>"
).split("|")
X_WHEN = (
    "when|when|when|as|as soon as|while|because|if|after|before|until|since|although|whenever|where"
).split("|")
X_FIRST = (
    "then|then|but|but|and|so|now|now|soon|at last|one day|one night|one morning|"
    "in the morning|in the evening|the next day|the next morning|that night|"
    "after that|at first|finally|suddenly|once|again|instead|perhaps|every day|"
    "every night|all day long|for a moment|for a long time|for three days|at "
    "once|in the end|of course|on the way|a week later|an hour later|on <days>|"
    "this time|from then on|far away|outside|still|by then|meanwhile|usually|"
    "sometimes|luckily|slowly|very slowly|just then|in spring|in winter|there"
).split("|")
X_SAY = (
    "I am <w_adj>|I am not <w_adj>|you are <w_adj>|it is <w_adj>|it is <w_adj>|"
    "it is not <w_adj>|that is <x_thing>|this is <x_thing>|I have <x_thing>|I "
    "have <w_done> <x_obj>|I want to <x_do>|I want <x_thing>|I will <x_do>|I "
    "will <x_do>|I will not <x_do>|I can <x_do>|I cannot <x_do>|I can't <x_do>|I "
    "don't know|I do not <x_do>|I know <x_obj>|I think it is <w_adj>|I like "
    "<x_obj>|I saw <x_obj> <x_pp>|I <w_trans> <x_obj>|we must <x_do>|we can "
    "<x_do>|we have to <x_do>|we should <x_do>|you must <x_do>|you can <x_do>|"
    "you should <x_do>|you may <x_do>|you have to <x_do>|let us <x_do>|let's "
    "<x_do>|please <x_do>|do not <x_do>|don't <x_do>|there is <x_thing> <x_pp>|"
    "there is no <w_noun>|my <w_noun> is <w_adj>|your <w_noun> is <w_adj>|if you "
    "<x_do>, I will <x_do>|it was <x_thing>|nobody can <x_do>|he is <w_adj>|she "
    "is <w_adj>|they are <w_adj>|I would like to <x_do>|that was <w_adj>|yes|no|"
    "of course|not yet|thank you|good night|here it is|I see|well"
).split("|")
X_ASK = (
    "what is <x_thing>|what is that|what is it|what are you <w_doing>|what do "
    "you want|where is <x_thing>|where are you|where are the <w_many>|where did "
    "you <w_base> it|who are you|who <w_trans> <x_obj>|who is <x_pp>|why are you "
    "<w_adj>|why do you <x_do>|why did you <x_do>|why not|how can I <x_do>|how "
    "do you <x_do>|how many <w_many> are there|can you <x_do>|can I <x_do>|may I "
    "<x_do>|could you <x_do>|will you <x_do>|do you <x_do>|do you like <x_obj>|"
    "did you <x_do>|are you <w_adj>|is it <w_adj>|is there <x_thing> <x_pp>|have "
    "you <w_done> <x_obj>|shall we <x_do>|would you like to <x_do>|what shall we "
    "do|what if we <x_do>"
).split("|")
X_SAID = (
    "said <x_who>|said <x_who>|said <x_who>|said {A}|said {B}|{A.he} said|{A.he} "
    "said|he said|she said|they said|said the <w_person>|cried <x_who>|<x_who> "
    "called|whispered <x_who>|{A.he} thought|answered <x_who>"
).split("|")
X_ASKED = (
    "asked <x_who>|asked <x_who>|asked {A}|asked {B}|{A.he} asked|he asked|she "
    "asked|asked the <w_person>"
).split("|")
X_SENTENCE = [
    "<x_s>.",
    "<x_s>.",
    "<x_s>.",
    "<x_s>.",
    "<x_s>.",
    "<x_s>, and <x_s>.",
    "<x_s>, and <x_s>.",
    "<x_s>, but <x_s>.",
    "<x_s>, but <x_s>.",
    "<x_s>, so <x_s>.",
    "<x_s>, for <x_s>.",
    "<x_when> <x_s>, <x_s>.",
    "<x_when> <x_s>, <x_s>.",
    "<x_s> <x_when> <x_s>.",
    "<x_s> <x_when> <x_s>.",
    "<x_first> <x_s>.",
    "<x_first> <x_s>.",
    "<x_first>, <x_s>.",
    "<x_first>, <x_s>.",
    "<x_pp>, <x_s>.",
    "<x_who> <x_did>, <x_did> and <x_did>.",
    "<x_who> <x_did> and <x_did>.",
    "<x_they> <x_did> and <x_did>.",
    "<x_they> <x_did>.",
    "<x_who> <x_did>, and then <x_who> <x_did>.",
    "<x_s>. It <x_was>.",
    "<x_s>, <x_pp>.",
    "<x_s>: <x_thing>.",
    "<x_thing>, <x_thing> and <x_thing> <x_went> <x_pp>.",
    "no one <x_did>, not even <x_who>.",
    "it was <x_who> who <x_did>.",
    "but <x_s>.",
    "and <x_s>.",
    '"<x_say>," <x_said>.',
    '"<x_say>," <x_said>.',
    '"<x_say>," <x_said>.',
    '"<x_say>!" <x_said>.',
    '"<x_ask>?" <x_asked>.',
    '"<x_ask>?" <x_asked>.',
    '"<x_ask>?" <x_asked>. "<x_say>," <x_said>.',
    '"<x_say>," <x_said>. "<x_say>."',
    '"<x_say>," <x_said>. "<x_say>. <x_say>."',
    '"<x_ask>? <x_say>," <x_said>.',
    '"<x_say>," <x_said>, and {A.he} <x_did>.',
    '<x_who> <x_did>. "<x_say>," {A.he} said.',
    '<x_who> said, "<x_say>."',
    '"<x_say>."',
    '"<x_ask>?"',
    '"<x_say>, <x_say>," <x_said>.',
    '"But <x_say>," <x_said>.',
    '"Oh, <x_say>!" <x_said>.',
]
