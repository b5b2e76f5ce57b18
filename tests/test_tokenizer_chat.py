"""Chat templates lay conversations out as transformers does."""

import json
import shutil

import pytest

from pyqtf.tokenizer import Tokenizer
from pyqtf.tokenizer.chat import render_chat

CHATS = [
    [{"role": "user", "content": "Tell me a story."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <&> é"}],
    [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "And 3?"},
    ],
]
TOOL = {
    "type": "function",
    "function": {"name": "add", "description": "Añade", "parameters": {"type": "object"}},
}
# What templates in use ask of the engine: loop controls, namespaces, tojson, trimming, macros.
TEMPLATES = [
    "{% for m in messages %}{{ bos_token }}[{{ m['role'] }}]\n{{ m.content | trim }}\n{% endfor %}",
    "{%- set ns = namespace(n=0) %}{% for m in messages %}\n    {%- set ns.n = ns.n + 1 %}\n"
    "    {%- if m.role == 'assistant' %}{% continue %}{% endif %}\n"
    "{{ ns.n }} {{ m | tojson }}\n{% endfor %}{{ ns.n }}",
    "{%- macro say(m) -%}<{{ m.role }}>{{ m.content }}{%- endmacro -%}\n"
    "{{ say(messages[0]) }}{% if add_generation_prompt %}<assistant>{% endif %}",
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{{ messages | length }}",
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("prompt", [False, True])
def test_templates_render_as_in_transformers(template, prompt):
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    for chat in CHATS:
        expected, _ = utils.render_jinja_template(
            conversations=[chat],
            chat_template=template,
            tools=[TOOL],
            add_generation_prompt=prompt,
            bos_token="<s>",
        )
        found = render_chat(
            template, chat, tools=[TOOL], add_generation_prompt=prompt, bos_token="<s>"
        )
        assert found == expected[0]


@pytest.mark.parametrize("name", ["Qwen2.5-0.5B", "Qwen2.5-0.5B-Instruct"])
def test_templates_of_qwen(data_dir, tmp_path, name):
    transformers = pytest.importorskip("transformers")
    folder = data_dir / "qwen2.5"
    shutil.copy(folder / "tokenizer.json", tmp_path)
    shutil.copy(folder / f"tokenizer_config.{name}.json", tmp_path / "tokenizer_config.json")
    ours = Tokenizer.from_file(tmp_path)
    oracle = transformers.PreTrainedTokenizerFast.from_pretrained(str(tmp_path))
    for chat in CHATS:
        for tools in (None, [TOOL]):
            options = {"tools": tools, "add_generation_prompt": True}
            text = oracle.apply_chat_template(chat, tokenize=False, **options)
            assert ours.apply_chat_template(chat, tokenize=False, **options) == text
            ids = ours.apply_chat_template(chat, **options)["input_ids"]
            assert ids.tolist() == oracle.encode(text, add_special_tokens=False)
            bare = ours.apply_chat_template(chat, return_dict=False, **options)
            assert bare.tolist() == ids.tolist()
    assert ours.eos_token == oracle.eos_token


def test_templates_by_name_and_from_their_own_file(tmp_path):
    (tmp_path / "tokenizer.json").write_text(Tokenizer.example_json())
    config = {
        "chat_template": [
            {"name": "default", "template": "default"},
            {"name": "tool_use", "template": "tools"},
        ]
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer.from_file(tmp_path)
    assert tokenizer.apply_chat_template(CHATS[0], tokenize=False) == "default"
    assert tokenizer.apply_chat_template(CHATS[0], [TOOL], tokenize=False) == "tools"
    chosen = tokenizer.apply_chat_template(CHATS[0], chat_template="tool_use", tokenize=False)
    assert chosen == "tools"
    given = tokenizer.apply_chat_template(CHATS[0], chat_template="{{ 1 + 1 }}", tokenize=False)
    assert given == "2"
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].role }}")
    tokenizer = Tokenizer.from_file(tmp_path)
    assert tokenizer.apply_chat_template(CHATS[0], tokenize=False) == "user"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "no chat template"),
        ("{% for %}", "the chat template failed"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ nothing.attribute }}", "undefined"),
    ],
)
def test_templates_that_fail(template, message):
    with pytest.raises(ValueError, match=message):
        render_chat(template, CHATS[0])


def test_a_conversation_must_be_a_list():
    with pytest.raises(TypeError, match="a list of messages"):
        render_chat("x", CHATS[0][0])
