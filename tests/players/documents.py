"""The playlists and manifests of streams.py. `{base}` becomes the address of the origin."""

import json
from datetime import timedelta

# --- HLS ---

START = "2026-01-01T00:00:00.000Z"


def interstitial(attribute):
    """Ten seconds with an advertisement at the fourth."""
    text = f"#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-PROGRAM-DATE-TIME:{START}\n"
    text += "".join(f"#EXTINF:2,\n/ts/seg-{i}.ts\n" for i in range(5))
    text += (
        '#EXT-X-DATERANGE:ID="ad",CLASS="com.apple.hls.interstitial",'
        f'START-DATE="2026-01-01T00:00:04.000Z",DURATION=4,{attribute}\n#EXT-X-ENDLIST\n'
    )
    return text


def pathways():
    text = '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="manifest.json",PATHWAY-ID="a"\n'
    for name in ("a", "b"):
        text += (
            f'#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=320x180,PATHWAY-ID="{name}",'
            f'CODECS="avc1.42c00c,mp4a.40.2"\n{name}/index.m3u8\n'
        )
    return text


def steering(is_second):
    """The first manifest stays with pathway a. Its RELOAD-URI leads to the one that switches."""
    order = ["b", "a"] if is_second else ["a", "b"]
    return json.dumps(
        {"VERSION": 1, "TTL": 1, "RELOAD-URI": "manifest.json?again=1", "PATHWAY-PRIORITY": order}
    )


def live_playlist(known):
    """The last six of the `known` segments of 2 s beside the playlist."""
    first = max(0, known - 6)
    text = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    text += "".join(f"#EXTINF:2,\n{i}.ts\n" for i in range(first, known))
    return text + ("#EXT-X-ENDLIST\n" if known >= 15 else "")


def low_latency_master():
    text = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n"
    for height, width, bandwidth in ((180, 320, 300000), (270, 480, 700000)):
        text += (
            f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={width}x{height},FRAME-RATE=24,"
            f'CODECS="avc1.42c015,mp4a.40.2"\n/parts-{height}/index.m3u8\n'
        )
    return text


def low_latency_playlist(level, known, all_parts):
    """`known` parts of half a second; four are a segment, which is published with byte-identical
    parts only while it is one of the last three."""
    other = {"180": "270", "270": "180"}[level]
    whole = known // 4
    text = (
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.5\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5\n"
        '#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-MAP:URI="init.mp4"\n'
    )
    text += f"#EXT-X-PROGRAM-DATE-TIME:{START}\n"
    for segment in range(whole + 1):
        parts = range(4 * segment, min(4 * segment + 4, known))
        if segment >= whole - 2:
            for part in parts:
                text += f'#EXT-X-PART:DURATION=0.5,INDEPENDENT=YES,URI="{part}.m4s"\n'
        if segment < whole:
            text += f"#EXTINF:2,\nsegment-{segment}.m4s\n"
    if known >= all_parts:
        return text + "#EXT-X-ENDLIST\n"
    text += f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{known}.m4s"\n'
    last = max(known - 1, 0)
    return text + (
        f'#EXT-X-RENDITION-REPORT:URI="/parts-{other}/index.m3u8",LAST-MSN={last // 4},'
        f"LAST-PART={last % 4}\n"
    )


IMAGE_PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:10
#EXT-X-VERSION:7
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-IMAGES-ONLY
#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=2x5,DURATION=1
#EXTINF:10,
tile-1.jpg
#EXT-X-ENDLIST
"""
IMAGE_MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=320x180,CODECS="avc1.42c00c,mp4a.40.2"
../ts/index.m3u8
#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=16000,RESOLUTION=160x90,CODECS="jpeg",URI="tiles.m3u8"
"""


def thumbnail_track(seconds):
    text = "WEBVTT\n"
    for i in range(seconds):
        x, y = i % 2 * 160, i // 2 * 90
        text += f"\n00:{i:02}.000 --> 00:{i + 1:02}.000\ntile-1.jpg#xywh={x},{y},160,90\n"
    return text


# --- DASH ---

FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
NAMESPACES = (
    'xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink" '
    'xmlns:cenc="urn:mpeg:cenc:2013" profiles="urn:mpeg:dash:profile:isoff-live:2011"'
)
CLOCK = '<UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-iso:2014" value="{base}/time"/>'


def static_mpd(content, seconds=30):
    return (
        f'{HEAD}<MPD {NAMESPACES} type="static" minBufferTime="PT2S" '
        f'mediaPresentationDuration="PT{seconds}S">{content}</MPD>'
    )


def sets(template):
    """The AdaptationSets of video and audio; `template` is the SegmentTemplate of both."""
    return (
        f'<AdaptationSet id="1" contentType="video" segmentAlignment="true" startWithSAP="1">'
        f'{template}<Representation id="0" mimeType="video/mp4" codecs="avc1.42c00c" '
        'bandwidth="300000" width="320" height="180"/></AdaptationSet>'
        f'<AdaptationSet id="2" contentType="audio" segmentAlignment="true" lang="en" '
        f'startWithSAP="1">{template}<Representation id="1" mimeType="audio/mp4" '
        'codecs="mp4a.40.2" bandwidth="64000" audioSamplingRate="44100"/></AdaptationSet>'
    )


def template(more='duration="2" startNumber="1"', prefix="", content="/>"):
    return (
        f'<SegmentTemplate initialization="{prefix}init-stream$RepresentationID$.m4s" '
        f'media="{prefix}chunk-stream$RepresentationID$-$Number%05d$.m4s" {more}{content}'
    )


def timeline(known, first=0):
    segments = "".join(f'<S t="{2 * i}" d="2"/>' for i in range(first, known))
    return template(
        f'timescale="1" startNumber="{first + 1}"',
        content=f"><SegmentTimeline>{segments}</SegmentTimeline></SegmentTemplate>",
    )


CLEAR_KEY = (
    '<ContentProtection value="ClearKey1.0" '
    'schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"/>'
)


def live_mpd(begin, content, *, before="", more=""):
    now = begin.strftime(FORMAT)
    return (
        f'{HEAD}<MPD {NAMESPACES} type="dynamic" minBufferTime="PT2S" '
        f'availabilityStartTime="{now}" minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT30S" '
        f'suggestedPresentationDelay="PT4S" {more}>{before}<Period id="1" start="PT0S">{content}'
        f"</Period>{CLOCK}</MPD>"
    )


# The origin's copy of the time of the beginning differs by microseconds at each request.
def rounded(begin):
    return (begin + timedelta(milliseconds=50)).replace(microsecond=0)


def numbered_mpd(begin, _):
    return live_mpd(rounded(begin), sets(template()))


def timeline_mpd(begin, known):
    return live_mpd(rounded(begin), sets(timeline(known)))


def published(begin, known):
    return (rounded(begin) + timedelta(seconds=2 * known)).strftime("%Y-%m-%dT%H:%M:%SZ")


# The folders of patches, and their manifests.
PATCHED = {"": "/dash/patched.mpd", "patches/": "/dash/patched-from-a-folder.mpd"}


def patch_location(folder, known):
    return f'<PatchLocation ttl="60">{folder}patch.mpp?known={known}</PatchLocation>'


def patched_mpd(folder):
    def mpd(begin, known):
        more = f'id="patched" publishTime="{published(begin, known)}"'
        content = sets(timeline(known))
        return live_mpd(rounded(begin), content, before=patch_location(folder, known), more=more)

    return mpd


def patch(folder, begin, known, now):
    """The segments from `known` to `now`. A relative `PatchLocation` belongs to the manifest."""
    text = (
        f'{HEAD}<Patch xmlns="urn:mpeg:dash:schema:mpd-patch:2020" mpdId="patched" '
        f'originalPublishTime="{published(begin, known)}" publishTime="{published(begin, now)}">'
        f'<replace sel="/MPD/@publishTime">{published(begin, now)}</replace>'
        f'<replace sel="/MPD/PatchLocation[1]">{patch_location(folder, now)}</replace>'
    )
    for number in (1, 2):
        path = f"/MPD/Period[@id='1']/AdaptationSet[@id='{number}']/SegmentTemplate/SegmentTimeline"
        segments = "".join(f'<S t="{2 * i}" d="2"/>' for i in range(known, now))
        text += f'<add sel="{path}">{segments}</add>'
    return text + "</Patch>"


def dash_steering(is_second):
    order = ["b", "a"] if is_second else ["a", "b"]
    return json.dumps(
        {
            "VERSION": 1,
            "TTL": 1,
            "RELOAD-URI": "{base}/dash/steering.json?again=1",
            "PATHWAY-PRIORITY": order,
        }
    )


def steered_mpd(begin, _):
    before = (
        '<BaseURL serviceLocation="a">/dash-a/</BaseURL>'
        '<BaseURL serviceLocation="b">{base}/dash-b/</BaseURL>'
        '<ContentSteering defaultServiceLocation="a" queryBeforeStart="true">'
        "{base}/dash/steering.json</ContentSteering>"
    )
    return live_mpd(rounded(begin), sets(template()), before=before)


LIVE_MPDS = {
    "/dash/live.mpd": numbered_mpd,
    "/dash/timeline.mpd": timeline_mpd,
    **{name: patched_mpd(folder) for folder, name in PATCHED.items()},
    "/dash/steered.mpd": steered_mpd,
}

PERIOD = '<Period id="{id}" start="PT{start}S" duration="PT10S">{base_url}{sets}</Period>'


def two_periods():
    """The second one is the first ten seconds again, under an absolute BaseURL."""
    first = PERIOD.format(id=1, start=0, base_url="", sets=sets(template()))
    second = PERIOD.format(
        id=2, start=10, base_url="<BaseURL>{base}/dash-b/</BaseURL>", sets=sets(template())
    )
    return static_mpd(first + second, 20)


REMOTE_NAMESPACES = (
    'xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink"'
)
LATE = '<BaseURL>{base}/dash-b/</BaseURL>'

FIXED = {
    "/spot/uri.m3u8": interstitial('X-ASSET-URI="{base}/spot/index.m3u8"'),
    "/spot/listed.m3u8": interstitial('X-ASSET-LIST="list.json"'),
    "/spot/list.json": '{"ASSETS":[{"URI":"{base}/spot/index.m3u8","DURATION":10}]}',
    "/steer/master.m3u8": pathways(),
    "/low-latency.m3u8": low_latency_master(),
    "/dash/periods.mpd": two_periods(),
    "/dash/late.mpd": static_mpd(f"<Period>{sets(template())}</Period>{LATE}"),
    "/empty-base.mpd": static_mpd(
        f"<BaseURL/><Period><BaseURL>dash/</BaseURL>{sets(template())}</Period>"
    ),
    "/dash/rooted.mpd": static_mpd(f"<Period>{sets(template(prefix='/dash/'))}</Period>"),
    "/dash/images.mpd": static_mpd(
        f"<Period>{sets(template())}"
        '<AdaptationSet id="3" contentType="image" mimeType="image/jpeg"><SegmentTemplate '
        'media="/thumbs/tile-$Number$.jpg" duration="10" startNumber="1"/><Representation '
        'id="thumbnails" bandwidth="16000" width="320" height="450"><EssentialProperty '
        'schemeIdUri="http://dashif.org/thumbnail_tile" value="2x5"/></Representation>'
        "</AdaptationSet></Period>"
    ),
    "/dash/remote.mpd": static_mpd(
        '<Period xlink:href="remote-period.xml" xlink:actuate="onLoad"/>'
    ),
    "/dash/remote-period.xml": f'<Period {REMOTE_NAMESPACES} id="1" start="PT0S">'
    f"{sets(template(prefix='{base}/dash/'))}</Period>",
}
