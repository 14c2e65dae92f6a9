"""Raw prompts of the tokenizer goldens, by category. Written for this tool."""

import unicodedata

from golden import corpus
from golden.common import numpy_rng

DEFAULT_NEGATIVE = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走")

SHORT = [
    "", " ", "a", "A", "I", ".", ",", "?", "…", "—", "0", "42", "3.14159", "1,000,000", "x", "é",
    "ß", "ı", "İ", "ﬁ", "½", "²", "№", "℃", "™", "ñ", "ñ", "å", "Å", "Å", "中", "あ", "ア", "ｱ", "한",
    "한", "Ω", "Ω", "µ", "μ", "я", "ש", "ع", "क", "ก", "😀", "❤", "❤️", "↑", "∞", "√2", "the", "The",
    "THE", "tHe", "fox", "foxes", "Foxlike", "snow-covered", "rock'n'roll", "don't",
    "e-mail@example.org", "https://example.org/a?b=c&d=e#f", "C:\\temp\\new", "/usr/bin/env",
    "#hashtag", "@user", "50%", "$5", "€10", "£3", "¥100", "a+b=c", "x^2", "f(x)", "[a]", "{b}",
    "<c>", "~", "`", "|", "\\", "_", "__init__", "a_b_c", "--flag", "***", "====", "....", "!!!",
    "?!",
]

SCRIPTS = [
    "Кошка и собака пекут торт на кухне.", "ΑΛΦΑ βήτα γάμμα ς σ", "Ελλάδα: ποιότητα; Ναι·",
    "हिन्दी में एक वाक्य", "मैं क्षेत्र ज्ञान श्री", "বাংলা ভাষা", "தமிழ் மொழி", "తెలుగు భాష",
    "ಕನ್ನಡ", "മലയാളം", "ગુજરાતી", "ਪੰਜਾਬੀ", "සිංහල", "ภาษาไทย", "ພາສາລາວ", "မြန်မာ", "ភាសាខ្មែរ",
    "བོད་ཡིག", "ქართული", "Հայերեն", "አማርኛ", "ᏣᎳᎩ", "ᐃᓄᒃᑎᑐᑦ", "עברית עם ניקוד: שָׁלוֹם",
    "العربية مع تشكيل: السَّلَامُ", "فارسی و اردو: پ چ ژ گ ی ک", "日本語の文章とカタカナとﾊﾝｶｸ", "東京都渋谷区",
    "髙橋さんと﨑田さん", "한국어 문장입니다", "ㄱㄴㄷ", "繁體中文與简体中文", "龍龜鬱", "𠀀𠀁𠀂 rare", "𝒜𝓫𝔠 𝟘𝟙𝟚", "ⓐⓑⓒ ①②③", "㍻㌔㎏",
    "⅓ ⅔ ⅛", "ⅰ ⅳ Ⅻ", "Ꜳꜳ Ǆǆ ǅ", "ŉ ſ ẞ", "Tiếng Việt có dấu", "Türkçe İıĞğŞş",
    "Polski: zażółć gęślą jaźń", "Čeština: ěščřžýáíé", "Íslenska: þæö ð", "Español: ¿qué? ¡sí!",
    "Português: ação, coração", "Français: œuvre, où, çà", "Deutsch: Straße ÄÖÜ",
    "Suomi: äö, yötyö", "Magyar: őű árvíztűrő", "Română: șțăâî", "Latviešu: āēīū ķļņ",
    "Esperanto: ĉĝĥĵŝŭ", "Gaeilge: ṁ ḃ ċ", "Yorùbá: ẹ̀kọ́", "Hawaiʻi ʻōlelo", "Қазақша әңғүұқөһі",
    "Українська: їєґі", "Српски: ђљњћџ", "Монгол ᠮᠣᠩᠭᠣᠯ", "ייִדיש", "پښتو", "ئۇيغۇرچە", "ދިވެހި",
    "ⵜⴰⵎⴰⵣⵉⵖⵜ", "𐌰𐌱𐌲 gothic", "𓀀𓁐 hieroglyphs", "☰☱☲ ䷀",
    "English with 中文 and русский and العربية mixed", "abcאבגdef", "1٢٣४५६", "٠١٢٣٤٥٦٧٨٩", "०१२३",
    "０１２３",
]

EMOJI = [
    "👍", "👍🏽", "👩‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️", "🇩🇪 🇯🇵🇺🇸", "1️⃣ 2️⃣ #️⃣", "❤️‍🔥", "☺️ ☺", "✈️ ✈︎",
    "🐈‍⬛ walks", "a 😀 b 😂😂 c", "🎬🎥 film", "🔥🔥🔥", "👁️‍🗨️", "🧑🏿‍🤝‍🧑🏻", "🫠🫡🪿", "👩🏾‍💻 codes at night 🌙",
    "🌊🌊 waves 🌊", "cat😺dog🐶", "✨cinematic✨", "🏴󠁧󠁢󠁥󠁮󠁧󠁿 flag", "🅰️🅱️", "™️ ©️ ®️", "〰️ ㊗️",
    "🤷‍♂️ ¯\\_(ツ)_/¯",
]

COMBINING = [
    "e\u0301 e\u0300 e\u0302", "\u00e9", "n\u0303andu\u0301", "a\u0328\u030a",
    "Z\u0337\u0322\u0353a\u0336lgo\u0335", "\u0915\u093c \u0958", "\u0f40\u0fb5",
    "\u1100\u1161\u11a8", "\uac01", "\u304b\u3099\u304d\u3099", "\u304c \uff76\uff9e",
    "e\u0302\u0304", "o\u0323\u0302 o\u0302\u0323", "q\u0323\u0307 q\u0307\u0323",
    "\u0e01\u0e49\u0323", "x\u0301\u0302\u0303\u0304", "\u0300leading mark",
    "a\u200db zero width joiner", "a\u200cb non joiner", "a\u2060b word joiner",
    "a\u00adb soft hyphen", "cafe\u0301 cr\u00e8me", "\u0627\u0653 \u0622", "\u212b \u2126 \u2160",
    "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd", "I\u0307stanbul", "\u1e9b\u0323", "\u0344",
    "\u2adc", "\ufb1f",
]

WIDTH_LIGATURES = [
    "ｆｕｌｌ　ｗｉｄｔｈ　ｔｅｘｔ", "Ｈｅｌｌｏ，Ｗｏｒｌｄ！", "（全角）［括弧］｛｝", "ﾊﾝｶｸ ｶﾀｶﾅ ｶﾞｷﾞ", "￥１００ ￠ ￡ ￦",
    "ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ", "oﬃce ﬁlm ﬂow", "Ĳ ĳ", "Ǳ ǲ ǳ Ǉ", "ﻻ ﷲ ﷺ", "ﬓ ﬔ", "～〜 ー−－‐‑‒–—―",
    "“”„‟‘’‚‛«»‹›", "、。，．・：；？！", "ｖｉｄｅｏ：４Ｋ　６０ｆｐｓ", "⁄ ∕ ÷ / ／",
]

HTML = [
    "&amp;", "&lt;b&gt;", "fish &amp; chips", "fish &amp;amp; chips", "&amp;amp;amp;",
    "&amp;lt;b&amp;gt;", "&quot;quoted&quot;", "&#39;single&#39;", "&#x27;hex&#x27;",
    "&nbsp;space&nbsp;", "a&nbsp;&nbsp;b", "&copy; 2024", "&eacute;t&eacute;", "&eacute t&eacute",
    "&euro;5", "&hellip;", "&mdash;&ndash;", "&ldquo;x&rdquo;", "&notit;", "&not;it", "&notin;",
    "&ampx", "&AMP;", "&Amp;", "&unknown;", "&;", "&", "& b", "a & b", "&#65;", "&#65", "&#x41;",
    "&#X41;", "&#x1F600;", "&#128512;", "&#0;", "&#128;", "&#x80;", "&#x81;", "&#150;", "&#xD800;",
    "&#x110000;", "&#99999999999;", "&#xFFFE;", "&#1;", "&#11;", "&#13;", "&#x0D;", "&#;", "&#x;",
    "&lt;p&gt;&amp;lt;p&amp;gt;", "<b>&amp;</b>", "<p>5 &lt; 6</p>", "x < y &amp; z", "&gt;&lt;",
    "&ThickSpace;|", "&fjlig;", "&NotEqualTilde;", "&zwj;&zwnj;", "&shy;", "&Tab;a&NewLine;b",
    "&lang;x&rang;", "&alpha;&beta;&Gamma;", "&frac12; &sup2;", "&amp;#39;", "&amp;#x27;",
    "&amp;amp;#39;", "R&D", "AT&T &amp; R&amp;D", "?a=1&amp;b=2&copy=3", "&ampamp;", "&l&t;",
    "&lt&gt", "&Ouml;sterreich", "na&iuml;ve caf&eacute;", "&quot;&amp;quot;&amp;amp;quot;",
]

MOJIBAKE = [
    "schÃ¶n", "cafÃ©", "naÃ¯ve", "Ã©tÃ©", "â€œquotedâ€\x9d", "â€œquotedâ€", "donâ€™t", "waitâ€¦",
    "aâ€”b", "aâ€“b", "â‚¬5", "Â£3", "Â©2024", "20Â°C", "Â½", "l’humanitÃ©", "l'humanitÃ©", "Ã¼ber",
    "GrÃ¶ÃŸe", "MÃ¼nchen", "ÃŸ", "Ãœber", "SÃ£o Paulo", "coraÃ§Ã£o", "EspaÃ±a", "Ã¡Ã©Ã­Ã³Ãº",
    "âœ” No problems", "âœ”", "ðŸ˜€", "ðŸ˜‚ funny", "ä¸­æ–‡", "æ—¥æœ¬èªž", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚",
    "РїСЂРёРІРµС‚", "ÐœÐ¾ÑÐºÐ²Ð°", "Î±Î²Î³", "Ø³Ù„Ø§Ù…", "×©×œ×•×", "í•œêµ­ì–´", "ãƒ†ã‚¹ãƒˆ",
    "Å¼Ã³Å‚w", "PÅ™Ã­liÅ¡", "ÄŒeskÃ½", "Ä±ÅŸÄ±k", "cafÃƒÂ©", "schÃƒÂ¶n", "Ã¢â‚¬â„¢", "ÃƒÆ’Ã‚Â©",
    "The Mona Lisa doesnÃƒÂ¢Ã¢â€šÂ¬Ã¢â€žÂ¢t have eyebrows.", "voilÃ  le rÃ©sultat", "Ã  la carte",
    "voilÃ\xa0 ", "JosÃ©", "PiÃ±ata", "fianc√©e", "√©t√©", "caf√©", "‚Äúquoted‚Äù", "Sel√ßuk",
    "Ľubomír Šťastný", "AHÅ™, the new sofa from IKEA®", "IL Y MARQUÉ…", "P U R R \xc3\xa9",
    "à perturber la réflexion", "This is fine: é à ü ñ", "Ãndice", "RÃ\x81PIDO", "CÃ\x93MO",
    "\x85 ellipsis", "\x93quoted\x94", "it\x92s", "\x80 5", "caf\x8e", "â\x80\x99",
    "â\x80\x9cx\x8f", "Ã\xa0 ", "Â\xa0x", "a Â b", "100Â %", "ÂµÂ²", "ï»¿BOM", "ï¬\x81", "Ĺ‚ódĹş",
    "Ă©tĂ©", "ã\x80\x82", "ï¼Œ", "â˜ƒ snowman", "â†’", "Ã—", "3Ã—4", "vÃ¢n", "HÃ  Ná»™i",
    "ViÃªt Nam", "Tiáº¿ng Viá»‡t",
]

QUOTES_SPACES = [
    "“Hello,” she said. ‘No!’", "it’s the dog’s", "„Anführung“ ‚einfach‘", "«guillemets» ‹single›",
    "5′ 11″", "``tex''", "a\tb", "a\t\tb", "line one\nline two", "a\r\nb", "a\rb", "a\n\n\nb",
    "  leading", "trailing  ", "  both  ", "many     spaces", "nbsp\u00a0here", "a\u00a0\u00a0b",
    "ideographic\u3000space", "thin\u2009space", "hair\u200aspace", "em\u2003space",
    "en\u2002space", "fig\u2007space", "narrow\u202fnbsp", "math\u205fspace", "ogham\u1680space",
    "mvs\u180esep", "zero\u200bwidth", "bom\ufeffinside", "\ufeffbom first", "line\u2028separator",
    "para\u2029graph", "next\u0085line", "vt\x0btab", "form\x0cfeed", "unit\x1fsep",
    "fs\x1cgs\x1drs\x1e", "\u3000\u3000both\u3000", "a \u00a0 b", "tab\t \tspace", "\n", "\t",
    "\u00a0", "\u3000", "\u200b", "a \u200b b",
]

CONTROL = [
    "nul\x00inside", "bell\x07", "back\x08space", "esc\x1b[31mred\x1b[0m", "del\x7fete",
    "c1\x9bcontrol", "lrm\u200ertl\u200f", "\u202aembed\u202c", "\u202eoverride\u202c",
    "iso\u2066late\u2069", "\u206adeprecated\u206f", "\ufff9anno\ufffatation\ufffb",
    "object\ufffcreplacement", "replace\ufffdment", "private\ue000use", "tag\U000e0041char",
    "vs\ufe0f\ufe0e", "nonchar\ufffe", "nonchar\uffff", "plane\U0010ffff", "\x01\x02\x03", "a\x00",
    "\x1b[1;32mok", "\u2060word\u2060joiner", "cgj\u034fx",
]

SPECIAL_TOKENS = [
    "</s>", "<pad>", "<unk>", "<s>", "<extra_id_0>", "<extra_id_9>", "<extra_id_10>",
    "<extra_id_99>", "a </s> b", "a</s>b", "</s></s>", "<pad> a <pad>", "cat<pad>dog",
    "x <extra_id_0> y <extra_id_1>.", "<extra_id_0><extra_id_1>", "the <extra_id_3> cat", "</S>",
    "< /s>", "</ s>", "&lt;/s&gt;", "&lt;pad&gt; x", "&lt;extra_id_0&gt;", "<0x41>", "a <0x0A> b",
    "<0xFF>", "<unk> x <unk>", "▁", "▁a", "a▁b", "▁▁ x", "a ▁ b", "[PAD]", "<|endoftext|>",
    "<mask>", "[CLS] a [SEP]", "foo <unk>bar", "</s>", "ends with </s>", "</s> starts",
    "ends with <pad>", " </s> ", "a  <extra_id_2>  b", "<extra_id_2> .",
]


def _repeated(text, count, separator=" "):
    return separator.join([text] * count)


LONG = [
    _repeated("A small red fox walks slowly through the fresh snow.", 80),
    _repeated("一只小猫在雪地里慢慢地走，", 120, ""),
    _repeated("Лиса идёт по снегу", 150),
    "x" * 700, "a " * 600, "word" * 300, _repeated("😀", 600, ""), _repeated("𠀀", 600), "中" * 600,
    _repeated("</s>", 600), _repeated("<extra_id_0>", 600, ""), "9" * 600, "ab" * 400 + " end", "." * 600,
    DEFAULT_NEGATIVE + DEFAULT_NEGATIVE + DEFAULT_NEGATIVE + DEFAULT_NEGATIVE,
]


def _edges_of_truncation():
    """Texts of 509 … 514 tokens before truncation, as far as one token per word goes."""
    return [_repeated("the", count) for count in (509, 510, 511, 512, 513, 514)]


def _variations():
    """Every training line, upper-cased, joined, spaced out, and cut in the middle of words."""
    lines = corpus.sentences()
    out = list(lines)
    out += [line.upper() for line in lines[::4]]
    out += [line[7:40] for line in lines[1::3]]
    out += [f"{a} {b}" for a, b in zip(lines[::5], lines[3::5])]
    out += [line.replace(" ", "") for line in lines[2::5]]
    out += [f"  {line.replace(' ', '   ')}\n" for line in lines[::7]]
    return out


# First and last code point of the blocks that normalisation or cleaning treats specially.
RANDOM_BLOCKS = (
    (0x20, 0x7E), (0xA0, 0x17F), (0x180, 0x24F), (0x2B0, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF),
    (0x590, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1FFF),
    (0x2000, 0x20CF), (0x2100, 0x22FF), (0x2460, 0x24FF), (0x2600, 0x27BF), (0x3000, 0x30FF),
    (0x3130, 0x33FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFDFF), (0xFE00, 0xFFEF),
    (0x1D400, 0x1D7FF), (0x1F100, 0x1FAFF), (0x20000, 0x2A6DF), (0xE0000, 0xE007F))


def _random_texts():
    """Three random strings of assigned characters per block, with a space or letter between."""
    out = []
    for first, last in RANDOM_BLOCKS:
        rng = numpy_rng("random_texts", first)
        assigned = [chr(c) for c in range(first, last + 1)
                    if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
        for joiner in ("", " ", "a"):
            picked = rng.integers(0, len(assigned), 12)
            out.append("x " + joiner.join(assigned[i] for i in picked))
    return out


CATEGORIES = {
    "negative": [DEFAULT_NEGATIVE], "short": SHORT, "scripts": SCRIPTS, "emoji": EMOJI,
    "combining": COMBINING,
    "width_ligatures": WIDTH_LIGATURES, "html": HTML, "mojibake": MOJIBAKE,
    "quotes_spaces": QUOTES_SPACES, "control": CONTROL, "special_tokens": SPECIAL_TOKENS,
    "long": LONG,
    "truncation": _edges_of_truncation(), "sentences": _variations(),
    "random": _random_texts(),
}
