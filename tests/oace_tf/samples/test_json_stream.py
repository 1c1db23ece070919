"""Streamed JSON: the elements that the whole reader finds, wherever the buffer is cut."""
from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oace_tf.errors import UsageError
from oace_tf.fileio import read_json
from oace_tf.samples import json_stream
from oace_tf.samples.json_stream import element_at, list_elements

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-10**12, 10**12) | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (st.lists(inner, max_size=3)
                   | st.dictionaries(st.text(max_size=4), inner, max_size=3)), max_leaves=8)


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({"images": st.lists(VALUES, max_size=5), "info": VALUES,
                              "annotations": st.lists(VALUES, max_size=5)}),
       st.integers(1, 9), st.sampled_from([None, 1]), st.booleans())
def test_as_the_whole_reader(tmp_path, monkeypatch, content, chunk, indent, ascii_only):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_only),
                    encoding="utf-8", errors="surrogatepass" if ascii_only else "strict")
    found: dict[str, list] = {"images": [], "annotations": []}
    with path.open("rb") as file:
        for key, element, offset, length in list_elements(path, found):
            found[key].append(element)
            assert element_at(file, offset, length) == element
    whole = read_json(path)
    assert found == {key: whole[key] for key in found}


@pytest.mark.parametrize("text", (
    "", "[]", "{", '{"a"', '{"a":', '{"a": [', '{"a": [1', '{"a": [1,', '{"a": [1 2]}',
    '{"a": [1]} x', '{"a": [1], "a": [2]}', '{"a": 3}', '{"a": {}}', '{a: []}', '{"a": [1,]}',
    '{"a": [NaN]}', '{"a": [1e999]}', '{"a": [{"k": 1, "k": 2}]}', '{"b": tru, "a": []}',
    '{"a": ["\xff"]}', '{"a": []', '{"a": [' + "[" * 100000, "{1: []}"))
def test_what_is_no_object_of_lists_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="a.json"):
        list(list_elements(path, ("a",)))


def test_a_missing_file_and_an_empty_object(tmp_path):
    with pytest.raises(UsageError, match="none.json"):
        list(list_elements(tmp_path / "none.json", ("a",)))
    (tmp_path / "a.json").write_text(" {} \n")
    assert list(list_elements(tmp_path / "a.json", ("a",))) == []
