"""What emotions are called in the languages of the data sets, and which word means which name.

Two kinds of names. *Broad* ones (`EMOTIONS`) are what most sets have. *Finer* ones (`FINER`) are classes of
their own in some sets only: GEMEP tells joy from amusement, elsewhere both are happiness. So a word that is
an alias of both kinds means the finer name only where somebody asked for it by a label set.

Words that people are called by as well (Ira, Felice) are left out: folders are called like people, too. Words
are compared in lower case, without accents, with `_`, `-` and spaces taken as one space.
"""

from __future__ import annotations

import unicodedata

BASIC = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""The six basic emotions and neutral, in the order of tables and plots."""

EMOTIONS = (*BASIC, "contempt", "anxiety", "pride", "shame", "calm", "confusion", "interest", "boredom")
"""Every broad name, in the order of tables and plots."""

# fmt: off
_BROAD = {
    "neutral": """neutrality, neutral expression, neu, ne, none, no emotion,
        neutralität, neutre, neutralité, neutrale, neutralità, neutro, neutralidad, neutralidade,
        中性, 平静无表情, 无表情""",
    "anger": """angry, ang, an, angriness, mad, rage, hot anger,
        ärger, aerger, wut, wütend, wuetend, zorn, verärgert, colère, en colère, rabbia, arrabbiato,
        arrabbiata, enojo, enfado, enojado, enojada, enfadado, enfadada, raiva, zangado, zangada,
        愤怒, 憤怒, 生气, 生氣, 怒""",
    "disgust": """disgusted, dis, di, disgusting,
        ekel, angeekelt, dégoût, dégoûté, disgusto, disgustato, asco, desagrado, repugnancia, nojo, repulsa,
        厌恶, 厭惡, 恶心""",
    "fear": """fearful, afraid, scared, fea, fe, terror, panic fear, panic,
        angst, furcht, ängstlich, panik, peur, effrayé, paura, impaurito, miedo, temor, asustado, medo,
        assustado, 恐惧, 恐懼, 害怕, 惊恐""",
    "happiness": """happy, hap, ha, joy, joyful, smile, amusement,
        freude, fröhlich, froehlich, glücklich, gluecklich, glück, joie, joyeux, heureux, bonheur,
        gioia, felicità, alegría, felicidad, feliz, alegre, alegria, felicidade,
        高兴, 高興, 快乐, 快樂, 开心, 喜悦""",
    "sadness": """sad, sa, unhappy, sorrow,
        trauer, traurig, traurigkeit, tristesse, triste, tristezza, tristeza,
        悲伤, 悲傷, 难过, 難過, 伤心""",
    "surprise": """surprised, sur, su, suprise, surprize, astonishment, amazement,
        überraschung, ueberraschung, überrascht, erstaunen, surpris, sorpresa, sorpreso, sorprendido,
        surpresa, surpreso, 惊讶, 驚訝, 惊奇, 吃惊""",
    "contempt": """contemptuous, con, co, despise,
        verachtung, mépris, disprezzo, desprecio, desprezo, 轻蔑, 輕蔑, 蔑视, 鄙视""",
    "anxiety": """anxious, worried, worry, nervous,
        besorgt, sorge, besorgnis, anxiété, anxieux, inquiétude, inquiet, ansia, ansioso, preoccupazione,
        ansiedad, inquietud, preocupación, ansiedade, preocupação, 焦虑, 焦慮, 担忧""",
    "pride": "proud, stolz, fierté, fier, orgoglio, orgoglioso, orgullo, orgulloso, orgulho, 骄傲, 自豪",
    "shame": """ashamed, embarrassment, embarrassed,
        scham, beschämt, verlegenheit, honte, honteux, gêne, vergogna, vergüenza, avergonzado, vergonha,
        羞愧, 羞耻, 尴尬""",
    "calm": """calmness, relaxed, relief,
        ruhe, ruhig, gelassen, calme, détendu, calma, tranquillo, tranquilo, tranquilidad, serenità,
        平静, 平靜""",
    "confusion": """confused, puzzled, doubt, doubt/confusion,
        verwirrung, verwirrt, confus, confusione, confuso, confusión, confusão, 困惑, 疑惑""",
    "interest": """interested, engaged, engagement, curiosity,
        interesse, interessiert, neugier, intérêt, intéressé, interessato, interés, interesado,
        感兴趣, 兴趣""",
    "boredom": """bored, boring,
        langeweile, gelangweilt, ennuyé, noia, annoiato, aburrimiento, tédio, 无聊""",
}

_FINER = {
    "amusement": "amused, belustigung, erheiterung, divertimento, diversión, diversão, 愉悦, 逗乐",
    "joy": "elation, elated, joyful, freude, joie, gioia, alegría, alegria, 喜悦",
    "pleasure": "sensual pleasure, sensory pleasure, genuss, plaisir, piacere, placer, prazer, 愉快",
    "relief": "relieved, erleichterung, soulagement, sollievo, alivio, alívio, 宽慰",
    "despair": "desperate, verzweiflung, désespoir, disperazione, desesperación, desespero, 绝望",
    "irritation": "irritated, cold anger, gereiztheit, irritazione, irritación, irritação, 恼怒",
    "admiration": "admiring, bewunderung, ammirazione, admiración, admiração, 钦佩",
    "tenderness": "tender, zärtlichkeit, attendrissement, tendresse, tenerezza, ternura, 温柔",
    "helplessness": "helpless, hilflosigkeit, impuissance, impotenza, impotencia, 无助",
    "disappointment": "disappointed, enttäuschung, déception, delusione, decepción, decepção, 失望",
    "excitement": "excited, exc, aufregung, excitation, eccitazione, excitación, excitação, 兴奋, 激动",
    "frustration": "frustrated, fru, frust, frustrazione, frustración, frustração, 沮丧",
    "peace": "peaceful, frieden",
    "affection": "affectionate",
    "esteem": "",
    "anticipation": "anticipating",
    "engagement": "engaged",
    "confidence": "confident",
    "sympathy": "sympathetic",
    "disconnect": "disconnection, disconnected",
    "fatigue": "fatigued, tired",
    "embarrassment": "embarrassed, 尴尬",
    "yearning": "yearn",
    "disapproval": "disapproving",
    "aversion": "averse",
    "annoyance": "annoyed",
    "sensitivity": "sensitive",
    "disquietment": "disquiet, disquieted",
    "pain": "painful",
    "suffering": "",
}
# fmt: on

FINER = tuple(_FINER)
"""Names that are classes of their own in some label sets only."""


def plain(word: str) -> str:
    """A word in the form in which words are compared."""
    letters = unicodedata.normalize("NFKD", word.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(bare.replace("_", " ").replace("-", " ").split())


def _aliases(table: dict[str, str]) -> dict[str, str]:
    """Plain word -> name. A name is a word for itself."""
    of: dict[str, str] = {}
    for name, words in table.items():
        for word in (name, *words.split(",")):
            if not plain(word):
                continue
            known = of.setdefault(plain(word), name)
            assert known == name, f"{word!r} means both {known!r} and {name!r}"
    return of


BROAD_OF = _aliases(_BROAD)
"""Plain word -> broad name."""

FINER_OF = _aliases(_FINER)
"""Plain word -> finer name."""


def meanings(word: str) -> list[str]:
    """The names that a word may stand for, the finer one first; empty for an unknown word."""
    found = (names.get(plain(word)) for names in (FINER_OF, BROAD_OF))
    return [name for name in found if name is not None]
