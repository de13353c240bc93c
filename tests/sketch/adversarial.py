"""Text as an adversary would write it, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

PIECES = (
    "think", "Step", "by", "a", "é", "e\u0301", "ß", "İ", "ﬁ", "ﷺ", "Ǆ", "½", "①", "Ⅻ", "𝐬𝐭𝐞𝐩", "𝟙𝟚", "ｓｔｅｐ", "42", "７", "٣", "x1",
    "step", "stеp", "раураl", "решение", "ΑΒΓ", "βeta", "Νew", "λ", "ё", "ё1",
    "一步", "々", "〇", "ステップ", "ﾊﾟ", "が", "한국어", "ㄱ", "ปัญหา", "ລາວ", "हिन्दी", "العَرَبِيَّة", "עִבְרִית", "ខ្មែរ",
    "\u200b", "\u200d", "\u202e", "\ufeff", "\u00ad", "\U000e0061", "\ufe0f", "\u0301", "\u20dd", "\u3164", "\u2065", "\x00",
    " ", "  ", "\t", "\n", "\r\n", "\u2028", "\u3000", "\xa0", "_", "-", ".", ":", "/", "\\", "'", ",", "—", "“", "…", "×", "😀", "\ufffd", "\ue000",
    "<", ">", "</", "/>", "[", "]", "[[", "]]", '"', '\\"', '":', "#", "## ", "###### ", "**", "> ", "- ", "：", "＜", "＞", "＃", "<think>", "</think>", "<a b='c'>",
    "[INST]", '"score": ', "\n## Final answer\n", "\nAnswer: ", "\n**Rationale**: ", "Score :", "<final_answer>", "<思考>",
)  # fmt: skip
BROKEN = (
    b"\xff", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xb8", b"\xf0\x9f\x98", b"\x80",
    b"\xc3", b"\xe2\x82", b"\xf5\x80",
)  # fmt: skip

pieces = st.one_of(st.sampled_from(PIECES), st.text(max_size=3), st.sampled_from(["a", " ", "b", "\n"]))
texts = st.lists(pieces, max_size=60).map("".join)
bytestrings = st.lists(
    st.one_of(pieces.map(lambda p: p.encode("utf-8", "surrogatepass")), st.sampled_from(BROKEN)), max_size=60
).map(b"".join)
