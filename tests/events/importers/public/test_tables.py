"""Rules of single importers of public data sets: items, users, labels and rows that are set aside."""

import gzip
import json
from datetime import UTC, datetime

import pytest

from events import dataset
from events.importers.public.lastfm_1k import NO_TRACK
from events.importers.public.lastfm_360k import NO_ARTIST
from events.importers.registry import DATA_SETS
from segue.errors import InputError
from tests.support.public_data_sets import CLICKS_1K, SAMPLES, USER_1


@pytest.fixture
def read(tmp_path):
    """`read(sample, path=text, …)`: the sample's data set with these files replaced or added."""

    def build(name: str, files: dict[str, str | bytes] | None = None):
        sample = SAMPLES[name]
        folder = sample.write(tmp_path / "original")
        for path, content in (files or {}).items():
            (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())
        return DATA_SETS[sample.name].read(folder)

    return build


def by_id(table, key="item_id"):
    return {row[key]: row for row in table.to_pylist()}


def test_lastfm_1k_items_without_an_id_are_named_by_artist_and_track(read):
    items = by_id(read("lastfm-1k").items)
    assert items["mt"]["title"] == "Fuck Me"
    assert items["mt"]["creator"] == 'Deep "Dish'
    assert items["Low / Sunflower"]["title"] == "Sunflower"
    assert items["Low / Sunflower"]["creator_id"] is None


def test_lastfm_1k_a_track_played_before_by_the_same_listener_is_liked(read):
    plays = [("u1", 3, "a"), ("u1", 1, "a"), ("u2", 2, "a"), ("u1", 2, "b"), ("u1", 4, "a")]
    text = "".join(f"{user}\t2009-05-0{day}T00:00:00Z\tma\tLow\t{item}\tx\n" for user, day, item in plays)
    assert read("lastfm-1k", {CLICKS_1K: text}).events["label_like"].to_pylist() == [1.0, 0.0, 0.0, 0.0, 1.0]


def test_lastfm_1k_plays_of_no_track_are_quarantined(read):
    row = "user_000001\t2009-05-04T13:54:10Z\tma\tLow\t\t\n"
    imported = read("lastfm-1k", {CLICKS_1K: SAMPLES["lastfm-1k"].files[CLICKS_1K] + row})
    (entry,) = imported.quarantine.to_pylist()
    assert (entry["reason"], entry["row"]) == (NO_TRACK, 4)


@pytest.mark.parametrize("header", [True, False])
def test_lastfm_1k_profiles_are_read_with_and_without_a_header(read, header):
    rows = ["#id\tgender\tage\tcountry\tregistered"] * header
    rows += ["user_000001\tm\t\tJapan\tAug 13, 2006", "user_000002\tf\t38\t\t"]
    users = by_id(read("lastfm-1k", {"userid-profile.tsv": "\n".join(rows)}).users, "user_id")
    assert list(users) == ["user_000001", "user_000002"]
    assert users["user_000001"]["signup_ts"] == datetime(2006, 8, 13, tzinfo=UTC)
    assert users["user_000002"]["age_band"] == "35-44"


def test_lastfm_360k_says_that_its_times_are_invented(read):
    assert any("TIMES ARE INVENTED" in line for line in read("lastfm-360k").mapping)


def test_lastfm_360k_likes_are_counts_of_at_least_the_listener_s_median(read):
    # Counts 1, 4, 6, 30: the median is 5. The other listener has one artist.
    rows = [(USER_1, "a", 30), (USER_1, "b", 1), (USER_1, "c", 6), (USER_1, "d", 4), ("u2", "a", 2)]
    text = "".join(f"{user}\t{artist}\tname\t{count}\n" for user, artist, count in rows)
    events = read("lastfm-360k", {"usersha1-artmbid-artname-plays.tsv": text}).events
    assert events["label_like"].to_pylist() == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert events["play_count"].to_pylist() == [30, 1, 6, 4, 2]


def test_lastfm_360k_profiles_with_impossible_values_are_unknown(read):
    users = list(by_id(read("lastfm-360k").users, "user_id").values())
    assert [user["age_band"] for user in users] == ["18-24", None]
    assert [user["signup_ts"] for user in users] == [datetime(2008, 4, 28, tzinfo=UTC), None]


def test_lastfm_360k_rows_without_an_artist_are_quarantined(read):
    text = f"{USER_1}\t\t\t4\n{USER_1}\ta\tx\t4\n"
    (entry,) = read("lastfm-360k", {"usersha1-artmbid-artname-plays.tsv": text}).quarantine.to_pylist()
    assert (entry["reason"], entry["row"]) == (NO_ARTIST, 1)


def test_amazon_items_come_from_the_catalogue_and_else_from_the_reviews(read):
    items = by_id(read("amazon-jsonl").items)
    assert items["B1"]["title"] == "Comb"
    assert items["B1"]["genres"] == ["Beauty", "Hair"]
    assert items["B1"]["description"] == "Of wood.\nLong."
    assert (items["B2"]["title"], items["B2"]["genres"]) == ("B2", ["All Beauty"])
    assert items["B3"]["title"] == "B3"


def test_amazon_reviews_may_be_compressed_and_of_several_categories(read):
    sample = SAMPLES["amazon-jsonl"]
    extra = gzip.compress(sample.files["All_Beauty.jsonl"].replace("AE", "BE").encode())
    assert read("amazon-jsonl", {"Books.jsonl.gz": extra}).events.num_rows == 6


def test_amazon_reviews_of_a_category_in_two_formats_are_refused(read):
    with pytest.raises(InputError, match=r"All_Beauty.jsonl and All_Beauty.csv hold the same category"):
        read("amazon-jsonl", {"All_Beauty.csv": SAMPLES["amazon-csv"].files["All_Beauty.csv"]})


def test_million_playlist_tracks(read):
    items = by_id(read("million-playlist").items)
    assert list(items) == ["spotify:track:sun", "spotify:track:moon"]
    assert items["spotify:track:moon"]["duration_ms"] == 200_000
    assert items["spotify:track:moon"]["creator"] == "Low"


def test_mind_clicks_label_the_impressions_of_their_request(read):
    events = read("mind").events.to_pylist()
    shown = [(e["request_id"], e["item_id"], e["label_play"]) for e in events if e["action"] == "impression"]
    assert shown == [
        ("MINDsmall_dev-1", "N2", 1.0), ("MINDsmall_train-1", "N1", 1.0), ("MINDsmall_train-1", "N2", 0.0),
        ("MINDsmall_train-2", "N1", 0.0),
    ]  # fmt: skip
    assert {e["request_id"] for e in events if e["action"] == "play"} == {"MINDsmall_dev-1", "MINDsmall_train-1"}


def test_mind_news(read):
    items = by_id(read("mind").items)
    assert items["N1"]["title"] == 'The "Brands'
    assert items["N1"]["genres"] == ["lifestyle", "royals"]
    assert items["N2"]["genres"] == ["news"]


@pytest.mark.parametrize("time", ["2019-11-15 09:00:00", "31/12/2019 9:00:00 AM", "11/15/2019 13:00:00 PM"])
def test_mind_times_of_another_form_are_refused(read, time):
    text = f"1\tU1\t{time}\t\tN1-0\n"
    with pytest.raises(InputError, match=rf"behaviors.tsv, row 1: ts is '{time}'"):
        read("mind", {"MINDsmall_dev/behaviors.tsv": text})


def test_yoochoose_purchases_are_the_positive_labels_of_add(read):
    events = read("yoochoose").events.to_pylist()
    assert [e["label_add"] for e in events] == [0.0, 0.0, 0.0, 1.0]
    assert events[3]["price"] == 12462.0
    assert events[1]["category"] == "S"


def test_kuairec_views_have_their_share_and_seconds(read):
    events = read("kuairec").events.to_pylist()
    assert [e["label_complete"] for e in events] == [1.0, 0.0, 0.0]
    assert [e["label_skip"] for e in events] == [0.0, 1.0, 0.0]
    assert [e["label_like"] for e in events] == [0.0, 0.0, 0.0]
    assert [e["ms_played"] for e in events] == [13838, 851, 5000]
    assert events[1]["label_listen"] == pytest.approx(0.6157, abs=1e-4)  # log1p(0.851)


def test_kuairec_views_without_a_time_are_quarantined(read, tmp_path):
    manifest = dataset.write(tmp_path / "data", read("kuairec"))
    assert manifest["quarantine_reasons"] == {"timestamp is missing": 1}


def test_kuairec_a_video_watched_more_than_twice_is_liked(read):
    header = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
    rows = "".join(f"{n},7,1,1,,,1593878903.5,{ratio}\n" for n, ratio in enumerate((0.09, 0.1, 2.0, 2.01)))
    events = read("kuairec", {"data/big_matrix.csv": header + rows}).events
    assert events["action"].to_pylist() == ["skip", "play", "play", "like"]
    assert events["label_like"].to_pylist() == [0.0, 0.0, 0.0, 1.0]


def test_kuairec_without_captions_has_the_numbers_of_the_tags_as_genres(tmp_path):
    folder = SAMPLES["kuairec"].write(tmp_path)
    (folder / "data" / "kuairec_caption_category.csv").unlink()
    (folder / "data" / "item_categories.csv").write_text('video_id,feat\n3649,"[27, 9]"\n5262,[8]\n')
    items = by_id(DATA_SETS["kuairec"].read(folder).items)
    assert (items["3649"]["title"], items["3649"]["genres"]) == ("3649", ["27", "9"])
    assert items["5262"]["genres"] == ["8"]


def test_kuairec_titles_come_from_the_captions(read):
    items = by_id(read("kuairec").items)
    assert (items["3649"]["title"], items["3649"]["genres"]) == ("晚饭,\n好吃", ["美食"])
    assert (items["5262"]["title"], items["5262"]["genres"]) == ("5262", [])
    assert items["5262"]["duration_ms"] == "17908"


def test_retailrocket_items_have_their_first_category(read):
    assert {k: row["genres"] for k, row in by_id(read("retailrocket").items).items()} == {"355908": ["7"], "248676": []}


def test_retailrocket_labels(read):
    events = read("retailrocket").events.to_pylist()
    assert [e["label_like"] for e in events] == [0.0, 1.0, None, 0.0, 0.0]
    assert [e["label_add"] for e in events] == [0.0, None, 1.0, 0.0, 0.0]
    assert events[3]["event_id"] + "#2" == events[4]["event_id"]


def test_retailrocket_rows_of_another_event_are_quarantined(read):
    text = SAMPLES["retailrocket"].files["events.csv"] + "1433221332117,1,refund,355908,\n"
    (entry,) = read("retailrocket", {"events.csv": text}).quarantine.to_pylist()
    assert json.loads(entry["record"])["event"] == "refund"


def test_a_file_that_is_there_twice_is_refused(read, tmp_path):
    (tmp_path / "original" / "copy").mkdir(parents=True)
    with pytest.raises(InputError, match=r"Retailrocket has one events.csv. Found 2"):
        read("retailrocket", {"copy/events.csv": SAMPLES["retailrocket"].files["events.csv"]})


@pytest.mark.parametrize(("sample", "asked"), [("lastfm-1k", "lastfm"), ("mind", "kuairec"), ("yoochoose", "mind")])
def test_a_folder_of_another_data_set_is_recognised(tmp_path, sample, asked):
    folder = SAMPLES[sample].write(tmp_path / "original")
    with pytest.raises(InputError) as error:
        DATA_SETS[asked].read(folder)
    assert f"`segue data import {sample} {folder}`" in error.value.fix


@pytest.mark.parametrize("row", ["1433041200000,1,categoryid,5,6,7", "soon,1,categoryid,5"])
def test_retailrocket_properties_that_are_malformed_are_refused_by_file(read, row):
    with pytest.raises(InputError, match=r"item_properties_part2.csv, row 2: it is not `timestamp,itemid"):
        read("retailrocket", {"item_properties_part2.csv": f"timestamp,itemid,property,value\n{row}\n"})
