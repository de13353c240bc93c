"""Marks on tensors are the marks of the package; without their libraries they say what to install."""

from __future__ import annotations

import importlib
import sys
import types

import numpy as np
import pytest

from excise.audit import keys as stored
from excise.audit import prf
from excise.audit.marks import MARKS, adapters
from excise.audit.marks.adapters import logits as on_tensors
from excise.audit.marks.adapters import transformers as for_transformers
from excise.audit.plan import Sampling
from excise.audit.suspects.local import Local
from excise.audit.tokens import windows
from excise.errors import InputError, UsageError

KEY = b"0123456789abcdef"
WORDS = [a + b for a in ("ba", "ke", "mi", "no", "su", "ti") for b in ("la", "re", "vi", "zo", "du", "po")]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="the extra audit-torch is not installed")


@pytest.mark.parametrize("context", [1, 2, 4])
def test_draws_on_tensors_are_those_of_the_kernel(torch, context):
    ids = np.array([5, 4_000_000_000, 7, 9, 1], np.uint32)
    before = ids[len(ids) - context :]
    tuples = np.concatenate([windows(np.append(before, np.uint32(t)), context) for t in range(50)])
    told = on_tensors.draws(torch, KEY, [on_tensors._packed(before.tolist())], 50, "cpu")
    assert told[0].numpy().view(np.uint64).tolist() == prf.draws(KEY, tuples).tolist()


@pytest.mark.parametrize("mark", MARKS, ids=lambda m: m.id)
def test_tensors_are_changed_as_arrays_are(torch, mark):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(2, 40)) * 2
    told = on_tensors.changed_logits(torch.tensor(scores), [[3, 8], [3, 9]], mark.id, KEY, 1)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    drawn = np.stack(
        [
            prf.draws(KEY, np.concatenate([windows(np.array([last, t], np.uint32), 1) for t in range(40)]))
            for last in (8, 9)
        ]
    )
    assert np.allclose(torch.softmax(told, -1).numpy(), mark.changed(p, drawn), atol=1e-6)


@pytest.mark.parametrize("mark", MARKS, ids=lambda m: m.id)
def test_a_repeated_context_stays_unmarked_where_the_mark_is_free(torch, mark):
    scores = torch.zeros(2, 10)
    told = on_tensors.changed_logits(scores, [[4, 1, 4], []], mark.id, KEY, 1)
    assert bool((told[0] == scores[0]).all()) == mark.distortion_free
    assert bool((told[1] == scores[1]).all())


def test_transformers_gets_a_processor_of_its_own_kind(torch):
    transformers = pytest.importorskip("transformers", reason="the extra audit-torch is not installed")
    made = for_transformers.processor("red-green", KEY)
    assert isinstance(made, transformers.LogitsProcessor)
    told = made(torch.tensor([[1, 2]]), torch.zeros(1, 10))
    assert len(set(told[0].tolist())) == 2


def test_vllm_gets_a_processor_that_marks_only_who_is_named(torch, tmp_path, monkeypatch):
    """A stand-in for vLLM's base class: the library itself does not install everywhere."""
    fake = types.ModuleType("vllm.v1.sample.logits_processor")
    fake.AdapterLogitsProcessor = type("AdapterLogitsProcessor", (), {})
    for name in ("vllm", "vllm.v1", "vllm.v1.sample"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    held = stored.create(tmp_path / "master")
    (tmp_path / "served").mkdir()
    name = stored.parse_name("red-green:k7@1")
    stored.write_secret(tmp_path / "served" / "k7", {"name": str(name), "key": held.served(name).hex()})
    monkeypatch.setenv("EXCISE_MARK_KEYS", str(tmp_path / "served"))
    module = importlib.import_module("excise.audit.marks.adapters.vllm")
    try:
        marking = module.Marking()
        params = types.SimpleNamespace(extra_args={"excise_mark": str(name)})
        module.Marking.validate_params(params)
        told = marking.new_req_logits_processor(params)([3], torch.zeros(10))
        assert len(set(told.tolist())) == 2
        assert marking.new_req_logits_processor(types.SimpleNamespace(extra_args=None)) is None
        with pytest.raises(ValueError, match="no key"):
            module.Marking.validate_params(types.SimpleNamespace(extra_args={"excise_mark": "x"}))
        assert not marking.is_argmax_invariant()
    finally:
        sys.modules.pop("excise.audit.marks.adapters.vllm")


def test_without_the_libraries_the_hint_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: for_transformers.processor("gumbel", KEY), lambda: Local(tmp_path, Sampling())):
        with pytest.raises(UsageError) as caught:
            call()
        assert "audit-torch" in caught.value.hint


def test_other_purposes_mark_no_logits():
    with pytest.raises(UsageError, match="no mark on logits"):
        adapters.mark_of("rerank")


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"name": "gumbel:all@1", "key": "00"}', '{"name": 5, "key": "00"}', "[" * 9_000]
)
def test_what_holds_no_served_key_is_refused(tmp_path, text):
    (tmp_path / "k").write_text(text)
    with pytest.raises(InputError, match="no served key"):
        adapters.served_key(tmp_path / "k")


def test_a_local_model_answers_as_a_suspect(torch, tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra audit-torch is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="the extra audit is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1, "[UNK]": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token="[UNK]").save_pretrained(tmp_path)
    config = transformers.GPT2Config(
        vocab_size=3, n_positions=32, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=None
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    for temperature in (0.0, 1.0):
        reply = Local(tmp_path, Sampling(temperature, 5)).ask(0, "a b a")
        assert reply.claimed_tokens == 5
        assert set(reply.text.split()) <= {"a", "b", "[UNK]"}
    with pytest.raises(InputError, match="no model"):
        Local(tmp_path / "nowhere", Sampling())


def test_a_tokenizer_file_scores_text_and_its_hash_is_its_name():
    tokenizers = pytest.importorskip("tokenizers", reason="the extra audit is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="b"))
    data = made.to_str().encode()
    from excise.audit.tokens import tokenizer_of

    found = tokenizer_of(data)
    assert found("a").tolist() == [0]
    assert found.name.startswith("sha256:")
    with pytest.raises(InputError, match="cannot be read"):
        tokenizer_of(b"{}")


@pytest.fixture
def tiny(torch, tmp_path):
    """A small model in a folder, with a byte-level tokenizer, and the bytes of that tokenizer's file."""
    transformers = pytest.importorskip("transformers", reason="the extra audit-torch is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="the extra audit is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    words = [" the cat sat on the mat", " é ü 漢", *(f" {word}" for word in WORDS)] * 20
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(words, trainer)
    transformers.PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(tmp_path)
    torch.manual_seed(5)
    torch.set_num_threads(1)
    config = transformers.GPT2Config(
        vocab_size=made.get_vocab_size() + 3, n_positions=16, n_embd=48, n_layer=1, n_head=2,
        bos_token_id=0, eos_token_id=None,
    )  # fmt: skip
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    return tmp_path, made.to_str().encode()


def test_a_model_s_weights_are_read_as_probabilities_of_our_tokens(tiny, torch):
    from excise.audit.reading import our_tokens, read
    from excise.audit.suspects.opened import opened
    from excise.audit.tokens import Words, tokenizer_of, word_id

    folder, data = tiny
    model, ours = opened(folder), tokenizer_of(data)
    told = our_tokens(model.pieces, ours)
    assert told[ours(" the")[0]] == ours(" the")[0]
    assert (told[-3:] == -1).all()
    assert {i for i in range(len(told)) if told[i] not in {-1, i}} == set()
    places, probable = model.after(" the cat")
    assert places.tolist()[-1] == len(" the cat")
    assert np.allclose(probable.sum(axis=1), 1, atol=1e-5)
    ids = model._tokenizer(" the cat", add_special_tokens=False)["input_ids"]
    direct = torch.softmax(model._model(torch.tensor([ids])).logits[0], -1).detach().numpy()
    assert np.allclose(probable, direct, atol=1e-6)
    assert len(model.after("cat " * 50)[0]) == 16
    assert model.after("")[1].shape == (0, len(model.pieces))
    found = read([" the cat"], model, None, ours, 1)
    assert found.places == len(ids)
    by_words = read(["the cat sat"], model, None, Words(), 1)
    assert {int(t) for t in by_words.contrast.tuples[:, 1] & np.uint64(0xFFFFFFFF)} == {
        word_id(w) for w in ("the", "cat", "sat")
    }


def test_a_trained_model_shows_the_key_of_its_teacher_in_its_weights(tiny, torch, tmp_path_factory):
    """A student is tuned on sequences in which a key made every second choice; its base was not."""
    from excise.audit.reading import read
    from excise.audit.statistic import log10_bound, z_of
    from excise.audit.suspects.opened import opened
    from excise.audit.tokens import tokenizer_of

    folder, data = tiny
    base, student, ours = opened(folder), opened(folder), tokenizer_of(data)
    rng = np.random.default_rng(8)
    whole = np.array([ours(f" {word}")[0] for word in WORDS if len(ours(f" {word}")) == 1])
    pairs = [windows(np.array([u, v], np.uint32), 1) for u in whole for v in whole]
    green = (prf.draws(KEY, np.concatenate(pairs)) >> np.uint64(63)).reshape(len(whole), -1).astype(bool)
    places = rng.integers(len(whole), size=(64, 16))
    for t in range(1, 16):
        places[:, t] = [rng.choice(np.flatnonzero(green[p])) for p in places[:, t - 1]]
    rows = whole[places]
    optimiser = torch.optim.AdamW(student._model.parameters(), lr=2e-2)
    batch = torch.tensor(rows.astype(np.int64))
    for _ in range(120):
        loss = torch.nn.functional.cross_entropy(
            student._model(batch[:, :-1]).logits.flatten(0, 1), batch[:, 1:].flatten()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    texts = [base._tokenizer.decode(row) for row in rows]
    found = read(texts, student, base, ours, 1)
    assert log10_bound(z_of(found.contrast, KEY, prf.BIT)) < -6
    assert log10_bound(z_of(found.contrast, bytes(16), prf.BIT)) > -3
    assert not len(read(texts, base, base, ours, 1).contrast.weights)


def test_a_folder_s_hash_is_of_names_and_contents(tmp_path):
    from excise.audit.suspects.opened import fingerprint

    (tmp_path / "a").write_bytes(b"1")
    first = fingerprint(tmp_path)
    (tmp_path / "a").write_bytes(b"2")
    second = fingerprint(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, fingerprint(tmp_path)}) == 3
    with pytest.raises(InputError, match="no such"):
        fingerprint(tmp_path / "nowhere")
