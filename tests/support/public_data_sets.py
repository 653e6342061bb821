"""Small samples of public data sets, written by hand in their publishers' formats."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """Files of a data set, and what they become.

    Args:
        name: The data set's name in the registry.
        files: Content by path, in UTF-8 unless it is bytes.
        events: `(user_id, item_id, action, time in UTC)` of each event, in order of time and id.
        broken: A file, the lines to append to it, and the error that they cause.
    """

    name: str
    files: dict[str, str | bytes]
    events: list[tuple[str, str, str, str]]
    broken: tuple[str, str, str]

    def write(self, folder: Path) -> Path:
        """Write the files into a folder; return the folder to import, which is `ml-20m` within it for MovieLens 20M."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        editions = list(folder.glob("ml-*"))
        return editions[0] if editions else folder


def lines(*rows: dict) -> str:
    """Return rows as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def track(position: int, name: str) -> dict:
    return {
        "pos": position, "artist_name": "Low", "track_uri": f"spotify:track:{name}",
        "artist_uri": "spotify:artist:low", "track_name": name.title(), "album_uri": "spotify:album:a",
        "duration_ms": 200_000, "album_name": "Hey",
    }  # fmt: skip


def playlist(pid: int, *tracks: dict) -> dict:
    return {
        "name": "musical", "collaborative": "false", "pid": pid, "modified_at": 1_493_424_000,
        "num_albums": 1, "num_tracks": len(tracks), "num_followers": 1, "num_edits": 2, "duration_ms": 1,
        "num_artists": 1, "tracks": list(tracks),
    }  # fmt: skip


def mpd_slice(*playlists: dict) -> str:
    info = {"generated_on": "2017-12-03 08:41:42.057563", "slice": "0-999", "version": "v1"}
    return json.dumps({"info": info, "playlists": list(playlists)}, indent=4)


def review(user: str, product: str, rating: float, ms: int) -> dict:
    return {
        "rating": rating, "title": "Nice", "text": 'It "works"', "images": [], "asin": "V1", "parent_asin": product,
        "user_id": user, "timestamp": ms, "helpful_vote": 0, "verified_purchase": True,
    }  # fmt: skip


META = lines(
    {"main_category": "All Beauty", "title": "Comb", "average_rating": 4.8, "rating_number": 10, "features": [],
     "description": ["Of wood.", "Long."], "price": None, "images": [], "videos": [], "store": "Holz",
     "categories": ["Beauty", "Hair"], "details": {"Colour": "brown"}, "parent_asin": "B1", "bought_together": None},
    {"main_category": "All Beauty", "title": "", "categories": [], "description": [], "store": None,
     "details": {"Weight": "1"}, "parent_asin": "B2"},
)  # fmt: skip
AMAZON_EVENTS = [
    ("AE1", "B1", "like", "2020-05-05 14:08:48.923"),
    ("AE2", "B1", "skip", "2020-05-05 14:09:48.923"),
    ("AE2", "B3", "play", "2020-05-05 14:10:48.923"),
]
MOVIELENS_EVENTS = [("1", "10", "like", "1996-08-02 11:40:46"), ("2", "10", "play", "1996-08-02 11:40:47")]
MOVIELENS_CSV = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.5,838986046\n2,10,2.5,838986047\n",
    "movies.csv": 'movieId,title,genres\n10,"Amélie, Tale of (2001)",Comedy|Romance\n',
    "tags.csv": "userId,movieId,tag,timestamp\n1,10,fun,838986046\n",
    "links.csv": "movieId,imdbId,tmdbId\n10,0211915,194\n",
}
GENOME = {
    "genome-scores.csv": "movieId,tagId,relevance\n10,1,0.5\n",
    "genome-tags.csv": "tagId,tag\n1,fun\n",
}
USER_1, USER_2 = "000063d3fe1cf2ba248b9e3c3f0334845a27a6be", "00007a47085b9aab8af55f52ec8846ac479ac4fe"
CLICKS_1K = "userid-timestamp-artid-artname-traid-traname.tsv"

SAMPLES = {
    "movielens-1m": Sample(
        "movielens",
        {
            "ratings.dat": "1::10::5::838986046\n2::10::3::838986047\n",
            "movies.dat": "10::Amélie (2001)::Comedy|Romance\n".encode("latin-1"),
            "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
        },
        MOVIELENS_EVENTS,
        ("ratings.dat", "2::10::3\n", "ratings.dat: row 3: expected 4 columns, got 3"),
    ),
    "movielens-10m": Sample(
        "movielens",
        {
            "ratings.dat": "1::10::4.5::838986046\n2::10::2.5::838986047\n",
            "movies.dat": "10::Amélie (2001)::Comedy|Romance\n",
            "tags.dat": "1::10::fun::838986046\n",
        },
        MOVIELENS_EVENTS,
        ("ratings.dat", "2::10::good::838986047\n", "ratings.dat, row 3: rating is 'good'"),
    ),
    "movielens-20m": Sample(
        "movielens",
        {f"ml-20m/{name}": text for name, text in {**MOVIELENS_CSV, **GENOME}.items()},
        MOVIELENS_EVENTS,
        ("ml-20m/ratings.csv", "2,10,3\n", "ratings.csv: row 4: expected 4 columns, got 3"),
    ),
    "movielens-25m": Sample(
        "movielens",
        {f"ml-25m/{name}": text for name, text in {**MOVIELENS_CSV, **GENOME}.items()},
        MOVIELENS_EVENTS,
        ("ml-25m/ratings.csv", "2,10,3,noon\n", "ratings.csv, row 4: ts is 'noon'"),
    ),
    "movielens-latest": Sample(
        "movielens",
        MOVIELENS_CSV,
        MOVIELENS_EVENTS,
        ("ratings.csv", "2,10,,838986047\n", "ratings.csv, row 4: rating is null"),
    ),
    "lastfm-2k": Sample(
        "lastfm",
        {
            "artists.dat": "id\tname\turl\tpictureURL\n1\tLow\tu\tp\n2\tCan\tu\tp\n",
            "user_artists.dat": "userID\tartistID\tweight\n5\t1\t10\n6\t2\t20\n",
            "user_taggedartists-timestamps.dat":
                "userID\tartistID\ttagID\ttimestamp\n5\t1\t1\t1238536800000\n6\t2\t1\t1238623200000\n",
        },
        [("5", "1", "add", "2009-03-31 22:00:00"), ("6", "2", "add", "2009-04-01 22:00:00")],
        ("user_taggedartists-timestamps.dat", "5\t1\n", "timestamps.dat: row 4: expected 4 columns, got 2"),
    ),
    "lastfm-1k": Sample(
        "lastfm-1k",
        {
            CLICKS_1K:
                'user_000001\t2009-05-04T23:08:57Z\tma\tDeep "Dish\tmt\tFuck Me\n'
                "user_000001\t2009-05-04T13:54:10Z\t\tLow\t\tSunflower\n"
                "user_000002\t2009-05-04T13:54:10Z\tma\tDeep \"Dish\tmt\tFuck Me\n",
            "userid-profile.tsv":
                "#id\tgender\tage\tcountry\tregistered\nuser_000001\tm\t\tJapan\tAug 13, 2006\n"
                "user_000002\tf\t38\t\t\n",
        },
        [
            ("user_000001", "Low / Sunflower", "play", "2009-05-04 13:54:10"),
            ("user_000002", "mt", "play", "2009-05-04 13:54:10"),
            ("user_000001", "mt", "play", "2009-05-04 23:08:57"),
        ],
        (CLICKS_1K, "user_000001\tyesterday\tma\tLow\tmt\tX\n", f"{CLICKS_1K}, row 4: ts is 'yesterday'"),
    ),
    "lastfm-360k": Sample(
        "lastfm-360k",
        {
            "usersha1-artmbid-artname-plays.tsv":
                f"{USER_1}\ta3cb\tu2\t31\n{USER_1}\t\tla \"moor\t9\n{USER_2}\ta3cb\tu2\t4\n",
            "usersha1-profile.tsv": f"{USER_1}\tm\t19\tMexico\tApr 28, 2008\n{USER_2}\t\t-1337\tPeru\tsoon\n",
        },
        [
            (USER_2, "a3cb", "play", "2008-07-06 01:49:22"),
            (USER_1, 'la "moor', "play", "2008-08-21 03:04:17"),
            (USER_1, "a3cb", "play", "2008-11-07 07:52:59"),
        ],
        ("usersha1-artmbid-artname-plays.tsv", f"{USER_2}\tb\tlow\tmany\n", "plays.tsv, row 4: play_count is 'many'"),
    ),
    "amazon-jsonl": Sample(
        "amazon-reviews",
        {
            "All_Beauty.jsonl": lines(
                review("AE1", "B1", 5.0, 1588687728923),
                review("AE2", "B1", 1.0, 1588687788923),
                review("AE2", "B3", 3.0, 1588687848923),
            ),
            "meta_All_Beauty.jsonl": META,
        },
        AMAZON_EVENTS,
        ("All_Beauty.jsonl", '{"rating": 5.0, "user_id": "A', "All_Beauty.jsonl: row 4: malformed JSON"),
    ),
    "amazon-csv": Sample(
        "amazon-reviews",
        {
            "All_Beauty.csv":
                "user_id,parent_asin,rating,timestamp\nAE1,B1,5.0,1588687728923\nAE2,B1,1.0,1588687788923\n"
                "AE2,B3,3.0,1588687848923\n",
            "meta_All_Beauty.jsonl": META,
        },
        AMAZON_EVENTS,
        ("All_Beauty.csv", "AE2,B3,3.0\n", "All_Beauty.csv: row 5: expected 4 columns, got 3"),
    ),
    "million-playlist": Sample(
        "million-playlist",
        {
            "data/mpd.slice.0-999.json": mpd_slice(playlist(0, track(0, "sun"), track(1, "moon"), track(2, "sun"))),
            "data/mpd.slice.1000-1999.json": mpd_slice(playlist(1000, track(0, "moon"))),
        },
        [
            ("0", "spotify:track:sun", "add", "2017-04-28 23:59:58"),
            ("0", "spotify:track:moon", "add", "2017-04-28 23:59:59"),
            ("0", "spotify:track:sun", "add", "2017-04-29 00:00:00"),
            ("1000", "spotify:track:moon", "add", "2017-04-29 00:00:00"),
        ],
        ("data/mpd.slice.0-999.json", '{"playlists": [', "mpd.slice.0-999.json: row 53: malformed JSON"),
    ),
    "mind": Sample(
        "mind",
        {
            "MINDsmall_train/behaviors.tsv":
                "1\tU1\t11/11/2019 9:05:58 AM\tN9 N8\tN1-1 N2-0\n2\tU2\t11/12/2019 6:11:30 PM\t\tN1-0\n",
            "MINDsmall_train/news.tsv":
                'N1\tlifestyle\troyals\tThe "Brands\tShop the\thttps://x\t[{"Label": "Q"}]\t[]\n'
                "N2\tnews\t\tTitle\t\thttps://x\t[]\t[]\n",
            "MINDsmall_dev/behaviors.tsv": "1\tU2\t11/15/2019 12:00:00 AM\tN1\tN2-1\n",
            "MINDsmall_dev/news.tsv": "N2\tnews\t\tTitle\t\thttps://x\t[]\t[]\n",
        },
        [
            ("U1", "N1", "impression", "2019-11-11 09:05:58"),
            ("U1", "N1", "play", "2019-11-11 09:05:58"),
            ("U1", "N2", "impression", "2019-11-11 09:05:58"),
            ("U2", "N1", "impression", "2019-11-12 18:11:30"),
            ("U2", "N2", "impression", "2019-11-15 00:00:00"),
            ("U2", "N2", "play", "2019-11-15 00:00:00"),
        ],
        ("MINDsmall_dev/behaviors.tsv", "2\tU2\t11/15/2019 1:00:00 AM\t\tN1 N2\n", "behaviors.tsv, row 2: impressions"),
    ),
    "yoochoose": Sample(
        "yoochoose",
        {
            "yoochoose-clicks.dat":
                "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
                "2,2014-04-07T13:56:37.614Z,214662742,0\n",
            "yoochoose-buys.dat": "2,2014-04-07T13:57:37.614Z,214662742,12462,1\n",
        },
        [
            ("1", "214536502", "play", "2014-04-07 10:51:09.277"),
            ("1", "214536500", "play", "2014-04-07 10:54:09.868"),
            ("2", "214662742", "play", "2014-04-07 13:56:37.614"),
            ("2", "214662742", "add", "2014-04-07 13:57:37.614"),
        ],
        ("yoochoose-clicks.dat", "3,2014-04-07T13\n", "yoochoose-clicks.dat: row 4: expected 4 columns, got 2"),
    ),
    "kuairec": Sample(
        "kuairec",
        {
            "data/big_matrix.csv":
                "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
                "0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.2733965215790926\n"
                "0,5262,851,17908,2020-07-05 00:16:06.687,20200705,1593879366.687,0.0475206611570248\n"
                "1,3649,5000,10867,,,,0.46\n"
                "1,3649,5000,10867,2020-07-05 00:16:07.0,20200705,1593879367.0,0.4601085856262078\n",
            "data/kuairec_caption_category.csv":
                "video_id,manual_cover_text,caption,topic_tag,first_level_category_id,first_level_category_name,"
                "second_level_category_id,second_level_category_name,third_level_category_id,"
                "third_level_category_name\n"
                '3649,UNKNOWN,"晚饭,\n好吃",[],8,美食,124,UNKNOWN,-124,UNKNOWN\n',
        },
        [
            ("0", "3649", "play", "2020-07-04 16:08:23.438"),
            ("0", "5262", "skip", "2020-07-04 16:16:06.687"),
            ("1", "3649", "play", "2020-07-04 16:16:07"),
        ],
        ("data/big_matrix.csv", "1,3649,long,1,,,1593879368.0,1\n", "big_matrix.csv, row 6: ms_played is 'long'"),
    ),
    "retailrocket": Sample(
        "retailrocket",
        {
            "events.csv":
                "timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n"
                "1433221432117,257597,addtocart,355908,\n1433221532117,257597,transaction,355908,4000\n"
                "1433224214164,992329,view,248676,\n1433224214164,992329,view,248676,\n",
            "item_properties_part1.csv":
                "timestamp,itemid,property,value\n1435460400000,355908,categoryid,1338\n"
                "1434460400000,355908,categoryid,7\n1441508400000,248676,400,552 n720.000\n",
            "item_properties_part2.csv": "timestamp,itemid,property,value\n1433041200000,1,categoryid,209\n",
        },
        [
            ("257597", "355908", "play", "2015-06-02 05:02:12.117"),
            ("257597", "355908", "like", "2015-06-02 05:03:52.117"),
            ("257597", "355908", "add", "2015-06-02 05:05:32.117"),
            ("992329", "248676", "play", "2015-06-02 05:50:14.164"),
            ("992329", "248676", "play", "2015-06-02 05:50:14.164"),
        ],
        ("events.csv", "soon,1,view,2,\n", "events.csv, row 7: ts is 'soon'"),
    ),
}  # fmt: skip
