"""Codes of languages: ISO 639-3 with a script, as GlotLID and FineWeb2 write them, and the short ISO 639-1 ones."""

from __future__ import annotations

_PAIRS = """
afr:af amh:am ara:ar arb:ar asm:as aze:az azj:az bel:be ben:bn bod:bo bos:bs bul:bg cat:ca ces:cs cmn:zh
cos:co cym:cy dan:da deu:de div:dv ell:el eng:en epo:eo est:et ekk:et eus:eu fas:fa pes:fa fin:fi fra:fr
fry:fy gla:gd gle:ga glg:gl guj:gu hat:ht hau:ha heb:he hin:hi hrv:hr hun:hu hye:hy ibo:ig ind:id isl:is
ita:it jav:jv jpn:ja kan:kn kat:ka kaz:kk khm:km kir:ky kor:ko kur:ku kmr:ku lao:lo lat:la lav:lv lvs:lv
lit:lt ltz:lb mal:ml mar:mr mkd:mk mlg:mg plt:mg mlt:mt mon:mn khk:mn msa:ms zsm:ms mya:my nep:ne npi:ne
nld:nl nno:nn nob:no nor:no nya:ny oci:oc ori:or ory:or pan:pa pol:pl por:pt pus:ps pbt:ps ron:ro rus:ru
san:sa sin:si slk:sk slv:sl smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq als:sq srp:sr sun:su swa:sw
swh:sw swe:sv tam:ta tat:tt tel:te tgk:tg tgl:tl fil:tl tha:th tuk:tk tur:tr uig:ug ukr:uk urd:ur uzb:uz
uzn:uz vie:vi xho:xh yid:yi ydd:yi yor:yo zho:zh zul:zu jp:ja
"""
_SHORT = dict(pair.split(":") for pair in _PAIRS.split())


def language_code(name: str) -> str:
    """Return the short code of a language given as a code: `jpn_Jpan`, `ja-JP` and `JA` are `ja`.

    A language without a two-letter code keeps its three letters; what is no code (`Japanese`) comes back as it is.
    """
    head = name.strip().replace("_", "-").partition("-")[0].lower()
    if not 2 <= len(head) <= 3 or not head.isalpha():
        return name
    return _SHORT.get(head, head)
