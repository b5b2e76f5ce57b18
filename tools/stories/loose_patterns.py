"""Sentence patterns of `loose`, over the wide word lists."""

SENTENCES = [
    "the <w_adj> <w_noun> [was|looked|seemed] <w_adj>[ and <w_adj>|, but not <w_adj>|].",
    "{A} <w_trans> a <w_adj> <w_noun>[ with a <w_noun>| <w_where>| for {B}|].",
    "there was a <w_noun> <w_where>[, and a <w_noun> beside it|].",
    "{A.He} <w_intrans> <w_adverb>[ and <w_intrans>|, but {B} <w_intrans>|].",
    "when {A} <w_trans> the <w_noun>, the <w_person> <w_intrans>[ <w_adverb>|].",
    "the <w_person> who <w_trans> the <w_noun> was <w_feel>.",
    "if the <w_noun> is <w_adj>, we [can|must|will|should] <w_base> it.",
    "because the <w_noun> was <w_adj>, {A.he} <w_trans> {A.his} <w_noun> [instead|again|first].",
    "{A} had never <w_done> such a <w_adj> <w_noun> before.",
    "{A.he} did not know [why|how|when] the <w_person> had <w_done> it.",
    "they had been <w_doing> since <w_time>, and now they were <w_feel>.",
    "the <w_noun> that {B} had <w_done> was <w_where>.",
    "no one <w_trans> the <w_noun>, so {A} <w_trans> it {A.him}self.",
    '"<w_base> the <w_noun>[, please|]!" said the <w_person>.',
    '"do you [want|like|need] to <w_base> the <w_noun>?" asked {B}.',
    "\"I [can|cannot|will|won't|don't want to] <w_base> [it|this|that <w_noun>],\" said {A}.",
    '"it\'s <w_adj>," {A.he} said. "Let\'s <w_base> it <w_time2>."',
    '"where is [my|your|our|the] <w_noun>?" "It is <w_where>."',
    "\"I'm <w_feel>,\" said {B}. \"[Don't worry|You're right|That's fine|We'll see],\" said {A}.",
    "{P} was <w_doing> the <w_noun> while {A} <w_intrans>.",
    "{A} felt <w_feel>, <w_feel> and a little <w_feel>.",
    "it was as <w_adj> as the <w_noun>, but not as <w_adj> as the <w_noun>.",
    "one <w_noun> was <w_adj>, and the other was <w_adj>.",
    "after <w_time>, they <w_trans> the <w_noun> and <w_intrans>.",
    "what a <w_adj> <w_noun> it was!",
    "{A} and {B} <w_intrans> until <w_time>.",
    "there were <w_many>, <w_many> and <w_many> <w_where>.",
    "the <w_noun>'s <w_noun> was as <w_adj> as a <w_noun>.",
    "{B} wanted to <w_base> the <w_noun>, but {A} had already <w_done> it.",
    "every <w_day>, the <w_person> <w_trans> the <w_noun> <w_where>.",
    "slowly, the <w_noun> <w_intrans>, and {A} <w_intrans> <w_adverb>.",
    "some of the <w_many> were <w_adj>, but most of them were not.",
    "it was a <w_adj> <w_day>, and [nobody|everybody|someone] was <w_where>.",
    (
        "[on <days>|<opening>], {A} and {A.his} <w_person> went to the <w_place> to "
        "<w_base> a <w_noun>."
    ),
    (
        '"[what|how] [shall|should|can] we do?" [asked|cried] {B}. "We could '
        '<w_base> the <w_noun>," said {A}.'
    ),
    (
        '"once," said the <w_person>, "I <w_trans> a <w_noun> [like this|bigger than '
        'a house|<w_where>]."'
    ),
    "{A.his} <w_noun> was full of <w_many>.",
    "the <w_person> had <number> <w_many>, but {A} had only <number>.",
    "[nobody|not one of the <w_many>] <w_intrans> as <w_adverb> as {A}.",
    "{A} put the <w_noun> <w_where> and the <w_noun> <w_where>.",
    "from <w_time> to <w_time>, the <w_person> <w_trans> <w_many>.",
    "{A} had always wanted a <w_noun>, but {B} wanted a <w_noun>.",
    "it smelled of <w_many> and old <w_many>.",
    "the <w_noun> made a <w_adj> sound, like a <w_noun> that <w_intrans>.",
    "{A} looked at {A.his} <w_noun>. It was [gone|empty|broken|still there|wet|too small now].",
    "they had to <w_base> it before <w_time>, or the <w_person> would be <w_feel>.",
    (
        '"[I think|I believe|I hope|Maybe|Perhaps] the <w_noun> is <w_adj>," [said|'
        "whispered] the <w_person>."
    ),
    "so that was [how|why|when|where] {A} <w_trans> {A.his} first <w_noun>.",
    "the more {A} <w_trans>, the more <w_feel> {A.he} felt.",
    "a <w_person> without a <w_noun> is like a <w_noun> without a <w_noun>.",
    "{A} could see the <w_noun>, the <w_noun> and, far away, the <w_place>.",
    "[all day|all morning|all night] long it rained, and the <w_noun> got <w_adj>.",
    (
        "{A.he} tried to <w_base> it with a <w_noun>, then with a <w_noun>, and at "
        "last with both hands."
    ),
    (
        '"[Stop|Wait|Look out|Come here|Hurry up|Be careful|Go away|Good night|Good '
        'morning]!" [called|said|shouted] the <w_person>.'
    ),
    "the <w_noun> belonged to {B.full}, who lived <w_where>.",
    "{A} lived with {A.his} <w_person> in a <w_adj> <w_place> <w_where>.",
    "their <w_person> told them to <w_base> the <w_noun> and not to <w_base> the <w_noun>.",
    "{A} took off {A.his} <w_noun>, sat down <w_where> and began to <w_base> the <w_many>.",
    "up went the <w_noun>, and down came the <w_noun>.",
    "{A} ate <number> <w_many> and drank some <drinks>.",
    "first it was <w_adj>, then it was <w_adj>, and by <w_time> it was <w_adj> again.",
    "there, <w_where>, [lay|stood|sat|hung] the <w_noun> that everyone had been looking for.",
    (
        "{A} asked {B} about the <w_noun>, {B} asked the <w_person>, and the "
        "<w_person> asked the <w_person>."
    ),
    '"my <w_noun> is more <w_adj> than yours," said {A}. "But mine is <w_adj>," said {B}.',
    "only the <w_person> knew [what|who|where] the <w_noun> was.",
    "the <w_many> were waiting [at|by|for] the <w_noun>, and it was getting <w_adj>.",
    "{A} was so <w_feel> that {A.he} [almost|nearly|quite] forgot {A.his} <w_noun>.",
    "as soon as the <w_noun> <w_intrans>, the <w_many> <w_intrans>.",
    "the <w_person> gave {A} a <w_noun>, and {A} gave the <w_person> a <w_noun> back.",
    "even the <w_adj> <w_noun> could not help, for it was <w_where>.",
    "{A} and {B} [did not speak|were friends again|shook hands|went home] after <w_time>.",
    "every time {A} <w_trans> the <w_noun>, it <w_intrans> and <w_intrans>.",
    (
        "this <w_noun> was not like the others: it was <w_adj>, and it could [talk|"
        "fly|sing|dance|think]."
    ),
    '"who <w_trans> my <w_noun>?" asked the <w_person>. "Not me," said {A}. "Nor me," said {B}.',
    "in <w_time2> or two the <w_noun> would be <w_adj>, they thought.",
    (
        "the wind blew through the <w_noun>, the <w_many> shook, and somewhere a "
        "<w_noun> <w_intrans>."
    ),
    (
        '"[oh|well|yes|no|hm], [that|this|it] is [only|just|really|not] a <w_noun>," '
        "{A} [said|thought]."
    ),
    "{A} opened the <w_noun> a little, and out [came|jumped|rolled|fell] a <w_noun>.",
    "with a <w_adj> [push|pull|kick|bang|sigh|smile], {A} <w_trans> the <w_noun>.",
    "{B} wore a <w_adj> <w_noun>, and {A.his} own was <colours>.",
    "if you ever see a <w_noun> <w_where>, [do not|always|you may|never] <w_base> it.",
    (
        "by the time the <w_person> came back, {A} had <w_done> and <w_done> [all "
        "the|the last] <w_many>."
    ),
    "the <animals> and the <animals> <w_trans> a <w_noun> [together|for the <animals>].",
    "a <w_adj> <animals> was <w_doing> a <w_noun> <w_where>.",
    (
        "the <animals> [lived|slept|sat|hid] <w_where> and [never|often|always|"
        "sometimes] <w_trans> <w_many>."
    ),
    "{A.His} <w_noun> was made of <w_noun> and <w_noun>.",
    "people said that the <w_noun> was <w_adj>, but {A} did not believe it.",
    '"let me <w_base> it!" "No, it is my turn!" "Then we will <w_base> it together."',
    "the <w_place> was [quiet|dark|empty|full of people] at <w_time>.",
]
