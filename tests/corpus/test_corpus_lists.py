"""Lists of hosts, URLs, licences and opt-outs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watari.corpus.addresses import split_url
from watari.corpus.licenses import LicenseRule, license_name
from watari.corpus.lists import ListParams, Lists, apply, compile_lists
from watari.corpus.table import WORKING, undecided
from watari.errors import UserError


def table_of(*rows: dict[str, str | None]) -> pa.Table:
    whole = [{"key": f"key{number}", "text": "あ", **row} for number, row in enumerate(rows)]
    return undecided(pa.Table.from_pylist(whole, schema=WORKING))


def urls(*given: str | None) -> pa.Table:
    return table_of(*({"url": url} for url in given))


def write(folder: Path, name: str, *lines: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def verdicts(table: pa.Table, lists: Lists) -> list[tuple[str, str] | None]:
    made = apply(table, lists)
    pairs = zip(made.column("reason").to_pylist(), made.column("detail").to_pylist(), strict=True)
    return [pair if pair[0] else None for pair in pairs]


def reasons(table: pa.Table, lists: Lists) -> list[str | None]:
    return apply(table, lists).column("reason").to_pylist()


@pytest.mark.parametrize(
    ("url", "host", "path"),
    [
        ("https://www.Example.COM/", "www.example.com", "/"),
        ("https://user:pw@example.com:8080/a%20b/?q=1#f", "example.com", "/a b/?q=1"),
        ("example.jp", "example.jp", "/"),
        ("example.jp:443/x", "example.jp", "/x"),
        ("//example.jp/x", "example.jp", "/x"),
        ("http:/example.jp/x", "example.jp", "/x"),
        ("HTTP://EXAMPLE.JP./x//y", "example.jp", "/x/y"),
        ("http://日本語.jp/あ", "xn--wgv71a119e.jp", "/あ"),
        ("http://日本語。ｊｐ/%E3%81%82", "xn--wgv71a119e.jp", "/あ"),
        ("http://xn--wgv71a119e.jp", "xn--wgv71a119e.jp", "/"),
        ("http://[2001:db8::1]:80/x", "[2001:db8::1]", "/x"),
        ("http:\\\\example.jp\\x", "example.jp", "/x"),
        ("  https://example.jp?x=1 ", "example.jp", "/?x=1"),
    ],
)
def test_addresses_of_urls_as_people_write_them(url: str, host: str, path: str):
    address = split_url(url)
    assert address is not None
    assert (address.host, address.path) == (host, path)


@pytest.mark.parametrize("url", ["", "   ", "http://", "http:///", "ht tp://x y", "http://<x>/", "……"])
def test_broken_urls_have_no_address(url: str):
    assert split_url(url) is None


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_none(text: str):
    address = split_url(text)
    if address is not None:
        assert address.path.startswith("/")
        assert address.host == address.host.lower()
        assert split_url(f"http://{address.host}/") is not None


def test_host_lists_match_the_host_and_all_below_it(tmp_path: Path):
    lists = compile_lists(
        ListParams(
            hosts=[
                write(tmp_path, "adult/domains", "bad.example", "# comment", "", "日本語.jp"),
                write(
                    tmp_path, "hosts", "0.0.0.0 ads.example # banner", "||track.example^", "*.wild.example"
                ),
                write(tmp_path, "ips", "192.0.2.7", "https://page.example/folder/x"),
            ]
        )
    )
    assert verdicts(
        urls(
            "https://bad.example/x",
            "http://A.B.BAD.example:8080/",
            "https://notbad.example/",
            "https://bad.example.org/",
            "https://xn--wgv71a119e.jp/",
            "//ads.example/1",
            "sub.track.example",
            "http://wild.example",
            "http://192.0.2.7/",
            "http://1.192.0.2.7/",
            "http://page.example/other",
            None,
            "",
            "no url",
        ),
        lists,
    ) == [
        ("listed host", "bad.example in domains"),
        ("listed host", "bad.example in domains"),
        None,
        None,
        ("listed host", "xn--wgv71a119e.jp in domains"),
        ("listed host", "ads.example in hosts"),
        ("listed host", "track.example in hosts"),
        ("listed host", "wild.example in hosts"),
        ("listed host", "192.0.2.7 in ips"),
        None,
        ("listed host", "page.example in ips"),
        None,
        None,
        None,
    ]


def test_url_lists_match_urls_folders_and_patterns(tmp_path: Path):
    entries = [
        "https://x.example/page",
        "x.example/folder/",
        "y.example/*/print*",
        "*.pdf",
        "http://whole.example/",
        "z.example/%E3%81%82",
    ]
    lists = compile_lists(ListParams(urls=[write(tmp_path, "urls", *entries)]))
    listed = [
        "http://x.example/page",
        "https://www.x.example:443/page#top",
        "https://x.example/page/",
        "https://x.example/folder/",
        "https://x.example/folder",
        "https://x.example/folder/a/b?c=d",
        "https://y.example/12/print?x=1",
        "https://other.example/a/b.pdf",
        "https://whole.example/a",
        "https://z.example/あ",
    ]
    free = [
        "https://x.example/page2",
        "https://x.example/page?x=1",
        "https://x.example/",
        "https://x.example/folders/a",
        "https://sub.x.example/page",
        "https://y.example/print",
        "https://other.example/a.pdf.html",
    ]
    assert reasons(urls(*listed), lists) == ["listed URL"] * len(listed)
    assert reasons(urls(*free), lists) == [None] * len(free)


def test_opt_outs_go_by_url_host_id_or_key(tmp_path: Path):
    entries = [
        "out.example",
        "https://x.example/mine",
        "doc-17",
        "key:key3",
        "id:no.such/id",
        "https://y.example/me/",
    ]
    lists = compile_lists(ListParams(opt_out=[write(tmp_path, "takedown.txt", *entries)]))
    table = table_of(
        {"url": "https://www.out.example/a"},
        {"url": "https://x.example/mine"},
        {"id": "doc-17", "url": "https://x.example/other"},
        {},
        {"url": "https://y.example/me/page"},
        {"id": "no.such/id"},
        {"url": "https://x.example/", "id": "doc-18"},
    )
    assert reasons(table, lists) == ["opted out"] * 6 + [None]
    assert verdicts(table, lists)[2] == ("opted out", "doc-17 in takedown.txt")


def test_opting_out_comes_first(tmp_path: Path):
    lists = compile_lists(
        ListParams(
            hosts=[write(tmp_path, "a-hosts", "x.example")],
            urls=[write(tmp_path, "a-urls", "x.example/")],
            opt_out=[write(tmp_path, "z-out", "x.example")],
            licenses_denied=["cc-by"],
        )
    )
    row = {"url": "http://x.example/", "license": "CC BY 4.0"}
    assert reasons(table_of(row), lists) == ["opted out"]


def test_packed_lists_folders_and_round_trips(tmp_path: Path):
    (tmp_path / "ut1" / "adult").mkdir(parents=True)
    (tmp_path / "ut1" / "adult" / "domains.gz").write_bytes(
        gzip.compress("\n".join(f"host{number}.example" for number in range(5000)).encode())
    )
    write(tmp_path / "ut1", "games/domains", "play.example")
    params = ListParams(hosts=str(tmp_path / "ut1"), urls=[write(tmp_path, "urls", "x.example/*.zip")])
    lists = compile_lists(params)
    assert lists.names == ("adult/domains.gz", "games/domains", "urls")
    assert len(lists.hashes) == 5001
    lists.save(tmp_path / "a.npz")
    compile_lists(params).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    table = urls("http://host4999.example", "http://host5000.example", "http://x.example/a.zip")
    loaded = Lists.load(tmp_path / "a.npz")
    assert verdicts(table, loaded) == verdicts(table, lists)
    assert [pair and pair[0] for pair in verdicts(table, loaded)] == ["listed host", None, "listed URL"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("cc_by_4.0", "cc-by-4.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/4.0/deed.ja", "cc-by-nc-nd-4.0"),
        ("http://creativecommons.org/licenses/by/2.1/jp/", "cc-by-2.1-jp"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "cc0-1.0"),
        ("CC0 1.0 Universal", "cc0-1.0"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported", "cc-by-sa-3.0"),
        ("Apache License, Version 2.0", "apache-2.0"),
        ("MIT License", "mit"),
        ("ODC-By", "odc-by"),
    ],
)
def test_names_of_licences(text: str, name: str):
    assert license_name(text) == name


def test_licences_allowed_and_denied():
    rule = LicenseRule.of(["CC BY", "cc-by-sa-4.0", "MIT", "apache-2.0"], [], keep_missing=False)
    kept = ["CC BY 4.0", "cc-by-3.0", "CC-BY-SA-4.0", "mit", "MIT OR GPL-3.0", "(MIT AND Apache-2.0)"]
    assert [rule.fault(license) for license in kept] == [None] * len(kept)
    for license in ("CC BY-NC 4.0", "cc-by-sa-3.0", "MIT AND GPL-3.0", "unknown"):
        assert rule.fault(license) == license
    assert rule.fault(None) == rule.fault(" ") == "no licence"
    denied = LicenseRule.of([], ["*-nc*", "*-nd*"], keep_missing=True)
    assert denied.fault("CC BY-NC-SA 4.0") == "CC BY-NC-SA 4.0"
    assert denied.fault("CC BY-SA 4.0") is denied.fault(None) is denied.fault("MIT") is None
    assert denied.fault("CC BY-NC 4.0 or MIT") is None


def test_licences_of_rows(tmp_path: Path):
    lists = compile_lists(ListParams(licenses_denied=["*-nc*"], license_missing="drop"))
    table = table_of({"license": "CC BY-NC 4.0"}, {"license": "MIT"}, {})
    assert verdicts(table, lists) == [("licence", "CC BY-NC 4.0"), None, ("licence", "no licence")]


def test_no_lists_drop_nothing_and_empty_tables_stay(tmp_path: Path):
    lists = compile_lists(ListParams())
    assert reasons(urls("http://x.example", None), lists) == [None, None]
    assert apply(table_of(), lists).num_rows == 0
    full = compile_lists(ListParams(hosts=[write(tmp_path, "h", "x.example")]))
    assert apply(table_of(), full).num_rows == 0
    assert reasons(urls("http://zz.example"), full) == [None]


def test_mistakes_are_told_with_their_line(tmp_path: Path):
    with pytest.raises(UserError, match=r"hosts: line 2: '<script>' is not a host"):
        compile_lists(ListParams(hosts=[write(tmp_path, "hosts", "x.example", "<script>")]))
    with pytest.raises(UserError, match=r"urls: line 1: '<a>' is not a URL"):
        compile_lists(ListParams(urls=[write(tmp_path, "urls", "<a>")]))
    with pytest.raises(UserError, match="missing"):
        compile_lists(ListParams(opt_out=[str(tmp_path / "missing")]))
    broken = tmp_path / "lists.npz"
    broken.write_bytes(b"nothing")
    with pytest.raises(UserError, match="not compiled lists"):
        Lists.load(broken)
